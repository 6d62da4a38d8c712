/**
 * Quantisers for GGUF's block types, by the plain formulas of ggml's reference code, and good enough for tests.
 *
 * 32 elements a block, or 256 in eight or sixteen groups for the K types. Scales are rounded to float16 as the
 * format has them; the choice of scales is the simplest one, without a search.
 */

import { encodeBfloat16, encodeFloat16 } from "../../../src/tensor/half-float.ts";
import { type GgufTensorType, ggufTensorTypes, joinBytes } from "./gguf-writer.ts";

const clamp = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value));

const asBytes = ({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Returns the value of the largest magnitude, with its sign. */
function peakOf(block: Float32Array): number {
  let peak = 0;
  for (const value of block) if (Math.abs(value) > Math.abs(peak)) peak = value;
  return peak;
}

function rangeOf(block: Float32Array): { low: number; high: number } {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of block) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return { low, high };
}

const halves = (...values: number[]): Uint8Array => asBytes(encodeFloat16(values));
const inverseOf = (scale: number): number => (scale === 0 ? 0 : 1 / scale);

/** Packs 32 quanta of 4 bits as the simple types do: element i with element i + 16. */
function packNibbles(quanta: readonly number[]): Uint8Array {
  return Uint8Array.from(
    { length: 16 },
    (_, i) => ((quanta[i] ?? 0) & 15) | (((quanta[i + 16] ?? 0) & 15) << 4),
  );
}

/** Packs the fifth bits of 32 quanta, one bit each. */
function packHighBits(quanta: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4);
  quanta.forEach((quantum, i) => {
    bytes[i >> 3] = (bytes[i >> 3] ?? 0) | ((quantum >> 4) << (i & 7));
  });
  return bytes;
}

function quantizeSymmetric(block: Float32Array, half: number): { scale: number; quanta: number[] } {
  const scale = peakOf(block) / -half;
  const inverse = inverseOf(scale);
  const quanta = [...block].map((value) => clamp(Math.floor(value * inverse + half + 0.5), 0, 2 * half - 1));
  return { scale, quanta };
}

function quantizeRange(block: Float32Array, top: number): { scale: number; low: number; quanta: number[] } {
  const { low, high } = rangeOf(block);
  const scale = (high - low) / top;
  const inverse = inverseOf(scale);
  return {
    scale,
    low,
    quanta: [...block].map((value) => clamp(Math.floor((value - low) * inverse + 0.5), 0, top)),
  };
}

/** Packs eight scales and eight minima of 6 bits into 12 bytes, as Q4_K and Q5_K do. */
function packScales(scales: readonly number[], minima: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(12);
  for (let j = 0; j < 4; j++) {
    const [scale, minimum, laterScale, laterMinimum] = [scales[j], minima[j], scales[j + 4], minima[j + 4]];
    bytes[j] = (scale ?? 0) | (((laterScale ?? 0) >> 4) << 6);
    bytes[j + 4] = (minimum ?? 0) | (((laterMinimum ?? 0) >> 4) << 6);
    bytes[j + 8] = ((laterScale ?? 0) & 15) | (((laterMinimum ?? 0) & 15) << 4);
  }
  return bytes;
}

/** Quantises 256 elements in groups of 32 with a scale and a minimum each. */
function quantizeGroups(block: Float32Array, top: number) {
  const groups = Array.from({ length: 8 }, (_, j) => block.subarray(32 * j, 32 * j + 32));
  const ranges = groups.map((group) => {
    const { low, high } = rangeOf(group);
    const minimum = Math.max(0, -low);
    return { scale: Math.max(0, high + minimum) / top, minimum };
  });
  const d = Math.max(...ranges.map(({ scale }) => scale)) / 63;
  const dMin = Math.max(...ranges.map(({ minimum }) => minimum)) / 63;
  const scales = ranges.map(({ scale }) => Math.round(scale * inverseOf(d)));
  const minima = ranges.map(({ minimum }) => Math.round(minimum * inverseOf(dMin)));
  const quanta = groups.flatMap((group, j) => {
    const inverse = inverseOf(d * (scales[j] ?? 0));
    return [...group].map((value) => clamp(Math.round((value + dMin * (minima[j] ?? 0)) * inverse), 0, top));
  });
  return { head: joinBytes([halves(d, dMin), packScales(scales, minima)]), quanta };
}

