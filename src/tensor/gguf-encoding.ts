/**
 * Writes float32 elements as the bytes of GGUF's element types: the other side of gguf-blocks.ts, for the types that
 * models are written in.
 *
 * Q8_0 has the integers of our own 8-bit blocks (block-quantization.ts), with the scale rounded to float16.
 */

import { InvalidRequestError } from "../errors.ts";
import { quantizeRows } from "./block-quantization.ts";
import { ggufTypes } from "./gguf-types.ts";
import { encodeFloat16, findNonFiniteFloat16 } from "./half-float.ts";

/** Names a type that is written. */
export type WrittenGgufType = "F32" | "F16" | "Q8_0";

function asBytes({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function refuse(what: string, got: number | undefined, remedy: string): never {
  throw new InvalidRequestError({ where: "GGUF", what, got, expected: "a finite number", remedy });
}

function toHalves(values: Float32Array): Uint16Array {
  const halves = encodeFloat16(values);
  const at = findNonFiniteFloat16(halves);
  if (at < 0) return halves;
  return refuse("a weight or a block's scale is too large for float16", values[at], "Write it in float32.");
}

function encodeQ8(values: Float32Array): Uint8Array {
  const { blockSize, blockBytes } = ggufTypes.Q8_0;
  const { data, scales } = quantizeRows(values, blockSize, { bits: 8, blockSize });
  const halves = toHalves(scales);
  const bytes = new Uint8Array(scales.length * blockBytes);
  for (let block = 0; block < scales.length; block++) {
    const at = block * blockBytes;
    const half = halves[block] ?? 0;
    bytes[at] = half & 255;
    bytes[at + 1] = half >> 8;
    // A distance from -128 with its top bit turned is two's complement.
    for (let i = 0; i < blockSize; i++) bytes[at + 2 + i] = (data[block * blockSize + i] ?? 0) ^ 128;
  }
  return bytes;
}

/**
 * Encodes elements, of Q8_0 whole blocks of 32, little-endian.
 * @throws {@link InvalidRequestError} when a number does not fit; {@link ShapeError} when a block is not whole.
 */
export function encodeGguf(type: WrittenGgufType, values: Float32Array): Uint8Array {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) refuse("a weight is no number", values[at], "The checkpoint is damaged.");
  if (type === "Q8_0") return encodeQ8(values);
  return asBytes(type === "F16" ? toHalves(values) : values);
}
