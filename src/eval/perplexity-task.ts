/**
 * Perplexity: how likely every token of a text is, given all that a model remembers of those before it.
 *
 * The protocol of PG-19 (arXiv 1911.05507): texts as they are, likelihood by position. Slices lie behind one another
 * and are never repeated: a text read twice is not a longer one, since a model may copy it.
 */

import { InvalidRequestError } from "../errors.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { TrainingRecords } from "../train/data/training-records.ts";
import type { LikelihoodTask } from "./task.ts";
import { type TextSlice, TextSlices } from "./text-slices.ts";

/** Chooses what is read. */
export interface PerplexityTaskOptions {
  readonly records: TrainingRecords;
  /** The first position that counts as past the window. */
  readonly distanceTokens: number;
}

/** Creates the task. */
export function createPerplexityTask(
  tokenizer: Tokenizer,
  { records, distanceTokens }: PerplexityTaskOptions,
): LikelihoodTask {
  const slices = new TextSlices(records, tokenizer);
  const head = tokenizer.encode("");
  const find = async (lengthTokens: number, wanted: number, signal?: AbortSignal): Promise<TextSlice[]> =>
    lengthTokens - head.length < 2 ? [] : slices.find(lengthTokens - head.length, wanted, signal);
  return {
    name: "perplexity",
    metric: "nll",
    settings: { distanceTokens, haystack: records.identity.slice(0, 16) },
    async countExamples(lengthTokens, wanted, signal) {
      return (await find(lengthTokens, wanted, signal)).length;
    },
    async makeExample(lengthTokens, index, signal) {
      const slice = (await find(lengthTokens, index + 1, signal))[index];
      if (slice !== undefined) return { tokenIds: [...head, ...slice.readIds()], distanceTokens, about: {} };
      throw new InvalidRequestError({
        where: "perplexity: lengthTokens",
        what: "out of range",
        got: lengthTokens,
        expected: `at most what a text of --haystack has, ${head.length + 2} or more`,
      });
    },
  };
}