/** Packs the low 4 bits of 256 quanta: of each 64, element i with element i + 32. */
function packGroupNibbles(quanta: readonly number[]): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, at) => {
    const i = 64 * Math.floor(at / 32) + (at % 32);
    return ((quanta[i] ?? 0) & 15) | (((quanta[i + 32] ?? 0) & 15) << 4);
  });
}

function quantizeQ5K(block: Float32Array): Uint8Array {
  const { head, quanta } = quantizeGroups(block, 31);
  const high = new Uint8Array(32);
  quanta.forEach((quantum, i) => {
    high[i % 32] = (high[i % 32] ?? 0) | ((quantum >> 4) << Math.floor(i / 32));
  });
  return joinBytes([head, high, packGroupNibbles(quanta)]);
}

function quantizeQ6K(block: Float32Array): Uint8Array {
  const groups = Array.from({ length: 16 }, (_, j) => block.subarray(16 * j, 16 * j + 16));
  const wanted = groups.map((group) => peakOf(group) / -32);
  const peak = peakOf(Float32Array.from(wanted));
  const d = peak / -128;
  const scales = wanted.map((scale) => clamp(Math.round(scale * inverseOf(d)), -128, 127));
  const quanta = groups.flatMap((group, j) => {
    const inverse = inverseOf(d * (scales[j] ?? 0));
    return [...group].map((value) => clamp(Math.round(value * inverse), -32, 31) + 32);
  });
  const low = new Uint8Array(128);
  const high = new Uint8Array(64);
  // Of each 128 elements: i and i + 64 share a byte of low bits, and i, i + 32, i + 64, i + 96 one of high bits.
  quanta.forEach((quantum, index) => {
    const [half, i] = [Math.floor(index / 128), index % 128];
    const lowAt = 64 * half + (i % 64);
    const highAt = 32 * half + (i % 32);
    low[lowAt] = (low[lowAt] ?? 0) | ((quantum & 15) << (i < 64 ? 0 : 4));
    high[highAt] = (high[highAt] ?? 0) | ((quantum >> 4) << (2 * Math.floor(i / 32)));
  });
  return joinBytes([low, high, Uint8Array.from(scales, (scale) => scale & 255), halves(d)]);
}

type BlockQuantizer = (block: Float32Array) => Uint8Array;

const quantizers: { readonly [Type in Exclude<GgufTensorType, "f32" | "f16" | "bf16">]: BlockQuantizer } = {
  q8_0(block) {
    const scale = Math.abs(peakOf(block)) / 127;
    const inverse = inverseOf(scale);
    const bytes = new Uint8Array(34);
    bytes.set(halves(scale));
    block.forEach((value, i) => {
      bytes[2 + i] = Math.round(value * inverse) & 255;
    });
    return bytes;
  },
  q4_0(block) {
    const { scale, quanta } = quantizeSymmetric(block, 8);
    return joinBytes([halves(scale), packNibbles(quanta)]);
  },
  q4_1(block) {
    const { scale, low, quanta } = quantizeRange(block, 15);
    return joinBytes([halves(scale, low), packNibbles(quanta)]);
  },
  q5_0(block) {
    const { scale, quanta } = quantizeSymmetric(block, 16);
    return joinBytes([halves(scale), packHighBits(quanta), packNibbles(quanta)]);
  },
  q5_1(block) {
    const { scale, low, quanta } = quantizeRange(block, 31);
    return joinBytes([halves(scale, low), packHighBits(quanta), packNibbles(quanta)]);
  },
  q4_k(block) {
    const { head, quanta } = quantizeGroups(block, 15);
    return joinBytes([head, packGroupNibbles(quanta)]);
  },
  q5_k: quantizeQ5K,
  q6_k: quantizeQ6K,
};

/** Encodes float32 elements, whole blocks of them, as the bytes of a tensor type. */
export function encodeGgufTensor(type: GgufTensorType, values: Float32Array): Uint8Array {
  if (type === "f32") return asBytes(values);
  if (type === "f16") return asBytes(encodeFloat16(values));
  if (type === "bf16") return asBytes(encodeBfloat16(values));
  const { blockSize, blockBytes } = ggufTensorTypes[type];
  const bytes = new Uint8Array((values.length / blockSize) * blockBytes);
  const quantize = quantizers[type];
  for (let block = 0; block * blockSize < values.length; block++) {
    bytes.set(quantize(values.subarray(block * blockSize, (block + 1) * blockSize)), block * blockBytes);
  }
  return bytes;
}
