import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InternalError, InvalidRequestError } from "../errors.ts";
import { makeSampler, type SamplingOptions } from "./sampler.ts";

const drawCount = 4000;

/** Counts what one sampler draws from the same logits again and again. */
function countDraws(logits: readonly number[], options: SamplingOptions, recentIds: number[] = []): number[] {
  const sample = makeSampler({ seed: 7, ...options });
  const counts = logits.map(() => 0);
  const array = Float32Array.from(logits);
  for (let index = 0; index < drawCount; index++) {
    const id = sample(array, recentIds);
    counts[id] = (counts[id] ?? 0) + 1;
  }
  return counts;
}

/** Returns Pearson's chi-square of counts against weights; infinite where something impossible came. */
function chiSquare(counts: readonly number[], weights: readonly number[]): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const drawn = counts.reduce((sum, count) => sum + count, 0);
  return counts.reduce((sum, count, id) => {
    const wanted = (drawn * (weights[id] ?? 0)) / total;
    if (wanted === 0) return count === 0 ? sum : Number.POSITIVE_INFINITY;
    return sum + (count - wanted) ** 2 / wanted;
  }, 0);
}

/** The 0.9999 quantile of chi-square with five degrees of freedom, the most here: a right sampler stays below. */
const chiLimit = 25.7;

const logits = [2, 1.5, 1, 0, -1, -2];
const softmax = (temperature: number): number[] => logits.map((logit) => Math.exp(logit / temperature));
const only = (weights: readonly number[], kept: readonly number[]): number[] =>
  weights.map((weight, id) => (kept.includes(id) ? weight : 0));

describe("greedy sampling", () => {
  it("is the default, and takes the likeliest token", () => {
    expect(makeSampler()(Float32Array.of(-3, 0.5, 0.25), [])).toBe(1);
    expect(makeSampler({ temperature: 0, topP: 0.1, minP: 0.9 })(Float32Array.of(-3, -1, -2), [])).toBe(1);
  });

  it("takes the lowest id of equals", () => {
    expect(makeSampler()(Float32Array.of(0, 4, 4, 4), [])).toBe(1);
  });

  it("passes over logits that are not numbers", () => {
    const odd = Float32Array.of(Number.NaN, Number.NEGATIVE_INFINITY, -5, Number.NaN);
    expect(makeSampler()(odd, [])).toBe(2);
    for (let seed = 0; seed < 20; seed++) expect(makeSampler({ temperature: 9, seed })(odd, [])).toBe(2);
  });

  it("refuses logits of which none is a number", () => {
    expect(() => makeSampler()(Float32Array.of(Number.NaN, Number.NaN), [])).toThrow(InternalError);
    expect(() => makeSampler({ temperature: 1 })(Float32Array.of(Number.NaN), [])).toThrow(/finite logits/);
  });
});

describe("drawing", () => {
  it.each([0.5, 1, 2])("follows softmax(logits / temperature) at temperature %f", (temperature) => {
    const counts = countDraws(logits, { temperature });
    expect(chiSquare(counts, softmax(temperature))).toBeLessThan(chiLimit);
    // The statistic tells temperatures apart.
    expect(chiSquare(counts, softmax(temperature * 1.3))).toBeGreaterThan(chiLimit);
  });

  it("keeps the k likeliest tokens with topK", () => {
    for (const topK of [2, 3]) {
      const kept = Array.from({ length: topK }, (_, id) => id);
      const counts = countDraws(logits, { temperature: 1, topK });
      expect(chiSquare(counts, only(softmax(1), kept))).toBeLessThan(chiLimit);
    }
    expect(countDraws(logits, { temperature: 1, topK: 1 })).toEqual([drawCount, 0, 0, 0, 0, 0]);
    expect(countDraws(logits, { temperature: 1, topK: 100 })).toEqual(countDraws(logits, { temperature: 1 }));
  });

  it("keeps exactly k of equals, the lowest ids", () => {
    const counts = countDraws([1, 1, 1, 1], { temperature: 1, topK: 2 });
    expect(chiSquare(counts, [1, 1, 0, 0])).toBeLessThan(chiLimit);
  });

  it("keeps the fewest likeliest tokens whose probabilities reach topP", () => {
    // Probabilities 0.4, 0.3, 0.2, 0.1, shuffled.
    const shuffled = [0.2, 0.4, 0.1, 0.3].map(Math.log);
    const keptAt = (topP: number): number[] => countDraws(shuffled, { temperature: 1, topP });
    expect(keptAt(0.39)).toEqual([0, drawCount, 0, 0]);
    expect(chiSquare(keptAt(0.41), [0, 4, 0, 3])).toBeLessThan(chiLimit);
    expect(chiSquare(keptAt(0.69), [0, 4, 0, 3])).toBeLessThan(chiLimit);
    expect(chiSquare(keptAt(0.71), [2, 4, 0, 3])).toBeLessThan(chiLimit);
    expect(chiSquare(keptAt(1), [2, 4, 1, 3])).toBeLessThan(chiLimit);
  });

  it("keeps tokens of at least minP times the best one's probability", () => {
    const shuffled = [0.2, 0.4, 0.1, 0.3].map(Math.log);
    const keptAt = (minP: number): number[] => countDraws(shuffled, { temperature: 1, minP });
    expect(chiSquare(keptAt(0.2), [2, 4, 1, 3])).toBeLessThan(chiLimit);
    expect(chiSquare(keptAt(0.3), [2, 4, 0, 3])).toBeLessThan(chiLimit);
    expect(chiSquare(keptAt(0.6), [0, 4, 0, 3])).toBeLessThan(chiLimit);
    expect(keptAt(0.8)).toEqual([0, drawCount, 0, 0]);
    expect(keptAt(1)).toEqual([0, drawCount, 0, 0]);
  });

  it("applies temperature, then topK, then topP of what is left, then minP", () => {
    const probabilities = [0.4, 0.3, 0.2, 0.1].map(Math.log);
    // After topK 2 the best has 4/7 = 0.57: topP 0.5 keeps it alone, while of all four it would keep two.
    expect(countDraws(probabilities, { temperature: 1, topK: 2, topP: 0.5 })).toEqual([drawCount, 0, 0, 0]);
    // At temperature 2 the shares of the best's are the roots: 0.1/0.4 becomes 0.5, and minP 0.4 keeps it.
    const hot = countDraws(probabilities, { temperature: 2, minP: 0.4 });
    expect(chiSquare(hot, [4, 3, 2, 1].map(Math.sqrt))).toBeLessThan(chiLimit);
    // Temperature before topP: at 0.5 the best has 16/30 = 0.53, not 0.4.
    expect(countDraws(probabilities, { temperature: 0.5, topP: 0.5 })).toEqual([drawCount, 0, 0, 0]);
  });

  it("never draws a token of probability zero", () => {
    const counts = countDraws([0, Number.NEGATIVE_INFINITY, 0], { temperature: 100 });
    expect(chiSquare(counts, [1, 0, 1])).toBeLessThan(chiLimit);
  });

  it("stays in order at temperatures near zero and near infinity", () => {
    expect(countDraws(logits, { temperature: 1e-9 })).toEqual([drawCount, 0, 0, 0, 0, 0]);
    expect(chiSquare(countDraws(logits, { temperature: 1e9 }), [1, 1, 1, 1, 1, 1])).toBeLessThan(chiLimit);
  });

  it("leaves the logits as they were", () => {
    const array = Float32Array.from(logits);
    makeSampler({ temperature: 1, repetitionPenalty: 2, topK: 3, topP: 0.5 })(array, [0, 1]);
    expect([...array]).toEqual(logits);
  });
});

