import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeGgufTensor } from "../../test/support/gguf/gguf-quantize.ts";
import { quantizeRows } from "./block-quantization.ts";
import { decodeGguf, repackGguf } from "./gguf-blocks.ts";
import { encodeGguf } from "./gguf-encoding.ts";

const block = fc.array(fc.float({ min: -100, max: 100, noNaN: true }), { minLength: 32, maxLength: 32 });
const blocks = fc
  .array(block, { minLength: 1, maxLength: 4 })
  .map((parts) => Float32Array.from(parts.flat()));

describe("encodeGguf", () => {
  it("gives Q8_0 the integers of our own 8-bit blocks, and their scales rounded to float16", () => {
    fc.assert(
      fc.property(blocks, (values) => {
        const own = quantizeRows(values, 32, { bits: 8, blockSize: 32 });
        const read = repackGguf("Q8_0", encodeGguf("Q8_0", values));
        expect(read.data).toEqual(own.data);
        for (const [index, scale] of own.scales.entries()) {
          const got = read.scales[index] ?? Number.NaN;
          // Half a unit in the last of 11 bits; below the normal range half of the least step, 2^-24.
          expect(Math.abs(got - scale)).toBeLessThanOrEqual(Math.max(scale * 2 ** -11, 2 ** -25));
        }
      }),
    );
  });

  it("is ggml's formula, but for ties", () => {
    const values = Float32Array.from({ length: 320 }, (_, index) => Math.sin(index * 12.9898) * 3);
    expect(encodeGguf("Q8_0", values)).toEqual(encodeGgufTensor("q8_0", values));
  });

  it("writes plain types as they are, float16 rounded", () => {
    const values = Float32Array.of(1, -0.1, 65504, 1e-9);
    expect(decodeGguf("F32", encodeGguf("F32", values))).toEqual(values);
    expect(encodeGguf("F16", values)).toEqual(encodeGgufTensor("f16", values));
  });

  it("refuses what is no number, and what float16 does not hold", () => {
    expect(() => encodeGguf("F16", Float32Array.of(1e6))).toThrow(/too large for float16, got 1000000/);
    expect(() => encodeGguf("Q8_0", new Float32Array(32).fill(Number.NaN))).toThrow(/no number/);
    expect(() => encodeGguf("Q8_0", new Float32Array(32).fill(1e8))).toThrow(/float16/);
  });
});
