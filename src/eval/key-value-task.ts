/**
 * Key-value retrieval (Lost in the Middle, arXiv 2307.03172, section 4): a JSON object of random UUIDs, and the value
 * of one key asked for.
 *
 * The published wording, as many pairs as there is room for; right when the value stands in the answer.
 */

import type { Tokenizer } from "../text/tokenizer.ts";
import { createDraws } from "../train/random-draws.ts";
import { drawNew, drawUuid } from "./drawn-texts.ts";
import { fitCount } from "./fit-count.ts";
import { scoreStringMatchAll } from "./string-match.ts";
import type { EvaluationTask } from "./task.ts";

const head = "Extract the value corresponding to the specified key in the JSON object below.\n\nJSON data:\n";
const ask = (key: string): string => `\n\nKey: "${key}"\nCorresponding value: "`;

interface Pairs {
  readonly keys: readonly string[];
  readonly values: readonly string[];
  readonly text: string;
}

function writePairs(seed: number, lengthTokens: number, index: number, count: number): Pairs {
  const draws = createDraws(seed, "eval kv", lengthTokens, index);
  const taken = new Set<string>();
  const drawAll = (): string[] => Array.from({ length: count }, () => drawNew(taken, () => drawUuid(draws)));
  const [keys, values] = [drawAll(), drawAll()];
  const lines = keys.map((key, place) => `"${key}": "${values[place]}"`);
  return { keys, values, text: `{${lines.join(",\n ")}}` };
}

/** Creates the task. @param seed - draws keys, values and which is asked for. */
export function createKeyValueTask(tokenizer: Tokenizer, seed: number): EvaluationTask {
  const countTokens = (text: string): number => tokenizer.encode(text, { continuation: true }).length;
  return {
    name: "kv",
    settings: { seed },
    metric: "proportion",
    async makeExample(lengthTokens, index) {
      const takenTokens = tokenizer.encode(head).length;
      const tokensOf = (count: number): number => {
        const { keys, values, text } = writePairs(seed, lengthTokens, index, count);
        const longest = (texts: readonly string[]): number => Math.max(...texts.map(countTokens));
        return countTokens(text) + longest(keys.map(ask)) + longest(values) + answerMargin;
      };
      const count = fitCount({ lengthTokens, takenTokens }, 1, tokensOf);
      const { keys, values, text } = writePairs(seed, lengthTokens, index, count);
      const asked = createDraws(seed, "eval kv asked", lengthTokens, index).whole(0, count - 1);
      const value = values[asked] ?? "";
      return {
        document: head + text,
        about: { pairs: count, depth: count === 1 ? 0 : asked / (count - 1) },
        questions: [
          {
            prompt: ask(keys[asked] ?? ""),
            references: [value],
            maxNewTokens: countTokens(value) + answerMargin,
            stop: ["\n"],
            about: {},
            score: (answer) => scoreStringMatchAll(answer, [value]),
          },
        ],
      };
    },
  };
}

/** Tokens that an answer may have beside the value. */
const answerMargin = 4;
