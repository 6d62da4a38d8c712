import { describe, expect, it } from "vitest";
import { logLikelihood } from "./log-likelihood.ts";

describe("logLikelihood", () => {
  it("is -log V where all logits are equal, however large", () => {
    for (const logit of [0, 1e4, -1e4])
      expect(logLikelihood(new Float32Array(7).fill(logit), 3)).toBeCloseTo(-Math.log(7), 14);
    expect(logLikelihood(Float32Array.of(5), 0)).toBe(0);
  });

  it("gives probabilities that sum to 1, in the ratio exp of the difference of logits", () => {
    const logits = Float32Array.of(-3, 0.5, 2, 11);
    const likelihoods = Array.from(logits, (_, id) => logLikelihood(logits, id));
    expect(likelihoods.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 14);
    expect((likelihoods[3] ?? 0) - (likelihoods[0] ?? 0)).toBeCloseTo(14, 13);
  });

  it("stays finite where the probability is below the smallest float64", () => {
    expect(logLikelihood(Float32Array.of(2000, 0), 1)).toBe(-2000);
  });
});
