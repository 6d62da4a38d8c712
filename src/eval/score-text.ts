/**
 * One document through one model, each of its tokens scored by its likelihood.
 */

import type { Model } from "../engine/model.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { AskOptions, Outcome } from "./ask.ts";
import { type LikelihoodSums, meanNll, sumLikelihoods } from "./likelihood-sums.ts";
import type { LikelihoodExample } from "./task.ts";

/** Counts the UTF-8 bytes of the text of the tokens that something predicts. */
function countScoredBytes(
  tokenizer: Tokenizer | undefined,
  tokenIds: readonly number[],
  logLikelihoods: Float64Array,
): number | undefined {
  const scored = tokenIds.filter((_, position) => !Number.isNaN(logLikelihoods[position]));
  return tokenizer && new TextEncoder().encode(tokenizer.decode(scored)).length;
}

/** Is what came of a document; there is no answer, and no token is generated. */
export interface ScoredOutcome extends Outcome {
  readonly likelihoods: LikelihoodSums;
}

/** Scores a document; the score is the mean over its tokens, nats. @throws the signal's reason on abort. */
export async function scoreText(
  model: Model,
  { tokenIds, distanceTokens }: LikelihoodExample,
  { signal, residentBytes, onProgress }: AskOptions,
): Promise<ScoredOutcome> {
  let peakResidentBytes = residentBytes();
  using session = model.createSession();
  const { logLikelihoods, commitCounts } = await session.score(tokenIds, {
    signal,
    onProgress({ readTokens }) {
      peakResidentBytes = Math.max(peakResidentBytes, residentBytes());
      onProgress(readTokens);
    },
  });
  const byteCount = countScoredBytes(model.tokenizer, tokenIds, logLikelihoods);
  const likelihoods = { ...sumLikelihoods(logLikelihoods, commitCounts, distanceTokens), byteCount };
  const { lengthTokens, stats } = session;
  return {
    score: meanNll(likelihoods.byPosition),
    answer: "",
    documentTokens: lengthTokens,
    promptTokens: lengthTokens,
    commitCount: stats.commitCount,
    stateBytes: stats.stateBytes,
    peakResidentBytes,
    prefillTokensPerSecond: stats.prefillTokensPerSecond ?? null,
    decodeTokensPerSecond: null,
    timeToFirstTokenMs: null,
    meanGateOpening: [...stats.meanGateOpening],
    gateOpening: stats.gateOpening.map((heads) => [...heads]),
    likelihoods,
  };
}
