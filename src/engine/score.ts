/**
 * Scoring: reads an input into a session like a prefill and keeps how likely each of its tokens was.
 *
 * The logits of all tokens of a run come from the run that reads them, so that it costs little more than reading.
 * Only those of one run are held at a time.
 */

import { logLikelihood } from "./log-likelihood.ts";
import { type AppendOptions, type AppendResult, type InputEncoding, prefill } from "./prefill.ts";
import type { SessionCore } from "./session-core.ts";
import type { SessionInput } from "./token-input.ts";

/** Tells how likely the tokens of an input were, T of them. */
export interface ScoreResult extends AppendResult {
  /**
   * The natural logarithm of each token's probability given all before it, float64 `[T]`, at most 0; NaN for the
   * first token of a stream, which nothing predicts.
   */
  readonly logLikelihoods: Float64Array;
  /** How often the memory had been written when each token was predicted, uint32 `[T]`. */
  readonly commitCounts: Uint32Array;
}

/** Most bytes of a run's logits: what WebGPU grants every buffer (maxStorageBufferBindingSize). */
const mostLogitBytes = 2 ** 27;

/**
 * Reads an input and scores its tokens.
 * @throws as {@link prefill} does.
 */
export async function score(
  core: SessionCore,
  input: SessionInput,
  options: AppendOptions,
  encoding: InputEncoding,
): Promise<ScoreResult> {
  const likelihoods: number[] = [];
  const commitCounts: number[] = [];
  /** Commits before the run that gave the session its logits. */
  let earlierCommits = core.state.commitCount;
  const read = async (ids: readonly number[]): Promise<void> => {
    const { logits: before, state } = core;
    const commits = state.commitCount;
    const logits = await core.read(ids, "prefill", ids.length);
    const rowElements = logits.length / ids.length;
    for (const [index, id] of ids.entries()) {
      const row = index === 0 ? before : logits.subarray((index - 1) * rowElements, index * rowElements);
      likelihoods.push(row === undefined ? Number.NaN : logLikelihood(row, id));
      commitCounts.push(index === 0 ? earlierCommits : commits);
    }
    earlierCommits = commits;
  };
  const bytesPerRow = Float32Array.BYTES_PER_ELEMENT * encoding.vocabularySize;
  const mostTokens = Math.max(1, Math.floor(mostLogitBytes / bytesPerRow));
  const result = await prefill(core, input, options, encoding, { mostTokens, read });
  return {
    ...result,
    logLikelihoods: Float64Array.from(likelihoods),
    commitCounts: Uint32Array.from(commitCounts),
  };
}
