/**
 * Sums of negative log likelihoods, in nats, by where a token stands and by how often the memory had been written.
 *
 * Buckets are fixed, so that records of any run can be put side by side: positions [0, 64), [64, 128), [128, 256)
 * and on by powers of two; commits 0, 1, [2, 4), [4, 8) and on. Each is named by its first number.
 */

import { z } from "zod";

/** Is a bucket that has tokens. */
export interface LikelihoodBucket {
  /** The first position, or number of commits, of the bucket. */
  readonly from: number;
  readonly tokenCount: number;
  /** Negative log likelihoods of those tokens, nats. */
  readonly totalNll: number;
}

/** Is what a record keeps of a document whose tokens were scored. */
export interface LikelihoodSums {
  /** By the position of a token in its document, from 0, ascending. The first token has no likelihood. */
  readonly byPosition: readonly LikelihoodBucket[];
  /** By the number of commits before a token was predicted, ascending. */
  readonly byCommits: readonly LikelihoodBucket[];
  /** Of the tokens from the position on that the task's `distanceTokens` says; no tokens in a short document. */
  readonly pastWindow: LikelihoodBucket;
  /** UTF-8 bytes of the text of all those tokens; undefined without a tokenizer, and in records of before. */
  readonly byteCount?: number | undefined;
}

const bucketSchema = z.object({
  from: z.number().int().nonnegative(),
  tokenCount: z.number().int().nonnegative(),
  totalNll: z.number(),
});

/** Checks the sums of a record. */
export const likelihoodSumsSchema: z.ZodType<LikelihoodSums> = z.object({
  byPosition: z.array(bucketSchema),
  byCommits: z.array(bucketSchema),
  pastWindow: bucketSchema,
  byteCount: z.number().int().nonnegative().optional(),
});

/** The second bucket of positions begins here. */
const leastPosition = 64;

/** Returns the first number of a bucket: 0, then powers of two from `least`. */
export function bucketStart(value: number, least: number): number {
  return value < least ? 0 : 2 ** Math.floor(Math.log2(value));
}

/** Returns the middle of a bucket of positions. */
export function middlePosition(from: number): number {
  return from === 0 ? leastPosition / 2 : 1.5 * from;
}

/** Writes what a bucket holds: 0 to 63, 64 to 127. */
export function describeBucket(kind: "byPosition" | "byCommits", from: number): string {
  const end = from === 0 ? (kind === "byPosition" ? leastPosition : 1) : 2 * from;
  return end - from === 1 ? String(from) : `${from} to ${end - 1}`;
}

class Buckets {
  readonly #least: number;
  readonly #buckets = new Map<number, { tokenCount: number; totalNll: number }>();

  constructor(least: number) {
    this.#least = least;
  }

  add(value: number, nll: number): void {
    const from = bucketStart(value, this.#least);
    const { tokenCount = 0, totalNll = 0 } = this.#buckets.get(from) ?? {};
    this.#buckets.set(from, { tokenCount: tokenCount + 1, totalNll: totalNll + nll });
  }

  list(): LikelihoodBucket[] {
    return [...this.#buckets].map(([from, sums]) => ({ from, ...sums })).sort((a, b) => a.from - b.from);
  }
}

/**
 * Sums the likelihoods of a document from its first token on.
 * @param logLikelihoods - nats `[T]`; NaN for tokens that nothing predicts.
 * @param commitCounts - `[T]`.
 * @param distanceTokens - the first position that counts as past the window.
 */
export function sumLikelihoods(
  logLikelihoods: Float64Array,
  commitCounts: Uint32Array,
  distanceTokens: number,
): LikelihoodSums {
  const byPosition = new Buckets(leastPosition);
  const byCommits = new Buckets(1);
  let [tokenCount, totalNll] = [0, 0];
  for (const [position, logLikelihood] of logLikelihoods.entries()) {
    if (Number.isNaN(logLikelihood)) continue;
    byPosition.add(position, -logLikelihood);
    byCommits.add(commitCounts[position] ?? 0, -logLikelihood);
    if (position < distanceTokens) continue;
    tokenCount++;
    totalNll -= logLikelihood;
  }
  const pastWindow = { from: distanceTokens, tokenCount, totalNll };
  return { byPosition: byPosition.list(), byCommits: byCommits.list(), pastWindow };
}

/** Returns the mean over all tokens, nats; NaN when there are none. */
export function meanNll(buckets: readonly LikelihoodBucket[]): number {
  const tokens = buckets.reduce((sum, { tokenCount }) => sum + tokenCount, 0);
  return buckets.reduce((sum, { totalNll }) => sum + totalNll, 0) / tokens;
}

/**
 * Returns the mean over a text's bytes, bits: what models of different tokenizers can be compared by. Undefined where
 * some document's bytes are not known, or there are none.
 */
export function bitsPerByte(documents: readonly LikelihoodSums[]): number | undefined {
  let [bytes, nats] = [0, 0];
  for (const { byteCount, byPosition } of documents) {
    if (byteCount === undefined) return undefined;
    bytes += byteCount;
    nats += byPosition.reduce((sum, { totalNll }) => sum + totalNll, 0);
  }
  return bytes === 0 ? undefined : nats / Math.LN2 / bytes;
}
