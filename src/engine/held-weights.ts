/**
 * The file that weights are held in when they are not held as the checkpoint has them: matrices in blocks, the
 * rest as float32.
 *
 * It is an ordinary safetensors file: `NAME:scales` float32, `NAME:zeros` float32 if there are zero points and
 * `NAME:blocks` uint8 for a matrix, NAME for what stays plain. Matrices that one product can cover lie behind
 * one another, part by part (all scales, then all blocks), so that a graph can take them as one. It is
 * written as a stream, one group in memory at a time, and can be kept.
 */

import { InternalError, InvalidModelError } from "../errors.ts";
import type { ByteSource } from "../files/byte-source.ts";
import { parseSafetensorsHeader, type TensorEntry } from "../files/safetensors.ts";
import { type PlannedTensor, planSafetensors } from "../files/safetensors-writer.ts";
import type { WeightEntry } from "../graph/weights.ts";
import type { BlockFormat, QuantizedRows } from "../tensor/block-quantization.ts";
import { dtypeSizeBytes } from "../tensor/dtype.ts";
import { elementCount, formatShape, sameShape } from "../tensor/shape.ts";

/** Is a weight that will be held, and where its values come from. */
export interface HeldWeight {
  readonly name: string;
  readonly shape: readonly number[];
  /** The blocks it is held in; undefined when it stays float32. */
  readonly format: BlockFormat | undefined;
  /** Whether its blocks have zero points. */
  readonly hasZeroPoints: boolean;
  /** Reads it: float32 `shape`, or its blocks. */
  read(signal?: AbortSignal): Promise<Float32Array | QuantizedRows>;
}

/** Tells how far the writing is. */
export type HoldProgress = (doneBytes: number, totalBytes: number) => void;

const parts = ["scales", "zeros", "blocks"] as const;
type Part = (typeof parts)[number];

/** Gives a part of a weight as it lies in the file; undefined when the weight has none. */
function planPart({ name, shape, format, hasZeroPoints }: HeldWeight, part: Part): PlannedTensor | undefined {
  if (format === undefined) return part === "blocks" ? { name, dtype: "float32", shape } : undefined;
  const [rows = 0, columns = 0] = shape;
  const factors = [rows, columns / format.blockSize];
  if (part === "scales") return { name: `${name}:scales`, dtype: "float32", shape: factors };
  if (part === "blocks") {
    return { name: `${name}:blocks`, dtype: "uint8", shape: [rows, (columns * format.bits) / 8] };
  }
  return hasZeroPoints ? { name: `${name}:zeros`, dtype: "float32", shape: factors } : undefined;
}

function planGroup(group: readonly HeldWeight[]): PlannedTensor[] {
  const planned = parts.flatMap((part) => group.map((weight) => planPart(weight, part)));
  return planned.filter((tensor) => tensor !== undefined);
}

/** Returns the bytes that a weight takes when it is held. */
export function heldBytes(weight: HeldWeight): number {
  return planGroup([weight]).reduce(
    (sum, { dtype, shape }) => sum + dtypeSizeBytes(dtype) * elementCount(shape),
    0,
  );
}

function isOneFormat(group: readonly HeldWeight[]): boolean {
  const [first] = group;
  return group.every(
    ({ format, hasZeroPoints, shape }) =>
      format !== undefined &&
      format.bits === first?.format?.bits &&
      format.blockSize === first.format.blockSize &&
      hasZeroPoints === first.hasZeroPoints &&
      shape[1] === first.shape[1],
  );
}

/** Puts what one product can cover together; everything else is a group of its own. */
function groupWeights(
  weights: readonly HeldWeight[],
  fused: readonly (readonly string[])[],
): readonly (readonly HeldWeight[])[] {
  const byName = new Map(weights.map((weight) => [weight.name, weight]));
  const groupOf = new Map<string, readonly HeldWeight[]>();
  for (const names of fused) {
    const group = names.map((name) => byName.get(name)).filter((weight) => weight !== undefined);
    if (group.length !== names.length || !isOneFormat(group)) continue;
    for (const name of names) groupOf.set(name, group);
  }
  return [...new Set(weights.map((weight) => groupOf.get(weight.name) ?? [weight]))];
}

function asBytes({ buffer, byteOffset, byteLength }: Float32Array | Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function partOf(values: Float32Array | QuantizedRows, part: Part): Float32Array | Uint8Array | undefined {
  if (values instanceof Float32Array) return part === "blocks" ? values : undefined;
  return { scales: values.scales, zeros: values.zeroPoints, blocks: values.data }[part];
}

/** Says what is written, and how. */
export interface HoldOptions {
  /** Names of matrices that a graph would multiply as one, group by group. */
  readonly fused: readonly (readonly string[])[];
  readonly onProgress?: HoldProgress;
  readonly signal?: AbortSignal | undefined;
}

/** Writes weights as the bytes of a safetensors file. */
export async function* streamHeldWeights(
  weights: readonly HeldWeight[],
  { fused, onProgress, signal }: HoldOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const groups = groupWeights(weights, fused);
  const { head, sizeBytes } = planSafetensors(groups.flatMap(planGroup), { format: "edgeinfinite" });
  yield head;
  let doneBytes = head.length;
  for (const group of groups) {
    const values: (Float32Array | QuantizedRows)[] = [];
    for (const weight of group) {
      signal?.throwIfAborted();
      values.push(await weight.read(signal));
    }
    for (const part of parts) {
      for (const value of values) {
        const data = partOf(value, part);
        if (data === undefined) continue;
        yield asBytes(data);
        doneBytes += data.byteLength;
      }
    }
    onProgress?.(doneBytes, sizeBytes);
  }
}

/**
 * Opens what {@link streamHeldWeights} wrote.
 * @throws {@link InvalidModelError} when the file is damaged.
 */
export async function openHeldWeights(
  source: ByteSource,
  weights: readonly HeldWeight[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, WeightEntry>> {
  const stored = (await parseSafetensorsHeader(source, signal)).tensors;
  const find = ({ name, dtype, shape }: PlannedTensor): TensorEntry => {
    const entry = stored.get(name);
    if (entry !== undefined && entry.dtype === dtype && sameShape(entry.shape, shape)) return entry;
    throw new InvalidModelError({
      where: `${source.name}, tensor ${name}`,
      what: "the kept weights do not fit the checkpoint",
      got: entry === undefined ? "none" : `${entry.dtype} ${formatShape(entry.shape)}`,
      expected: `${dtype} ${formatShape(shape)}`,
      remedy: "Delete the file: it is made anew.",
    });
  };
  const open = (weight: HeldWeight): WeightEntry => {
    const [scales, zeroPoints, data] = parts.map((part) => {
      const planned = planPart(weight, part);
      return planned === undefined ? undefined : find(planned);
    });
    const { name, shape, format } = weight;
    if (data === undefined) throw new InternalError({ where: name, what: "nothing was planned" });
    if (format === undefined || scales === undefined) return data;
    return { name, shape, format, data, scales, ...(zeroPoints !== undefined && { zeroPoints }) };
  };
  return new Map(weights.map((weight) => [weight.name, open(weight)]));
}
