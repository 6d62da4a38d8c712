import { describe, expect, it } from "vitest";
import { InvalidModelError, UnsupportedError } from "../errors.ts";
import { type RopeScaling, type Rotary, readRotary, ropeScalingSchema } from "./rope-scaling.ts";

const where = "model/config.json";

/** With D = 6 and theta = 512 the plain frequencies are 1, 1/8, 1/64. */
function read(scaling?: RopeScaling, originalPositions?: number): Rotary {
  return readRotary(where, { rotatedSize: 6, theta: 512, maxPositions: 4096, originalPositions, scaling });
}

function frequencies(scaling?: RopeScaling): number[] {
  return [...read(scaling).inverseFrequencies];
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

  it("divides each by its short factor in longrope, which holds within the original length", () => {
    const scaling = { rope_type: "longrope", short_factor: [1, 2, 4] };
    for (const given of [scaling, { ...scaling, rope_type: undefined, type: "su" }]) {
      const rotary = read(given, 1024);
      expectClose([...rotary.inverseFrequencies], [1, 1 / 16, 1 / 256]);
      expect(rotary.maxPositions).toBe(1024);
      // The length grows fourfold: 1 + ln 4 / ln 1024 = 1.2.
      expect(rotary.rotaryScale).toBeCloseTo(Math.sqrt(1.2), 14);
    }
    expect(read({ ...scaling, original_max_position_embeddings: 1024 })).toEqual(read(scaling, 1024));
    expect(read({ ...scaling, factor: 4 }, 1024)).toEqual(read(scaling, 1024));
    expect(read({ ...scaling, attention_factor: 1.5 }, 1024).rotaryScale).toBe(1.5);
    expect(read(scaling, 4096)).toMatchObject({ rotaryScale: 1, maxPositions: 4096 });
  });

  it("takes the factor of longrope from the field when no original length is known", () => {
    const rotary = read({ rope_type: "longrope", short_factor: [1, 2, 4], factor: 8 });
    // 1 + ln 8 / ln 4096 = 1.25.
    expect(rotary.rotaryScale).toBeCloseTo(Math.sqrt(1.25), 14);
    expect(rotary.maxPositions).toBe(4096);
  });

  it("refuses a longrope without a short factor a pair, or with two different factors", () => {
    for (const short_factor of [undefined, [1, 2], [1, 2, 3, 4]]) {
      expect(() => read({ rope_type: "longrope", short_factor }, 1024)).toThrow(InvalidModelError);
      expect(() => read({ rope_type: "longrope", short_factor }, 1024)).toThrow(
        "field rope_scaling.short_factor does not fit",
      );
    }
    const both = { rope_type: "longrope", short_factor: [1, 1, 1], factor: 3 };
    expect(() => read(both, 1024)).toThrow(UnsupportedError);
    expect(() => read(both, 1024)).toThrow("this version does not run rope_scaling.factor");
    expect(() => read({ rope_type: "longrope", short_factor: [1, 1, 1] })).toThrow(
      "field rope_scaling.factor is missing",
    );
  });

  it("divides ever more towards the low ones in ntkmixed, by whole factors, and lengthens the positions", () => {
    // With power 1: by 16 to the powers 1/3, 2/3 and 1.
    const expected = [16 ** (-1 / 3), 16 ** (-2 / 3) / 8, 1 / 16 / 64];
    for (const factor of [16, 16.9]) {
      const rotary = read({ type: "ntkmixed", factor, power: 1 });
      expectClose([...rotary.inverseFrequencies], expected);
      expect(rotary).toMatchObject({ maxPositions: 16 * 4096, rotaryScale: 1 });
    }
    // With power 2: by 9 to the powers 1/9, 4/9 and 1.
    expectClose(frequencies({ type: "ntkmixed", factor: 9, power: 2 }), [
      9 ** (-1 / 9),
      9 ** (-4 / 9) / 8,
      1 / 9 / 64,
    ]);
    expect(() => read({ type: "ntkmixed", factor: 16 })).toThrow("field rope_scaling.power is missing");
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

  it.each(["yarn", "ntk", "constructor"])("refuses %s by its name", (type) => {
    expect(() => frequencies({ rope_type: type })).toThrow(UnsupportedError);
    expect(() => frequencies({ type })).toThrow(
      `model/config.json: this version does not run rope_scaling, got "${type}", expected default, dynamic, linear, llama3, longrope, su, ntkmixed.`,
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
