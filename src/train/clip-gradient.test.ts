import { describe, expect, it } from "vitest";
import { clipGradients, globalNorm } from "./clip-gradient.ts";

function gradients(): Map<string, Float32Array> {
  return new Map([
    ["a", Float32Array.of(3, 0)],
    ["b", Float32Array.of(-4)],
  ]);
}

describe("clipGradients", () => {
  it("scales all arrays by one factor, to the norm that is allowed", () => {
    const own = gradients();
    expect(clipGradients(own, 1)).toBe(5);
    expect(own.get("a")?.[0]).toBeCloseTo(0.6, 6);
    expect(own.get("b")?.[0]).toBeCloseTo(-0.8, 6);
    expect(globalNorm(own)).toBeCloseTo(1, 6);
  });

  it("leaves gradients at or below the norm as they are", () => {
    const own = gradients();
    expect(clipGradients(own, 5)).toBe(5);
    expect(clipGradients(own, Number.POSITIVE_INFINITY)).toBe(5);
    expect(own).toEqual(gradients());
    expect(clipGradients(new Map(), 1)).toBe(0);
  });

  it("sums large values without overflow", () => {
    const own = new Map([["a", Float32Array.of(3e38, 3e38)]]);
    expect(clipGradients(own, 1)).toBeCloseTo(3e38 * Math.SQRT2, -33);
    expect(own.get("a")?.[1]).toBeCloseTo(Math.SQRT1_2, 6);
  });

  it("tells of a gradient that is no number and changes nothing", () => {
    const own = new Map([["a", Float32Array.of(Number.NaN, 7)]]);
    expect(clipGradients(own, 1)).toBeNaN();
    expect(own.get("a")?.[1]).toBe(7);
  });

  it("refuses a norm that is not positive", () => {
    expect(() => clipGradients(gradients(), 0)).toThrow(/maxNorm: out of range, got 0/);
    expect(() => clipGradients(gradients(), Number.NaN)).toThrow(/maxNorm/);
  });
});
