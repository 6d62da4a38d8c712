/**
 * LongBench v1 (arXiv 2308.14508): questions, summaries, classes and code over documents as they are.
 *
 * A length is the most tokens of prompt and answer: what is longer is cut in its middle, as the official script does,
 * and the record says so; a length above all prompts leaves them whole. Scores are the official metrics, in [0, 1].
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { InvalidRequestError } from "../errors.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { longBenchDataSets, scoreLongBench } from "./longbench-data-sets.ts";
import type { LongBenchName } from "./longbench-prompts.ts";
import type { LongBenchRecord } from "./longbench-records.ts";
import type { EvaluationTask, Example } from "./task.ts";

/** Leaves room for what a text may need more when it is encoded again, special tokens included. */
const spareTokens = 4;

/** Cuts a prompt in its middle, so that it has at most so many tokens. */
function truncateMiddle(tokenizer: Tokenizer, prompt: string, mostTokens: number): string | undefined {
  const ids = tokenizer.encode(prompt, { addSpecialTokens: false });
  if (ids.length <= mostTokens) return undefined;
  const half = Math.floor((mostTokens - spareTokens) / 2);
  return tokenizer.decode(ids.slice(0, half)) + tokenizer.decode(ids.slice(-half));
}

/** Parts a prompt before its last line, which is read as the question: both parts hold something. */
function splitPrompt(prompt: string): readonly [document: string, question: string] {
  const end = prompt.trimEnd().lastIndexOf("\n");
  const cut = end > 0 ? end : Math.max(1, prompt.lastIndexOf(" "));
  return [prompt.slice(0, cut), prompt.slice(cut)];
}

/** Creates the task of a data set. */
export function createLongBenchTask(
  tokenizer: Tokenizer,
  name: LongBenchName,
  records: readonly LongBenchRecord[],
): EvaluationTask {
  const dataSet = longBenchDataSets[name];
  const digest = bytesToHex(sha256(new TextEncoder().encode(JSON.stringify(records))));
  const { maxNewTokens, metric } = dataSet;
  return {
    name: `longbench ${name}`,
    settings: { metric, records: digest.slice(0, 16) },
    metric: "mean",
    exampleCount: records.length,
    async makeExample(lengthTokens, index): Promise<Example> {
      const record = records[index];
      const mostTokens = lengthTokens - maxNewTokens - spareTokens;
      if (record === undefined || mostTokens <= 2 * spareTokens) {
        const where = record === undefined ? "longbench: index" : "longbench: lengthTokens";
        const expected =
          record === undefined ? `below ${records.length}` : `more than ${maxNewTokens} and a few`;
        const got = record === undefined ? index : lengthTokens;
        throw new InvalidRequestError({ where, what: "out of range", got, expected });
      }
      const cut = truncateMiddle(tokenizer, record.prompt, mostTokens);
      const [document, prompt] = splitPrompt(cut ?? record.prompt);
      const { references, classes } = record;
      const about = { isTruncated: cut !== undefined };
      const score = (answer: string): number => scoreLongBench(dataSet, answer, references, classes);
      return {
        document,
        questions: [{ prompt, references, maxNewTokens, stop: [], about: {}, score }],
        about,
      };
    },
  };
}
