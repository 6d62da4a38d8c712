import { describe, expect, it } from "vitest";
import { countArrayBytes, joinFloats, SavedArrays } from "./state-arrays.ts";

describe("arrays of a state", () => {
  it("have 4 bytes an element in float32 and 8 in float64", () => {
    const sizes = [
      { name: "keys", length: 3, dtype: "float32" },
      { name: "sums", length: 5, dtype: "float64" },
    ] as const;
    expect([[], sizes.slice(0, 1), sizes].map(countArrayBytes)).toEqual([0, 12, 52]);
  });

  it("are joined, and taken apart part by part", () => {
    const parts = [[1, 2], [], [3]].map((part) => Float32Array.from(part));
    const keys = joinFloats(parts);
    expect(keys).toEqual(Float32Array.of(1, 2, 3));
    const sums = Float64Array.of(4, 5);
    const saved = new SavedArrays(
      new Map<string, Float32Array | Float64Array>(Object.entries({ keys, sums })),
    );
    expect([saved.has("keys"), saved.has("values")]).toEqual([true, false]);
    expect(saved.floats("keys", 1)).toEqual(Float32Array.of(1));
    expect(saved.numbers("keys")).toEqual(Float32Array.of(2, 3));
    expect(saved.doubles("sums")).toEqual(sums);
    expect(() => saved.floats("keys", 1)).toThrow(/array keys is missing or too short/);
    expect(() => saved.floats("values")).toThrow(/array values is missing/);
    const again = new SavedArrays(
      new Map<string, Float32Array | Float64Array>(Object.entries({ keys, sums })),
    );
    expect(() => again.doubles("keys")).toThrow(/array keys is not of float64/);
    expect(() => again.floats("sums")).toThrow(/array sums is not of float32/);
  });
});
