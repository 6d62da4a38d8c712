/**
 * Variable tracking, `vt` of RULER (arXiv 2404.06654, section 3): a chain of assignments hidden in the garbage of
 * passkey retrieval, and all variables of one value asked for.
 *
 * One chain of four hops, variables of five capital letters, a value of five digits, with RULER's wording; without
 * its example in front of the document, which is part of its prompt for models that follow instructions. The score
 * is string_match_all over the five variables.
 */

import type { Tokenizer } from "../text/tokenizer.ts";
import { createDraws } from "../train/random-draws.ts";
import { drawLetters, drawNew } from "./drawn-texts.ts";
import { hideLines } from "./hidden-lines.ts";
import { readGarbage } from "./passkey-task.ts";
import { scoreStringMatchAll } from "./string-match.ts";
import type { EvaluationTask } from "./task.ts";

const hopCount = 4;
const nameLetters = 5;
const maxAnswerTokens = 30;
const head = "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n";

const ask = (value: string, count: number): string =>
  `\nQuestion: Find all variables that are assigned the value ${value} in the text above. ` +
  "Answer: According to the chain(s) of variable assignment in the text above, " +
  `${count} variables are assigned the value ${value}, they are:`;

/** Creates the task. @param seed - draws names, values and places. */
export function createVariableTrackingTask(tokenizer: Tokenizer, seed: number): EvaluationTask {
  const countTokens = (text: string): number => tokenizer.encode(text, { continuation: true }).length;
  return {
    name: "vt",
    settings: { seed },
    metric: "mean",
    async makeExample(lengthTokens, index, signal) {
      const draws = createDraws(seed, "eval vt", lengthTokens, index);
      const taken = new Set<string>();
      const names = Array.from({ length: hopCount + 1 }, () =>
        drawNew(taken, () => drawLetters(draws, nameLetters).toUpperCase()),
      );
      const value = String(draws.whole(10_000, 99_999));
      const depths = names.map(() => draws.uniform()).sort((a, b) => a - b);
      const lines = names.map((name, place) => ({
        text: `VAR ${name} = ${place === 0 ? value : `VAR ${names[place - 1]}`}`,
        depth: depths[place] ?? 0,
      }));
      const prompt = ask(value, names.length);
      const takenTokens =
        tokenizer.encode(head).length + countTokens(prompt) + answerRoom(names, countTokens);
      const plan = { lengthTokens, takenTokens, lines, sentences: readGarbage() };
      const { text, distances } = await hideLines({ ...plan, countTokens, signal });
      return {
        document: head + text,
        about: { depth: depths[0] ?? 0 },
        questions: [
          {
            prompt,
            references: names,
            maxNewTokens: answerRoom(names, countTokens),
            stop: ["\n"],
            about: { distanceTokens: Math.max(...distances) },
            score: (answer) => scoreStringMatchAll(answer, names),
          },
        ],
      };
    },
  };
}

/** Tokens for an answer: RULER's 30, or what the right one takes where a tokenizer splits names into letters. */
function answerRoom(names: readonly string[], countTokens: (text: string) => number): number {
  return Math.max(maxAnswerTokens, countTokens(` ${names.join(", ")}`));
}
