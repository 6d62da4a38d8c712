/**
 * The blocks of GGUF's quantised types, taken apart: small integers q, a scale d and an offset m a group.
 *
 *   Q8_0        d q                 Q4_0   d (q - 8)        Q5_0   d (q - 16)
 *   Q4_1, Q5_1  d q + m             Q4_K, Q5_K  (d s) q - (d' s')  with 6-bit s, s' for each 32 of 256
 *   Q6_K        (d s) (q - 32)      with 8-bit s for each 16 of 256
 *
 * They become blocks of 4 or 8 bits around a middle, w = (q' - 2^(bits-1)) scale + offset, without loss:
 * see docs/adr/0007-gguf.md. Layouts are those of ggml's quants.
 */

import { InternalError } from "../errors.ts";
import type { BlockFormat } from "./block-quantization.ts";
import type { GgufType } from "./gguf-types.ts";
import { ggufTypes } from "./gguf-types.ts";
import { decodeBfloat16, decodeFloat16 } from "./half-float.ts";

/** Names a type that is stored in blocks. */
export type GgufBlockType = Exclude<GgufType, "F32" | "F16" | "BF16">;

/** Is a block of a file: quanta, and scales and offsets of its groups, are written where the caller wants them. */
type ReadBlock = (
  bytes: Uint8Array,
  at: number,
  quanta: Uint8Array,
  scales: Float32Array,
  offsets: Float32Array,
) => void;

interface BlockReader {
  readonly format: BlockFormat;
  /** Which quantum stands for the group's offset, or for zero. */
  readonly middle: number;
  /** Which quantum lies in the middle of the range. */
  readonly center: number;
  readonly hasOffsets: boolean;
  readonly read: ReadBlock;
}

/** Every float16 by its pattern, made when it is first needed: decoding one by one would take most of the time. */
let halfTable: Float32Array | undefined;

function readHalf(bytes: Uint8Array, at: number): number {
  halfTable ??= decodeFloat16(Uint16Array.from({ length: 65536 }, (_, pattern) => pattern));
  return halfTable[(bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)] ?? 0;
}

/** Reads 32 quanta of 4 bits: element i in the low half of byte i, element i + 16 in its high half. */
function readNibbles(bytes: Uint8Array, at: number, quanta: Uint8Array): void {
  for (let i = 0; i < 16; i++) {
    const byte = bytes[at + i] ?? 0;
    quanta[i] = byte & 15;
    quanta[i + 16] = byte >> 4;
  }
}

/** Adds the fifth bits of 32 quanta. */
function addHighBits(bytes: Uint8Array, at: number, quanta: Uint8Array): void {
  for (let i = 0; i < 32; i++) {
    const bit = ((bytes[at + (i >> 3)] ?? 0) >> (i & 7)) & 1;
    quanta[i] = (quanta[i] ?? 0) | (bit << 4);
  }
}

/** Reads the eight 6-bit scales and minima of a K block, times their common scales. */
function readGroupScales(bytes: Uint8Array, at: number, scales: Float32Array, offsets: Float32Array): void {
  const [d, dMin] = [readHalf(bytes, at), readHalf(bytes, at + 2)];
  const packed = (index: number): number => bytes[at + 4 + index] ?? 0;
  for (let j = 0; j < 8; j++) {
    const isFirst = j < 4;
    const scale = isFirst ? packed(j) & 63 : (packed(j + 4) & 15) | ((packed(j - 4) >> 6) << 4);
    const minimum = isFirst ? packed(j + 4) & 63 : (packed(j + 4) >> 4) | ((packed(j) >> 6) << 4);
    scales[j] = d * scale;
    offsets[j] = -dMin * minimum;
  }
}

/** Reads 256 quanta of 4 bits: of each 64, element i with element i + 32. */
function readGroupNibbles(bytes: Uint8Array, at: number, quanta: Uint8Array): void {
  for (let i = 0; i < 128; i++) {
    const byte = bytes[at + i] ?? 0;
    const to = 64 * (i >> 5) + (i & 31);
    quanta[to] = byte & 15;
    quanta[to + 32] = byte >> 4;
  }
}

