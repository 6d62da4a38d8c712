import { describe, expect, it } from "vitest";
import { addScaled, zerosLike } from "./parameters.ts";

describe("addScaled", () => {
  it("adds up the mean of several gradients", () => {
    const gradients = [1, 2, 6].map((value) => new Map([["w", Float32Array.of(value, -value)]]));
    const [first] = gradients;
    const sums = zerosLike(first ?? new Map());
    for (const gradient of gradients) addScaled(sums, gradient, 1 / 3);
    expect([...(sums.get("w") ?? [])]).toEqual([3, -3].map((value) => expect.closeTo(value, 6)));
    expect(first?.get("w")?.[0]).toBe(1);
  });
});
