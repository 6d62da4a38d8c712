import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeGgufTensor } from "../../test/support/gguf/gguf-quantize.ts";
import type { GgufTensorType } from "../../test/support/gguf/gguf-writer.ts";
import { decodeGguf, type GgufBlockType, repackedFormat, repackGguf } from "./gguf-blocks.ts";
import { ggufTypes } from "./gguf-types.ts";

/** A finite float16 by its definition: sign, 5 bits of exponent, 10 of fraction. */
function half(bytes: Uint8Array, at: number): number {
  const bits = (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0);
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

/** Returns bits `from` to `from + count` of the bytes at `at`, taken as one little-endian number. */
function bitsAt(bytes: Uint8Array, at: number, from: number, count: number): number {
  let value = 0;
  for (let bit = 0; bit < count; bit++) {
    const place = from + bit;
    value += (((bytes[at + Math.floor(place / 8)] ?? 0) >> (place % 8)) & 1) * 2 ** bit;
  }
  return value;
}

/** The 6-bit scale and minimum of group j, as ggml's get_scale_min_k4 has them: s[12] is in three rows of four. */
function groupScale(bytes: Uint8Array, j: number): [scale: number, minimum: number] {
  const s = (index: number) => bytes[4 + index] ?? 0;
  if (j < 4) return [s(j) % 64, s(j + 4) % 64];
  const [low, high] = [s(j + 4) % 16, Math.floor(s(j + 4) / 16)];
  return [low + 16 * Math.floor(s(j - 4) / 64), high + 16 * Math.floor(s(j) / 64)];
}

/** Says what element i of a block is: the definition of each type, in exact arithmetic. */
const definitions: { readonly [Type in GgufBlockType]: (block: Uint8Array, i: number) => number } = {
  Q8_0: (b, i) => half(b, 0) * ((((b[2 + i] ?? 0) + 128) % 256) - 128),
  Q4_0: (b, i) => half(b, 0) * (bitsAt(b, 2 + (i % 16), i < 16 ? 0 : 4, 4) - 8),
  Q4_1: (b, i) => half(b, 0) * bitsAt(b, 4 + (i % 16), i < 16 ? 0 : 4, 4) + half(b, 2),
  Q5_0: (b, i) => half(b, 0) * (bitsAt(b, 6 + (i % 16), i < 16 ? 0 : 4, 4) + 16 * bitsAt(b, 2, i, 1) - 16),
  Q5_1: (b, i) =>
    half(b, 0) * (bitsAt(b, 8 + (i % 16), i < 16 ? 0 : 4, 4) + 16 * bitsAt(b, 4, i, 1)) + half(b, 2),
  Q4_K(b, i) {
    const [j, inGroup] = [Math.floor(i / 32), i % 32];
    const [scale, minimum] = groupScale(b, j);
    const q = bitsAt(b, 16 + 32 * Math.floor(j / 2) + inGroup, 4 * (j % 2), 4);
    return half(b, 0) * scale * q - half(b, 2) * minimum;
  },
  Q5_K(b, i) {
    const [j, inGroup] = [Math.floor(i / 32), i % 32];
    const [scale, minimum] = groupScale(b, j);
    const q =
      bitsAt(b, 48 + 32 * Math.floor(j / 2) + inGroup, 4 * (j % 2), 4) + 16 * bitsAt(b, 16 + inGroup, j, 1);
    return half(b, 0) * scale * q - half(b, 2) * minimum;
  },
  Q6_K(b, i) {
    const [part, inPart] = [Math.floor(i / 128), i % 128];
    const low = bitsAt(b, 64 * part + (inPart % 64), inPart < 64 ? 0 : 4, 4);
    const high = bitsAt(b, 128 + 32 * part + (inPart % 32), 2 * Math.floor(inPart / 32), 2);
    const scale = (((b[192 + Math.floor(i / 16)] ?? 0) + 128) % 256) - 128;
    return half(b, 208) * scale * (low + 16 * high - 32);
  },
};

const blockTypes = Object.keys(definitions) as GgufBlockType[];

/** Where a type's float16 numbers lie. */
const halvesAt: { readonly [Type in GgufBlockType]: readonly number[] } = {
  Q8_0: [0],
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
};

/** Any bytes are a block, as long as its float16 numbers are finite. */
function arbitraryBlocks(type: GgufBlockType): fc.Arbitrary<Uint8Array> {
  const { blockBytes } = ggufTypes[type];
  const block = fc.uint8Array({ minLength: blockBytes, maxLength: blockBytes }).map((bytes) => {
    const finite = bytes.slice();
    for (const at of halvesAt[type]) {
      if (((finite[at + 1] ?? 0) & 0x7c) === 0x7c) finite[at + 1] = (finite[at + 1] ?? 0) & 0xbf;
    }
    return finite;
  });
  return fc
    .array(block, { minLength: 1, maxLength: 3 })
    .map((blocks) => Uint8Array.from(blocks.flatMap((b) => [...b])));
}

/** Multiplies the repacked blocks out, each step rounded to float32 as a runtime does. */
function multiplyOut(type: GgufBlockType, bytes: Uint8Array) {
  const { format } = repackedFormat(type);
  const { data, scales, offsets } = repackGguf(type, bytes);
  const count = (data.length * 8) / format.bits;
  return Array.from({ length: count }, (_, i) => {
    const byte = data[format.bits === 8 ? i : i >> 1] ?? 0;
    const quantum = format.bits === 8 ? byte : i % 2 === 0 ? byte & 15 : byte >> 4;
    const group = Math.floor(i / format.blockSize);
    const offset = offsets?.[group] ?? 0;
    const product = Math.fround((quantum - 2 ** (format.bits - 1)) * (scales[group] ?? 0));
    return { value: Math.fround(product + offset), offset };
  });
}

describe.each(blockTypes)("blocks of type %s", (type) => {
  const { blockSize, blockBytes } = ggufTypes[type];

  it("decode to what the format's definition says, rounded once", () => {
    fc.assert(
      fc.property(arbitraryBlocks(type), (bytes) => {
        const values = decodeGguf(type, bytes);
        values.forEach((value, index) => {
          const block = Math.floor(index / blockSize);
          const inBlock = bytes.subarray(block * blockBytes, (block + 1) * blockBytes);
          // Adding 0 makes -0 and 0 one.
          expect(value + 0).toBe(Math.fround(definitions[type](inBlock, index % blockSize)) + 0);
        });
      }),
      { numRuns: 30 },
    );
  });

  it("repack without loss: exactly without offsets, else within the roundings of the offset and the sum", () => {
    fc.assert(
      fc.property(arbitraryBlocks(type), (bytes) => {
        const values = decodeGguf(type, bytes);
        const repacked = multiplyOut(type, bytes);
        expect(repacked).toHaveLength(values.length);
        repacked.forEach(({ value, offset }, index) => {
          const exact = values[index] ?? 0;
          // Half an ulp each: of the offset, of the sum, and of the value that is compared with.
          const slack = repackedFormat(type).hasOffsets
            ? 2 ** -24 * (Math.abs(offset) + 2 * Math.abs(exact))
            : 0;
          expect(Math.abs(value - exact)).toBeLessThanOrEqual(slack);
        });
      }),
      { numRuns: 30 },
    );
  });

  it("hold what the test quantiser puts in, as closely as its step allows", () => {
    const values = Float32Array.from(
      { length: 512 },
      (_, i) => Math.sin(0.7 * i) + 0.3 * Math.cos(0.01 * i * i),
    );
    const decoded = decodeGguf(type, encodeGgufTensor(type.toLowerCase() as GgufTensorType, values));
    const worst = Math.max(...values.map((value, i) => Math.abs(value - (decoded[i] ?? 0))));
    // The range is within -1.3 and 1.3; a step is that over the quanta, scales of 6 bits cost a little more.
    const quanta = { Q8_0: 255, Q4_0: 15, Q4_1: 15, Q5_0: 31, Q5_1: 31, Q4_K: 15, Q5_K: 31, Q6_K: 63 }[type];
    expect(worst).toBeLessThan((1.25 * 2.6) / quanta);
  });
});

describe("blocks of GGUF", () => {
  it("keep a minimum whose scale is zero", () => {
    const block = encodeGgufTensor("q4_1", new Float32Array(32).fill(-0.75));
    expect(decodeGguf("Q4_1", block)).toEqual(new Float32Array(32).fill(-0.75));
    expect(multiplyOut("Q4_1", block).map(({ value }) => value)).toEqual(Array(32).fill(-0.75));
  });

  it("decode plain types at any byte offset", () => {
    const values = Float32Array.from([1, -2.5, 0, 0.15625]);
    for (const [type, name] of [
      ["F32", "f32"],
      ["F16", "f16"],
      ["BF16", "bf16"],
    ] as const) {
      const bytes = encodeGgufTensor(name, values);
      const shifted = new Uint8Array(bytes.length + 1);
      shifted.set(bytes, 1);
      expect(decodeGguf(type, shifted.subarray(1))).toEqual(values);
    }
  });
});
