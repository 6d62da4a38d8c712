/**
 * The file that weights are held in when they are not held as the checkpoint has them: matrices in blocks or in
 * float16, the rest as float32.
 *
 * It is an ordinary safetensors file: `NAME:scales` float32, `NAME:offsets` float32 if there are offsets and
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

/** Names the type of elements that stay plain. */
export type PlainDType = "float32" | "float16" | "bfloat16";

/** Holds plain elements, halves by their bit patterns. */
export type PlainElements = Float32Array | Uint16Array;

/** Is a weight that will be held, and where its values come from. */
export interface HeldWeight {
  readonly name: string;
  readonly shape: readonly number[];
  /** The blocks it is held in, or the type of its elements. */
  readonly format: BlockFormat | PlainDType;
  /** Whether its blocks have offsets. */
  readonly hasOffsets: boolean;
  /** Reads it: the elements of `shape`, or its blocks. */
  read(signal?: AbortSignal): Promise<PlainElements | QuantizedRows>;
}

/** Tells how far the writing is. */
export type HoldProgress = (doneBytes: number, totalBytes: number) => void;

const parts = ["scales", "offsets", "blocks"] as const;
type Part = (typeof parts)[number];

/** Gives a part of a weight as it lies in the file; undefined when the weight has none. */
function planPart({ name, shape, format, hasOffsets }: HeldWeight, part: Part): PlannedTensor | undefined {
  if (typeof format === "string") return part === "blocks" ? { name, dtype: format, shape } : undefined;
  const [rows = 0, columns = 0] = shape;
  const factors = [rows, columns / format.blockSize];
  if (part === "scales") return { name: `${name}:scales`, dtype: "float32", shape: factors };
  if (part === "blocks") {
    return { name: `${name}:blocks`, dtype: "uint8", shape: [rows, (columns * format.bits) / 8] };
  }
  return hasOffsets ? { name: `${name}:offsets`, dtype: "float32", shape: factors } : undefined;
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
  if (first?.format === "float16")
    return group.every(({ format, shape }) => format === "float16" && shape[1] === first.shape[1]);
  if (first === undefined || typeof first.format === "string") return false;
  const { bits, blockSize } = first.format;
  return group.every(
    ({ format, hasOffsets, shape }) =>
      typeof format !== "string" &&
      format.bits === bits &&
      format.blockSize === blockSize &&
      hasOffsets === first.hasOffsets &&
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

function asBytes({ buffer, byteOffset, byteLength }: PlainElements | Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function partOf(values: PlainElements | QuantizedRows, part: Part): PlainElements | Uint8Array | undefined {
  if (ArrayBuffer.isView(values)) return part === "blocks" ? values : undefined;
  return { scales: values.scales, offsets: values.offsets, blocks: values.data }[part];
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
    const values: (PlainElements | QuantizedRows)[] = [];
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
    const [scales, offsets, data] = parts.map((part) => {
      const planned = planPart(weight, part);
      return planned === undefined ? undefined : find(planned);
    });
    const { name, shape, format } = weight;
    if (data === undefined) throw new InternalError({ where: name, what: "nothing was planned" });
    if (typeof format === "string" || scales === undefined) return data;
    return { name, shape, format, data, scales, ...(offsets !== undefined && { offsets }) };
  };
  return new Map(weights.map((weight) => [weight.name, open(weight)]));
}
