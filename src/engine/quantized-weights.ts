/**
 * Quantising a checkpoint as it is loaded: its matrices in blocks, the rest as float32, in one file.
 *
 * The file is an ordinary safetensors file: `NAME:blocks` uint8 and `NAME:scales` float32 for a matrix, NAME
 * for what stays plain. It is written as a stream, one tensor at a time in memory, and can be kept.
 */

import { InternalError, InvalidModelError } from "../errors.ts";
import type { ByteSource } from "../files/byte-source.ts";
import { parseSafetensorsHeader, readTensor, type TensorEntry } from "../files/safetensors.ts";
import { type PlannedTensor, planSafetensors } from "../files/safetensors-writer.ts";
import type { WeightEntry } from "../graph/weights.ts";
import { type BlockFormat, quantizeRows } from "../tensor/block-quantization.ts";
import { dtypeSizeBytes } from "../tensor/dtype.ts";
import { decodeBfloat16, decodeFloat16 } from "../tensor/half-float.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { elementCount, formatShape, sameShape } from "../tensor/shape.ts";

/** Names a way to quantise on load. */
export type QuantizedDType = "q8" | "q4";

/** Gives the blocks of each way. */
export const quantizedFormats: { readonly [Name in QuantizedDType]: BlockFormat } = {
  q8: { bits: 8, blockSize: 32 },
  q4: { bits: 4, blockSize: 32 },
};

/** Tells how far the quantising is. */
export type QuantizeProgress = (doneBytes: number, totalBytes: number) => void;

function isMatrix({ shape }: TensorEntry, { blockSize }: BlockFormat): boolean {
  return shape.length === 2 && (shape[1] ?? 0) % blockSize === 0;
}

/** Returns the elements of a weight as float32. */
function widen({ dtype, data }: HostTensor, name: string): Float32Array {
  if (data instanceof Float32Array) return data;
  if (data instanceof Uint16Array && dtype === "bfloat16") return decodeBfloat16(data);
  if (data instanceof Uint16Array && dtype === "float16") return decodeFloat16(data);
  throw new InternalError({ where: `tensor ${name}`, what: "cannot be widened", got: dtype });
}

/** Lists what a tensor becomes, in the order of the file. */
function planTensor(entry: TensorEntry, format: BlockFormat): PlannedTensor[] {
  const { name, shape } = entry;
  if (!isMatrix(entry, format)) return [{ name, dtype: "float32", shape }];
  const [rows = 0, columns = 0] = shape;
  return [
    { name: `${name}:scales`, dtype: "float32", shape: [rows, columns / format.blockSize] },
    { name: `${name}:blocks`, dtype: "uint8", shape: [rows, (columns * format.bits) / 8] },
  ];
}

/** Returns the bytes that a tensor takes in quantised form. */
export function quantizedBytes(entry: TensorEntry, format: BlockFormat): number {
  return planTensor(entry, format).reduce(
    (sum, { dtype, shape }) => sum + dtypeSizeBytes(dtype) * elementCount(shape),
    0,
  );
}

function asBytes({ buffer, byteOffset, byteLength }: Float32Array | Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Writes the quantised form of a checkpoint as the bytes of a safetensors file. */
export async function* streamQuantizedWeights(
  tensors: ReadonlyMap<string, TensorEntry>,
  format: BlockFormat,
  onProgress: QuantizeProgress = () => {},
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const entries = [...tensors.values()];
  const types = entries.flatMap((entry) => planTensor(entry, format));
  const { head, sizeBytes } = planSafetensors(types, { format: `edgeinfinite q${format.bits}` });
  yield head;
  let doneBytes = head.length;
  for (const entry of entries) {
    signal?.throwIfAborted();
    const values = widen(await readTensor(entry, signal), entry.name);
    const parts: (Float32Array | Uint8Array)[] = [];
    if (isMatrix(entry, format)) {
      const { scales, data } = quantizeRows(values, entry.shape[1] ?? 0, format);
      parts.push(scales, data);
    } else parts.push(values);
    for (const part of parts) {
      yield asBytes(part);
      doneBytes += part.byteLength;
    }
    onProgress(doneBytes, sizeBytes);
  }
}

/**
 * Opens what {@link streamQuantizedWeights} wrote.
 * @param tensors of the checkpoint that it was made from.
 * @throws {@link InvalidModelError} when the file is damaged.
 */
export async function openQuantizedWeights(
  source: ByteSource,
  tensors: ReadonlyMap<string, TensorEntry>,
  format: BlockFormat,
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
  return new Map(
    [...tensors.values()].map((entry): [string, WeightEntry] => {
      const { name, shape } = entry;
      const [first, second] = planTensor(entry, format).map(find);
      if (first === undefined) throw new InternalError({ where: name, what: "nothing was planned" });
      if (second === undefined) return [name, first];
      return [name, { name, shape, format, scales: first, data: second }];
    }),
  );
}
