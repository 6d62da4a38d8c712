/**
 * Passkey retrieval: a number hidden in the same few sentences over and over (landmark attention, arXiv 2305.16300).
 *
 * The prompt is the published one; keys are 1 to 50000, and the first number generated must equal the key.
 */

import type { Tokenizer } from "../text/tokenizer.ts";
import { createDraws } from "../train/random-draws.ts";
import { hideLines } from "./hidden-lines.ts";
import type { EvaluationTask } from "./task.ts";

const head =
  "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. " +
  "I will quiz you about the important information there.\n";
const garbage = [
  "The grass is green.",
  "The sky is blue.",
  "The sun is yellow.",
  "Here we go.",
  "There and back again.",
];
const question = "\nWhat is the pass key? The pass key is";
const maxAnswerTokens = 16;

/** Repeats the garbage without end, in whole rounds from its beginning. */
export async function* readGarbage(): AsyncGenerator<string> {
  for (;;) for (const sentence of garbage) yield ` ${sentence}`;
}

/** Returns 1 when the first number of an answer is the key, else 0. */
export function scorePasskey(answer: string, key: number): number {
  return /\d+/.exec(answer)?.[0] === String(key) ? 1 : 0;
}

/** Creates the task. @param seed - draws keys and places. */
export function createPasskeyTask(tokenizer: Tokenizer, seed: number): EvaluationTask {
  const countTokens = (text: string): number => tokenizer.encode(text, { continuation: true }).length;
  const takenTokens = tokenizer.encode(head).length + countTokens(question) + maxAnswerTokens;
  return {
    name: "passkey",
    settings: { seed },
    metric: "proportion",
    async makeExample(lengthTokens, index, signal) {
      const draws = createDraws(seed, "eval passkey", lengthTokens, index);
      const [key, depth] = [draws.whole(1, 50_000), draws.uniform()];
      const line = { text: `The pass key is ${key}. Remember it. ${key} is the pass key.`, depth };
      const plan = { lengthTokens, takenTokens, lines: [line], sentences: readGarbage() };
      const { text, distances } = await hideLines({ ...plan, countTokens, signal });
      return {
        document: head + text,
        about: { depth },
        questions: [
          {
            prompt: question,
            references: [String(key)],
            maxNewTokens: maxAnswerTokens,
            stop: ["\n"],
            about: { distanceTokens: distances[0] ?? 0 },
            score: (answer) => scorePasskey(answer, key),
          },
        ],
      };
    },
  };
}
