/**
 * Reads the weights of a checkpoint or adapter into memory, as float32.
 */

import { InvalidModelError } from "../errors.ts";
import type { TensorEntry } from "../files/safetensors.ts";
import { decodeBfloat16, decodeFloat16 } from "../tensor/half-float.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";

const decoders: Readonly<Record<string, (bytes: ArrayBuffer) => Float32Array>> = {
  float32: (bytes) => new Float32Array(bytes),
  float16: (bytes) => decodeFloat16(new Uint16Array(bytes)),
  bfloat16: (bytes) => decodeBfloat16(new Uint16Array(bytes)),
};

/**
 * Reads tensors of floats; those of other dtypes are buffers that no graph takes, and left out.
 * @param where names the checkpoint in messages.
 * @throws {@link FileError} when a file cannot be read; {@link InvalidModelError} when there are no weights in it.
 */
export async function readWeightTensors(
  where: string,
  tensors: ReadonlyMap<string, TensorEntry>,
  signal?: AbortSignal,
): Promise<Map<string, HostTensor<"float32">>> {
  const weights = new Map<string, HostTensor<"float32">>();
  for (const { name, dtype, shape, source, offset, lengthBytes } of tensors.values()) {
    const decode = decoders[dtype];
    if (decode === undefined) continue;
    const bytes = await source.read(offset, lengthBytes, signal);
    // The copy is aligned for the typed array, which the file's bytes need not be.
    weights.set(name, hostTensor("float32", shape, decode(bytes.slice().buffer as ArrayBuffer)));
  }
  if (weights.size > 0) return weights;
  throw new InvalidModelError({ where, what: "there are no weights of floats in it", got: tensors.size });
}