function readQ6K(bytes: Uint8Array, at: number, quanta: Uint8Array, scales: Float32Array): void {
  for (let i = 0; i < 128; i++) {
    // Of each 128 elements: i and i + 64 share a byte of low bits, every 32nd a byte of high bits.
    const [part, low] = [i >> 6, i & 63];
    const byte = bytes[at + i] ?? 0;
    const high = bytes[at + 128 + 32 * part + (low & 31)] ?? 0;
    const shift = low < 32 ? 0 : 2;
    const to = 128 * part + low;
    quanta[to] = (byte & 15) | (((high >> shift) & 3) << 4);
    quanta[to + 64] = (byte >> 4) | (((high >> (shift + 4)) & 3) << 4);
  }
  const d = readHalf(bytes, at + 208);
  for (let j = 0; j < 16; j++) scales[j] = d * (((bytes[at + 192 + j] ?? 0) << 24) >> 24);
}

const readers: { readonly [Type in GgufBlockType]: BlockReader } = {
  Q8_0: {
    format: { bits: 8, blockSize: 32 },
    middle: 128,
    center: 128,
    hasOffsets: false,
    read(bytes, at, quanta, scales) {
      // Two's complement with its top bit turned is the distance from -128.
      for (let i = 0; i < 32; i++) quanta[i] = (bytes[at + 2 + i] ?? 0) ^ 128;
      scales[0] = readHalf(bytes, at);
    },
  },
  Q4_0: {
    format: { bits: 4, blockSize: 32 },
    middle: 8,
    center: 8,
    hasOffsets: false,
    read(bytes, at, quanta, scales) {
      readNibbles(bytes, at + 2, quanta);
      scales[0] = readHalf(bytes, at);
    },
  },
  Q4_1: {
    format: { bits: 4, blockSize: 32 },
    middle: 0,
    center: 8,
    hasOffsets: true,
    read(bytes, at, quanta, scales, offsets) {
      readNibbles(bytes, at + 4, quanta);
      scales[0] = readHalf(bytes, at);
      offsets[0] = readHalf(bytes, at + 2);
    },
  },
  Q5_0: {
    format: { bits: 8, blockSize: 32 },
    middle: 16,
    center: 16,
    hasOffsets: false,
    read(bytes, at, quanta, scales) {
      readNibbles(bytes, at + 6, quanta);
      addHighBits(bytes, at + 2, quanta);
      scales[0] = readHalf(bytes, at);
    },
  },
  Q5_1: {
    format: { bits: 8, blockSize: 32 },
    middle: 0,
    center: 16,
    hasOffsets: true,
    read(bytes, at, quanta, scales, offsets) {
      readNibbles(bytes, at + 8, quanta);
      addHighBits(bytes, at + 4, quanta);
      scales[0] = readHalf(bytes, at);
      offsets[0] = readHalf(bytes, at + 2);
    },
  },
  Q4_K: {
    format: { bits: 4, blockSize: 32 },
    middle: 0,
    center: 8,
    hasOffsets: true,
    read(bytes, at, quanta, scales, offsets) {
      readGroupScales(bytes, at, scales, offsets);
      readGroupNibbles(bytes, at + 16, quanta);
    },
  },
  Q5_K: {
    format: { bits: 8, blockSize: 32 },
    middle: 0,
    center: 16,
    hasOffsets: true,
    read(bytes, at, quanta, scales, offsets) {
      readGroupScales(bytes, at, scales, offsets);
      readGroupNibbles(bytes, at + 48, quanta);
      for (let i = 0; i < 256; i++) {
        const bit = ((bytes[at + 16 + (i & 31)] ?? 0) >> (i >> 5)) & 1;
        quanta[i] = (quanta[i] ?? 0) | (bit << 4);
      }
    },
  },
  Q6_K: { format: { bits: 8, blockSize: 16 }, middle: 32, center: 32, hasOffsets: false, read: readQ6K },
};

/** Tells whether a type is stored in blocks. */
export function isGgufBlockType(type: GgufType): type is GgufBlockType {
  return Object.hasOwn(readers, type);
}

/** Says what a type becomes. */
export interface RepackedFormat {
  readonly format: BlockFormat;
  readonly hasOffsets: boolean;
}

