import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BlockFormat, quantizeRows } from "./block-quantization.ts";

/** Widens blocks again, by the format's definition. */
function dequantize({ bits, blockSize }: BlockFormat, data: Uint8Array, scales: Float32Array): Float32Array {
  const perByte = 8 / bits;
  return Float32Array.from({ length: data.length * perByte }, (_, index) => {
    const byte = data[Math.floor(index / perByte)] ?? Number.NaN;
    const quantum = bits === 8 ? byte : index % 2 === 0 ? byte & 15 : byte >> 4;
    return (quantum - 2 ** (bits - 1)) * (scales[Math.floor(index / blockSize)] ?? Number.NaN);
  });
}

/** Returns the squared error of the blocks of 32 that 4 bits leave. */
function searchedError(values: Float32Array): number {
  const { data, scales } = quantizeRows(values, 32, { bits: 4, blockSize: 32 });
  const back = dequantize({ bits: 4, blockSize: 32 }, data, scales);
  return values.reduce((sum, value, index) => sum + (value - (back[index] ?? Number.NaN)) ** 2, 0);
}

/** Returns the squared error when the largest weight of each block of 32 has `peakSteps` steps, of 4 bits. */
function fittedError(values: Float32Array, peakSteps: number): number {
  let total = 0;
  for (let start = 0; start < values.length; start += 32) {
    const block = values.subarray(start, start + 32);
    const peak = block.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
    const scale = peak === 0 ? 1 : peak / -peakSteps;
    for (const value of block)
      total += (value - Math.max(-8, Math.min(7, Math.round(value / scale))) * scale) ** 2;
  }
  return total;
}

const formats: readonly BlockFormat[] = [
  { bits: 8, blockSize: 32 },
  { bits: 8, blockSize: 16 },
  { bits: 4, blockSize: 32 },
];

describe("quantizeRows", () => {
  it("gives the largest weight of a block of 8 bits the quantum 127 away from zero", () => {
    const values = Float32Array.from({ length: 16 }, (_, index) => (index === 3 ? -2 : index / 16));
    const { data, scales } = quantizeRows(values, 16, { bits: 8, blockSize: 16 });
    expect(scales[0]).toBeCloseTo(2 / 127, 6);
    expect([data[3], data[0], data[8]]).toEqual([1, 128, 160]);
  });

  it("packs 4 bits two to a byte, the first in the low half", () => {
    const values = new Float32Array(16);
    values.set([-8, 7, 0, 1]);
    const { data, scales } = quantizeRows(values, 16, { bits: 4, blockSize: 16 });
    expect(scales[0]).toBe(1);
    expect([...data.subarray(0, 3)]).toEqual([0xf0, 0x98, 0x88]);
  });

  it("keeps a block of zeros exactly", () => {
    for (const format of formats) {
      const { data, scales } = quantizeRows(new Float32Array(64), 64, format);
      expect(dequantize(format, data, scales)).toEqual(new Float32Array(64));
    }
  });

  it("keeps what already is on the grid of a block of 8 bits", () => {
    const quanta = Array.from({ length: 32 }, (_, index) => (index === 0 ? 127 : index * 7 - 100));
    const values = Float32Array.from(quanta, (quantum) => quantum * 0.25);
    const { data, scales } = quantizeRows(values, 32, { bits: 8, blockSize: 32 });
    expect(dequantize({ bits: 8, blockSize: 32 }, data, scales)).toEqual(values);
  });

  it("errs by half a step at most where nothing is clipped", () => {
    const float = fc.float({ min: -1, max: 1, noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(fc.array(float, { minLength: 64, maxLength: 64 }), (numbers) => {
        const values = Float32Array.from(numbers);
        const { data, scales } = quantizeRows(values, 64, { bits: 8, blockSize: 32 });
        const back = dequantize({ bits: 8, blockSize: 32 }, data, scales);
        return values.every((value, index) => {
          const step = scales[Math.floor(index / 32)] ?? 0;
          // A little more than half: the scale is rounded to float32.
          return Math.abs(value - (back[index] ?? Number.NaN)) <= 0.5001 * step + 1e-38;
        });
      }),
    );
  });

  it("finds, for 4 bits, better scales than those that just fit the largest weights", () => {
    const values = Float32Array.from({ length: 32 * 64 }, (_, index) => Math.sin(index * 12.9898) ** 3);
    expect(searchedError(values)).toBeLessThan(0.99 * fittedError(values, 8));
  });

  it("never errs more, with 4 bits, than with a scale that just fits the largest weight", () => {
    const float = fc.float({ min: -1, max: 1, noNaN: true, noDefaultInfinity: true });
    // Odd powers: blocks of one size, of a few large weights, and of weights on the grid.
    const shaped = fc.tuple(
      fc.array(float, { minLength: 32, maxLength: 32 }),
      fc.constantFrom(1, 3, 9),
      fc.constantFrom(0, 4, 7, 8),
    );
    fc.assert(
      fc.property(shaped, ([numbers, power, steps]) => {
        const values = Float32Array.from(numbers, (number) =>
          steps === 0 ? number ** power : Math.round(number ** power * steps) / steps,
        );
        // Scales are rounded to float32, errors are summed in float64.
        const rounding = 1e-6 * values.reduce((sum, value) => sum + value ** 2, 0) + 1e-80;
        const searched = searchedError(values);
        return [7, 8].every((peak) => searched <= fittedError(values, peak) + rounding);
      }),
      { numRuns: 500 },
    );
  });

  it("refuses rows that are no whole blocks", () => {
    expect(() => quantizeRows(new Float32Array(48), 48, { bits: 8, blockSize: 32 })).toThrow(/48 columns/);
  });
});
