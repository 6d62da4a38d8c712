import { describe, expect, it } from "vitest";
import { InvalidModelError, UnsupportedError } from "../errors.ts";
import { inverseFrequencies, type RopeScaling, ropeScalingSchema } from "./rope-scaling.ts";

const where = "model/config.json";

/** With D = 6 and theta = 512 the plain frequencies are 1, 1/8, 1/64. */
function frequencies(scaling?: RopeScaling): number[] {
  return [...inverseFrequencies(where, 6, 512, scaling)];
}

function expectClose(got: readonly number[], expected: readonly number[]): void {
  expect(got).toHaveLength(expected.length);
  got.forEach((value, index) => {
    expect(value).toBeCloseTo(expected[index] ?? Number.NaN, 14);
  });
}

describe("inverseFrequencies", () => {
  it("is theta^(-2i/D) without scaling, and with the scalings that leave trained positions alone", () => {
    const plain = [1, 1 / 8, 1 / 64];
    expectClose(frequencies(), plain);
    expectClose(frequencies({}), plain);
    expectClose(frequencies({ rope_type: "default" }), plain);
    expectClose(frequencies({ rope_type: "dynamic", factor: 4 }), plain);
  });

  it("divides all by the factor with linear scaling, under either name of the type", () => {
    const quarter = [1 / 4, 1 / 32, 1 / 256];
    expectClose(frequencies({ rope_type: "linear", factor: 4 }), quarter);
    expectClose(frequencies({ type: "linear", factor: 4 }), quarter);
    expectClose(frequencies({ rope_type: "linear", type: "dynamic", factor: 4 }), quarter);
  });

  it("keeps the high band, divides the low one and blends between in llama3", () => {
    // Turns within the trained length are 16 f: 16 (above 4: kept), 2 (a third of the way), 1/4 (below 1).
    const scaling = {
      rope_type: "llama3",
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 16 * 2 * Math.PI,
    };
    expectClose(frequencies(scaling), [1, (2 / 3) * (1 / 64) + (1 / 3) * (1 / 8), 1 / 512]);
  });

  it("has no jump where the bands of llama3 meet", () => {
    const at = (turns: number): number =>
      frequencies({
        rope_type: "llama3",
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: turns * 8 * 2 * Math.PI,
      })[1] ?? Number.NaN;
    expect(at(1 - 1e-9)).toBeCloseTo(1 / 64, 8);
    expect(at(1 + 1e-9)).toBeCloseTo(1 / 64, 8);
    expect(at(4 - 1e-9)).toBeCloseTo(1 / 8, 8);
    expect(at(4 + 1e-9)).toBeCloseTo(1 / 8, 8);
  });

  it.each(["yarn", "longrope", "su", "constructor"])("refuses %s by its name", (type) => {
    expect(() => frequencies({ rope_type: type })).toThrow(UnsupportedError);
    expect(() => frequencies({ type })).toThrow(
      `model/config.json: this version does not run rope_scaling, got "${type}", expected default, dynamic, linear, llama3.`,
    );
  });

  it("names the field that a scaling lacks", () => {
    expect(() => frequencies({ rope_type: "linear" })).toThrow(InvalidModelError);
    expect(() => frequencies({ rope_type: "linear" })).toThrow("field rope_scaling.factor is missing");
    const complete: RopeScaling = {
      rope_type: "llama3",
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    };
    for (const field of Object.keys(complete).slice(1)) {
      const scaling = { ...complete, [field]: undefined };
      expect(() => frequencies(scaling)).toThrow(`field rope_scaling.${field} is missing`);
    }
  });

  it("takes no negative, zero or textual factor", () => {
    for (const factor of [-1, 0, "8", Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(ropeScalingSchema.safeParse({ type: "linear", factor }).success).toBe(false);
    }
  });
});
