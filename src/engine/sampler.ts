/**
 * Sampling: from logits to a token.
 *
 * The order is that of Hugging Face transformers: repetition penalty (arXiv 1909.05858), temperature, top-k,
 * top-p (nucleus, arXiv 1904.09751), min-p (arXiv 2407.01082), then a draw. Temperature 0 takes the best.
 */

import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { mersenne } from "pure-rand/generator/mersenne";
import { InternalError, InvalidRequestError } from "../errors.ts";

/** Chooses how tokens are drawn. */
export interface SamplingOptions {
  /** Divides the logits; 0 (the default) takes the likeliest token. */
  readonly temperature?: number;
  /** Keeps the k likeliest tokens; 0 (the default) keeps all. */
  readonly topK?: number;
  /** Keeps the likeliest tokens whose probabilities reach this sum, in (0, 1]; default 1. */
  readonly topP?: number;
  /** Keeps tokens of at least this share of the best one's probability, in [0, 1]; default 0. */
  readonly minP?: number;
  /** Makes tokens seen recently less likely: above 1 less, 1 (the default) as likely. */
  readonly repetitionPenalty?: number;
  /** Makes draws repeatable: the same seed (modulo 2^32), prompt and options give the same tokens. Random by default. */
  readonly seed?: number;
}

/**
 * Draws a token.
 * @param logits float32 `[V]`; not changed.
 * @param recentIds tokens that the repetition penalty looks at.
 */
export type Sampler = (logits: Float32Array, recentIds: readonly number[]) => number;

interface Candidate {
  readonly id: number;
  readonly logit: number;
}

function checkRange(name: string, got: unknown, fits: boolean, expected: string): void {
  // Strings from a form would compare as numbers and then be added as strings.
  if (typeof got !== "number" || !fits)
    throw new InvalidRequestError({ where: name, what: "out of range", got, expected });
}

function checkOptions(options: Required<Omit<SamplingOptions, "seed">>, seed: number | undefined): void {
  const { temperature, topK, topP, minP, repetitionPenalty } = options;
  checkRange(
    "temperature",
    temperature,
    temperature >= 0 && temperature < Number.POSITIVE_INFINITY,
    "a number >= 0",
  );
  checkRange("topK", topK, Number.isSafeInteger(topK) && topK >= 0, "a whole number >= 0");
  checkRange("topP", topP, topP > 0 && topP <= 1, "a number in (0, 1]");
  checkRange("minP", minP, minP >= 0 && minP <= 1, "a number in [0, 1]");
  const penalty = repetitionPenalty > 0 && repetitionPenalty < Number.POSITIVE_INFINITY;
  checkRange("repetitionPenalty", repetitionPenalty, penalty, "a number > 0");
  if (seed !== undefined) checkRange("seed", seed, Number.isSafeInteger(seed), "a whole number");
}

function penalise(logits: Float32Array, recentIds: readonly number[], penalty: number): Float32Array {
  if (penalty === 1) return logits;
  const changed = logits.slice();
  for (const id of new Set(recentIds)) {
    const logit = changed[id];
    if (logit !== undefined) changed[id] = logit > 0 ? logit / penalty : logit * penalty;
  }
  return changed;
}

function argmax(logits: Float32Array): number {
  let best = -1;
  let most = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] ?? Number.NaN;
    if (logit > most) {
      most = logit;
      best = id;
    }
  }
  if (best < 0)
    throw new InternalError({ where: "sampler", what: "no logit is a number", expected: "finite logits" });
  return best;
}

/** Returns the tokens in question, likeliest first when the choice needs an order. */
function listCandidates(
  logits: Float32Array,
  best: number,
  temperature: number,
  ordered: boolean,
): Candidate[] {
  const top = logits[best] ?? 0;
  // A token less likely than e^-40 of the best one is never drawn from 53 bits; leaving it out saves sorting it.
  const floor = top - 40 * temperature;
  const kept: Candidate[] = [];
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] ?? Number.NaN;
    if (logit >= floor) kept.push({ id, logit: (logit - top) / temperature });
  }
  return ordered ? kept.sort((a, b) => b.logit - a.logit || a.id - b.id) : kept;
}

function draw(candidates: readonly Candidate[], weights: readonly number[], uniform: number): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let left = uniform * total;
  for (const [index, { id }] of candidates.entries()) {
    left -= weights[index] ?? 0;
    if (left < 0) return id;
  }
  return candidates.at(-1)?.id ?? 0;
}

/** Returns how many of the ordered weights it takes to reach a share of their sum. */
function countToReach(weights: readonly number[], share: number): number {
  const goal = share * weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  for (const [index, weight] of weights.entries()) {
    sum += weight;
    if (sum >= goal) return index + 1;
  }
  return weights.length;
}

/**
 * Makes a sampler; it holds the state of its random numbers.
 * @throws {@link InvalidRequestError} naming the option that is out of range.
 */
export function makeSampler(options: SamplingOptions = {}): Sampler {
  const { temperature = 0, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1, seed } = options;
  checkOptions({ temperature, topK, topP, minP, repetitionPenalty }, seed);
  // A generator whose first number already depends on every bit of the seed: one draw a seed is a common use.
  const generator = mersenne(seed ?? Math.floor(Math.random() * 2 ** 32));
  return (logits, recentIds) => {
    const penalised = penalise(logits, recentIds, repetitionPenalty);
    const best = argmax(penalised);
    if (temperature === 0 || topK === 1) return best;
    let kept = listCandidates(penalised, best, temperature, topK > 0 || topP < 1);
    if (topK > 0) kept = kept.slice(0, topK);
    if (topP < 1) {
      const weights = kept.map(({ logit }) => Math.exp(logit));
      kept = kept.slice(0, countToReach(weights, topP));
    }
    if (minP > 0) kept = kept.filter(({ logit }) => logit >= Math.log(minP));
    const weights = kept.map(({ logit }) => Math.exp(logit));
    return draw(kept, weights, uniformFloat64(generator));
  };
}
