import { describe, expect, it } from "vitest";
import {
  bfloat16ToFloat16,
  decodeBfloat16,
  decodeFloat16,
  encodeBfloat16,
  encodeFloat16,
  findNonFiniteFloat16,
  roundToFloat16,
} from "./half-float.ts";

const patterns = Uint16Array.from({ length: 0x10000 }, (_, pattern) => pattern);

/** Reads float16 by its definition, in float64. */
function float16Value(pattern: number): number {
  const sign = pattern < 0x8000 ? 1 : -1;
  const exponent = (pattern >>> 10) & 0x1f;
  const mantissa = pattern & 0x3ff;
  if (exponent === 0x1f) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

describe("float16", () => {
  it("decodes every pattern as IEEE 754 defines it", () => {
    const decoded = decodeFloat16(patterns);
    expect(patterns.findIndex((pattern) => !Object.is(decoded[pattern], float16Value(pattern)))).toBe(-1);
  });

  it("encodes back to the same pattern, payloads of NaN included", () => {
    const again = encodeFloat16(decodeFloat16(patterns));
    expect(patterns.findIndex((pattern) => again[pattern] !== pattern)).toBe(-1);
  });

  it("rounds what lies between two neighbours to the nearer, and halfway to the even one", () => {
    // Over all neighbours up to infinity: the step from 65504 counts as if 65536 were its end.
    const wrong = Array.from({ length: 0x7c00 }, (_, low) => low).filter((low) => {
      const below = float16Value(low);
      const above = low === 0x7bff ? 65536 : float16Value(low + 1);
      const middle = (below + above) / 2;
      const step = (above - below) / 8;
      const [half, under, over, minusHalf] = encodeFloat16([middle, middle - step, middle + step, -middle]);
      const even = low % 2 === 0 ? low : low + 1;
      return half !== even || under !== low || over !== low + 1 || minusHalf !== (even | 0x8000);
    });
    expect(wrong).toEqual([]);
  });

  it.each([
    [65519.99, 0x7bff],
    [65520, 0x7c00],
    [3.4e38, 0x7c00],
    [-1e6, 0xfc00],
    [2 ** -25, 0],
    [2 ** -25 * 1.001, 1],
    [-(2 ** -26), 0x8000],
    [1e-45, 0],
  ])("encodes %d as %d", (value, pattern) => {
    expect([...encodeFloat16([value])]).toEqual([pattern]);
  });

  it("keeps a NaN whose payload lies in the bits that are dropped", () => {
    const quiet = new Float32Array(Uint32Array.of(0x7f800001).buffer);
    expect([...decodeFloat16(encodeFloat16(quiet))]).toEqual([Number.NaN]);
  });
});

describe("bfloat16", () => {
  it("decodes every pattern as the upper half of a float32", () => {
    const upper = new Uint32Array(decodeBfloat16(patterns).buffer);
    expect(patterns.findIndex((pattern) => upper[pattern] !== pattern * 0x10000)).toBe(-1);
  });

  it("encodes back to the same pattern, payloads of NaN included", () => {
    const again = encodeBfloat16(decodeBfloat16(patterns));
    expect(patterns.findIndex((pattern) => again[pattern] !== pattern)).toBe(-1);
  });

  it.each([
    ["halfway to the even neighbour, below", 0x3f808000, 0x3f80],
    ["halfway to the even neighbour, above", 0x3f818000, 0x3f82],
    ["just over halfway", 0x3f808001, 0x3f81],
    ["just under halfway", 0x3f807fff, 0x3f80],
    ["a negative", 0xbf818000, 0xbf82],
    ["the largest float32 to infinity", 0x7f7fffff, 0x7f80],
    ["a subnormal", 0x00018000, 0x0002],
    ["a NaN with its payload in the bits that are dropped", 0x7f800001, 0x7fc0],
  ])("rounds %s", (_, bits, pattern) => {
    expect([...encodeBfloat16(new Float32Array(Uint32Array.of(bits).buffer))]).toEqual([pattern]);
  });
});

describe("from one half to the other", () => {
  it("turns every bfloat16 into the nearest float16", () => {
    expect(bfloat16ToFloat16(patterns)).toEqual(encodeFloat16(decodeBfloat16(patterns)));
    // 65280 is the last bfloat16 that float16 holds; the next is 65536.
    expect([...bfloat16ToFloat16(Uint16Array.of(0x477f, 0x4780, 0xc780))]).toEqual([0x7bf8, 0x7c00, 0xfc00]);
  });

  it("finds the first float16 that is no number", () => {
    const numbers = patterns.filter((pattern) => (pattern & 0x7fff) < 0x7c00);
    expect(findNonFiniteFloat16(numbers)).toBe(-1);
    expect(findNonFiniteFloat16(Uint16Array.of(0x7bff, 0x8000, 0xfc00, 0x7c01))).toBe(2);
    expect(findNonFiniteFloat16(Uint16Array.of(0x7e00))).toBe(0);
    expect(findNonFiniteFloat16(new Uint16Array())).toBe(-1);
  });

  it("rounds a number as encoding and decoding does", () => {
    for (const value of [0, -0, 1 / 3, -2049, 2051, 65519, 65520, 1e-8, 2 ** -24, Number.NaN])
      expect(roundToFloat16(value)).toBe(decodeFloat16(encodeFloat16([value]))[0]);
  });
});

it("takes part of a larger buffer", () => {
  expect([...encodeFloat16(Float32Array.of(9, 1, 2).subarray(1))]).toEqual([0x3c00, 0x4000]);
  expect([...decodeFloat16(Uint16Array.of(9, 0x3c00).subarray(1))]).toEqual([1]);
});
