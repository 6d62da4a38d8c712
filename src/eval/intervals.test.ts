import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bootstrapInterval, mean, wilsonInterval } from "./intervals.ts";

describe("wilsonInterval", () => {
  // Newcombe (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
  it.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])("of %i in %i is the published one", (successes, count, low, high) => {
    const interval = wilsonInterval(successes / count, count);
    expect(interval[0]).toBeCloseTo(low, 4);
    expect(interval[1]).toBeCloseTo(high, 4);
  });

  it("holds the share, stays within [0, 1] and says nothing of nothing", () => {
    const property = fc.property(fc.integer({ min: 1, max: 500 }), fc.nat(500), (count, successes) => {
      const share = Math.min(successes, count) / count;
      const [low, high] = wilsonInterval(share, count);
      expect(low).toBeGreaterThanOrEqual(0);
      expect(low).toBeLessThanOrEqual(share);
      expect(high).toBeGreaterThanOrEqual(share);
      expect(high).toBeLessThanOrEqual(1);
      expect(high - low).toBeGreaterThan(0);
    });
    fc.assert(property);
    expect(wilsonInterval(0, 0)).toEqual([0, 1]);
  });
});

describe("bootstrapInterval", () => {
  it("is as wide as the normal one, for many values", () => {
    const values = Array.from({ length: 400 }, (_, index) => index / 399);
    const [low, high] = bootstrapInterval(values);
    // Of even values in [0, 1] the deviation is 0.289; the mean's 1.96 deviations are 0.0284.
    expect(mean(values) - low).toBeCloseTo(0.0284, 2);
    expect(high - mean(values)).toBeCloseTo(0.0284, 2);
    expect(bootstrapInterval(values)).toEqual([low, high]);
  });

  it("is a point for equal values, and none for no values", () => {
    expect(bootstrapInterval([0.25, 0.25, 0.25])).toEqual([0.25, 0.25]);
    expect(bootstrapInterval([0.75])).toEqual([0.75, 0.75]);
    expect(bootstrapInterval([])).toEqual([Number.NaN, Number.NaN]);
  });
});