/** Returns the blocks that a type becomes. */
export function repackedFormat(type: GgufBlockType): RepackedFormat {
  const { format, hasOffsets } = readers[type];
  return { format, hasOffsets };
}

/** Calls back with every block of a tensor; the arrays are used again for the next. */
function forEachBlock(
  type: GgufBlockType,
  bytes: Uint8Array,
  visit: (block: number, quanta: Uint8Array, scales: Float32Array, offsets: Float32Array) => void,
): void {
  const { format, read } = readers[type];
  const { blockSize, blockBytes } = ggufTypes[type];
  if (bytes.length % blockBytes !== 0) {
    throw new InternalError({
      where: `GGUF ${type}`,
      what: "the bytes are no whole blocks",
      got: bytes.length,
    });
  }
  const quanta = new Uint8Array(blockSize);
  const scales = new Float32Array(blockSize / format.blockSize);
  const offsets = new Float32Array(scales.length);
  for (let block = 0; block * blockBytes < bytes.length; block++) {
    read(bytes, block * blockBytes, quanta, scales, offsets);
    visit(block, quanta, scales, offsets);
  }
}

/** Decodes plain elements or blocks to float32, to the bit as ggml's reference code does. */
export function decodeGguf(type: GgufType, bytes: Uint8Array): Float32Array {
  if (!isGgufBlockType(type)) return decodePlain(type, bytes);
  const { middle, format } = readers[type];
  const { blockSize, blockBytes } = ggufTypes[type];
  const values = new Float32Array((bytes.length / blockBytes) * blockSize);
  forEachBlock(type, bytes, (block, quanta, scales, offsets) => {
    const first = block * blockSize;
    for (let i = 0; i < blockSize; i++) {
      const group = Math.floor(i / format.blockSize);
      // The product has at most 24 bits: it is exact, and the sum is rounded once.
      values[first + i] = ((quanta[i] ?? 0) - middle) * (scales[group] ?? 0) + (offsets[group] ?? 0);
    }
  });
  return values;
}

function decodePlain(type: Exclude<GgufType, GgufBlockType>, bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset, byteLength } = aligned;
  if (type === "F32") return new Float32Array(buffer, byteOffset, byteLength / 4);
  const halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
  return type === "F16" ? decodeFloat16(halves) : decodeBfloat16(halves);
}

/** Is a tensor in blocks; w = (q - 2^(bits-1)) scale + offset. */
export interface RepackedBlocks {
  /** uint8: 4 or 8 bits an element; of 4 bits the first lies in the low half. */
  readonly data: Uint8Array;
  /** float32, one a group. */
  readonly scales: Float32Array;
  /** float32, one a group; undefined where all are zero by the type. */
  readonly offsets: Float32Array | undefined;
}

/** Repacks a tensor: integers and scales stay as they are, an offset moves to the middle of its range. */
export function repackGguf(type: GgufBlockType, bytes: Uint8Array): RepackedBlocks {
  const { format, center, hasOffsets } = readers[type];
  const { blockSize, blockBytes } = ggufTypes[type];
  const elements = (bytes.length / blockBytes) * blockSize;
  const groups = elements / format.blockSize;
  const groupsPerBlock = blockSize / format.blockSize;
  const data = new Uint8Array((elements * format.bits) / 8);
  const scales = new Float32Array(groups);
  const offsets = hasOffsets ? new Float32Array(groups) : undefined;
  const shift = 2 ** (format.bits - 1) - center;
  forEachBlock(type, bytes, (block, quanta, blockScales, blockOffsets) => {
    scales.set(blockScales, block * groupsPerBlock);
    if (offsets !== undefined) {
      for (let j = 0; j < groupsPerBlock; j++) {
        offsets[block * groupsPerBlock + j] = (blockOffsets[j] ?? 0) + center * (blockScales[j] ?? 0);
      }
    }
    if (format.bits === 8) {
      const first = block * blockSize;
      for (let i = 0; i < blockSize; i++) data[first + i] = (quanta[i] ?? 0) + shift;
    } else {
      const first = (block * blockSize) / 2;
      for (let i = 0; i < blockSize / 2; i++) {
        data[first + i] = (quanta[2 * i] ?? 0) | ((quanta[2 * i + 1] ?? 0) << 4);
      }
    }
  });
  return { data, scales, offsets };
}