describe("the repetition penalty", () => {
  it("divides positive logits and multiplies negative ones", () => {
    const sample = makeSampler({ repetitionPenalty: 2 });
    expect(sample(Float32Array.of(3, 2), [0])).toBe(1);
    expect(sample(Float32Array.of(3, 1.4), [0])).toBe(0);
    expect(sample(Float32Array.of(-1, -1.9), [0])).toBe(1);
    expect(sample(Float32Array.of(-1, -2.1), [0])).toBe(0);
  });

  it("counts a token once, however often it came", () => {
    const counts = countDraws([2, 1], { temperature: 1, repetitionPenalty: 2 }, [0, 0, 0]);
    expect(chiSquare(counts, [1, 1])).toBeLessThan(chiLimit);
  });

  it("comes before the temperature", () => {
    // (2 / 2) / 0.5 = 2, against 1 / 0.5 = 2.
    const counts = countDraws([2, 1], { temperature: 0.5, repetitionPenalty: 2 }, [0]);
    expect(chiSquare(counts, [1, 1])).toBeLessThan(chiLimit);
  });

  it("favours repetition below one and ignores ids beyond the vocabulary", () => {
    expect(makeSampler({ repetitionPenalty: 0.5 })(Float32Array.of(1, 1.5), [0, 99])).toBe(0);
  });
});

describe("the seed", () => {
  const draws = (seed: number | undefined, count: number): number[] => {
    const sample = makeSampler({ temperature: 1, ...(seed !== undefined && { seed }) });
    return Array.from({ length: count }, () => sample(new Float32Array(16), []));
  };

  it("makes draws repeatable", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (seed) => {
        expect(draws(seed, 20)).toEqual(draws(seed, 20));
      }),
      { numRuns: 20 },
    );
  });

  it("decides the very first draw: neighbouring seeds are as good as independent ones", () => {
    // One answer a seed is how people sample; a weakly seeded generator gives them all the same first token.
    for (const position of [0, 1, 2]) {
      const counts = new Array<number>(16).fill(0);
      for (let seed = 0; seed < 1600; seed++) {
        const id = draws(seed, position + 1)[position] ?? 0;
        counts[id] = (counts[id] ?? 0) + 1;
      }
      // The 0.9999 quantile with 15 degrees of freedom.
      expect(chiSquare(counts, new Array<number>(16).fill(1))).toBeLessThan(44.3);
    }
  });

  it("is random by default", () => {
    expect(draws(undefined, 40)).not.toEqual(draws(undefined, 40));
  });
});

describe("options out of range", () => {
  const refused: readonly [keyof SamplingOptions, readonly unknown[]][] = [
    ["temperature", [-0.1, Number.NaN, Number.POSITIVE_INFINITY, "0.5", null]],
    ["topK", [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "3"]],
    ["topP", [0, -0.5, 1.01, Number.NaN, "0.9", true]],
    ["minP", [-0.01, 1.01, Number.NaN, "0.1"]],
    ["repetitionPenalty", [0, -1, Number.NaN, Number.POSITIVE_INFINITY, "1"]],
    ["seed", [0.5, Number.NaN, Number.POSITIVE_INFINITY, "1", 2 ** 60]],
  ];
  it.each(refused)("are refused by name: %s", (name, values) => {
    for (const value of values) {
      const make = () => makeSampler({ [name]: value } as SamplingOptions);
      expect(make).toThrow(InvalidRequestError);
      expect(make).toThrow(new RegExp(`^${name}: out of range`));
    }
  });

  it("do not include the borders that have a meaning", () => {
    for (const options of [
      { temperature: 0 },
      { topK: 0 },
      { topP: 1 },
      { minP: 0 },
      { minP: 1 },
      { seed: -3 },
    ])
      expect(makeSampler(options)(Float32Array.of(0, 1), [])).toBe(1);
  });
});
