/**
 * Quantising a checkpoint as it is loaded: its matrices in blocks, the rest as float32.
 */

import { InternalError } from "../errors.ts";
import { readTensor, type TensorEntry } from "../files/safetensors.ts";
import { type BlockFormat, quantizeRows } from "../tensor/block-quantization.ts";
import { decodeBfloat16, decodeFloat16 } from "../tensor/half-float.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { HeldWeight } from "./held-weights.ts";

/** Names a way to quantise on load. */
export type QuantizedDType = "q8" | "q4";

/** Gives the blocks of each way. */
export const quantizedFormats: { readonly [Name in QuantizedDType]: BlockFormat } = {
  q8: { bits: 8, blockSize: 32 },
  q4: { bits: 4, blockSize: 32 },
};

/** Returns the elements of a weight as float32. @throws {@link InternalError} when it is none. */
export function widenTensor({ dtype, data }: HostTensor, name: string): Float32Array {
  if (data instanceof Float32Array) return data;
  if (data instanceof Uint16Array && dtype === "bfloat16") return decodeBfloat16(data);
  if (data instanceof Uint16Array && dtype === "float16") return decodeFloat16(data);
  throw new InternalError({ where: `tensor ${name}`, what: "cannot be widened", got: dtype });
}

/** Tells weights from the buffers of other types that some checkpoints carry along. */
export function isWeight({ dtype }: TensorEntry): boolean {
  return dtype === "float32" || dtype === "float16" || dtype === "bfloat16";
}

/** Plans how a checkpoint is held: matrices of whole blocks quantised, everything else float32. */
export function quantizeWeights(
  tensors: ReadonlyMap<string, TensorEntry>,
  format: BlockFormat,
): readonly HeldWeight[] {
  return [...tensors.values()].filter(isWeight).map((entry): HeldWeight => {
    const { name, shape } = entry;
    const columns = shape[1] ?? 0;
    const isMatrix = shape.length === 2 && columns % format.blockSize === 0;
    return {
      name,
      shape,
      format: isMatrix ? format : "float32",
      hasOffsets: false,
      read: async (signal) => {
        const values = widenTensor(await readTensor(entry, signal), name);
        return isMatrix ? quantizeRows(values, columns, format) : values;
      },
    };
  });
}
