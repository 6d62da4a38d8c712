/**
 * Long output: the model tells facts in its own turn, goes on writing for so many tokens, and is then asked for them.
 *
 * What a small model writes by itself holds nothing to ask about. So an opening of prose is read, and the output
 * begins with drawn statements that the model is made to write: each of their tokens is read as a generated one, in
 * a run of its own. It then goes on by itself, sampled with a drawn seed and past any end of text, until the output
 * has the length asked for. Then the question is read and answered, greedily, and scored as in recall.
 *
 * The opening is longer than any policy's sinks, and the rest of the output longer than any window, so neither can
 * answer. What is written differs from policy to policy, and may say a value again: the record tells (`isRestated`).
 */

import type { Tokenizer } from "../text/tokenizer.ts";
import { createDraws, type RandomDraws } from "../train/random-draws.ts";
import { makeChatFrame, plainFrame } from "../train/recall/question-frames.ts";
import { drawRecallContent } from "../train/recall/recall-document.ts";
import { refuseLength } from "./fit-count.ts";
import { checkRecallCounts, partReply, toRecallQuestion } from "./recall-questions.ts";
import type { RecallTaskOptions } from "./recall-task.ts";
import type { EvaluationTask } from "./task.ts";

/** Chooses long outputs. */
export interface LongOutputTaskOptions
  extends Pick<
    RecallTaskOptions,
    "seed" | "factCount" | "questionsPerDocument" | "distanceTokens" | "split" | "frame" | "prose"
  > {
  /** The fewest tokens of prose before the output. */
  readonly openingTokens: number;
  /** How the output goes on: 0 takes the likeliest token. */
  readonly temperature: number;
}

const request = "Go on with this text, and do not end it:\n\n";

/**
 * Creates the task. A length is the tokens of the output, the statements included.
 * @throws {@link InvalidRequestError} when a count is out of range; {@link InvalidModelError} when the chat frame
 * is asked for and the model has no fitting template.
 */
export function createLongOutputTask(tokenizer: Tokenizer, options: LongOutputTaskOptions): EvaluationTask {
  const { seed, factCount, questionsPerDocument, distanceTokens, openingTokens, temperature } = options;
  const { split, prose } = options;
  checkRecallCounts("long-output", options);
  const frame = options.frame === "chat" ? makeChatFrame(tokenizer) : plainFrame;
  const encode = (text: string): number[] =>
    tokenizer.encode(text, { addSpecialTokens: false, continuation: true });
  const readOpening = async (draws: RandomDraws, signal: AbortSignal | undefined): Promise<string> => {
    let text = "";
    for await (const sentence of prose.read(draws, signal)) {
      text = (text + sentence).trimStart();
      if (encode(text).length >= openingTokens) break;
    }
    return options.frame === "chat" ? frame.ask(request + text) : text;
  };
  const counts = { factCount, changedCount: 0, questionCount: questionsPerDocument, absentCount: 0 };
  return {
    name: "long-output",
    metric: "proportion",
    settings: {
      facts: factCount,
      questionsPerDocument,
      distanceTokens,
      openingTokens,
      temperature,
      words: split.words,
      wordings: split.wordings,
      frame: options.frame,
      haystack: prose.identity.slice(0, 16),
      seed,
    },
    async makeExample(lengthTokens, index, signal) {
      const draws = createDraws(seed, `eval long-output ${factCount}`, lengthTokens, index);
      const content = drawRecallContent(draws, { ...counts, split }, { ...frame, ask: frame.askOn });
      const statements = content.tellings.flat().map(({ text }) => text);
      const beginning = partReply(frame)[0] + statements.join(" ");
      const beginningIds = encode(beginning);
      const restTokens = lengthTokens - beginningIds.length;
      if (restTokens < distanceTokens)
        refuseLength({ lengthTokens, takenTokens: beginningIds.length }, distanceTokens, "--distance");
      const questions = content.questions.map(({ part }) =>
        toRecallQuestion({ ...part, distanceTokens: restTokens }, frame),
      );
      const document = await readOpening(draws, signal);
      const asked = questions.map(({ prompt, maxNewTokens }) => encode(prompt).length + maxNewTokens);
      return {
        document,
        output: { beginning, beginningIds, lengthTokens, temperature, seed: draws.whole(0, 2 ** 31 - 1) },
        totalTokens: tokenizer.encode(document).length + lengthTokens + Math.max(...asked),
        questions,
        about: {},
      };
    },
  };
}
