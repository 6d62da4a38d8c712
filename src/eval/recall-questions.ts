/**
 * Questions about facts, as tasks put them: right is the value letter by letter, white space around it aside.
 */

import { InvalidRequestError } from "../errors.ts";
import type { QuestionFrame } from "../train/recall/question-frames.ts";
import type { QuestionPart } from "../train/recall/recall-document.ts";
import type { Question } from "./task.ts";

/** More than any value has; an answer that goes on is wrong anyway. */
const maxAnswerTokens = 32;

const mark = "\ufdd0";

/** Parts what a frame writes around a reply: what opens it, and what ends it. */
export function partReply({ reply }: QuestionFrame): readonly [before: string, behind: string] {
  const [before = "", behind = ""] = reply(mark).split(mark);
  return [before, behind];
}

/** Returns the texts that end an answer in a frame: the first line of what stands behind it. */
function listStops(frame: QuestionFrame): readonly string[] {
  const end = partReply(frame)[1].split("\n")[0] ?? "";
  return end === "" ? ["\n"] : ["\n", end];
}

/** Makes a question of a part of a document. */
export function toRecallQuestion(part: QuestionPart, frame: QuestionFrame): Question {
  const { prompt, answer, question, factKind, distanceTokens = 0 } = part;
  return {
    prompt,
    references: [answer],
    maxNewTokens: maxAnswerTokens,
    stop: listStops(frame),
    about: { question, factKind, distanceTokens },
    score: (given) => (given.trim() === answer ? 1 : 0),
  };
}

/** Is how many facts there are, and how many are asked for. */
export interface RecallCounts {
  readonly factCount: number;
  readonly questionsPerDocument: number;
}

/** Checks counts. @throws {@link InvalidRequestError} naming the task and the count. */
export function checkRecallCounts(task: string, { factCount, questionsPerDocument }: RecallCounts): void {
  for (const [name, got] of Object.entries({ factCount, questionsPerDocument })) {
    if (Number.isSafeInteger(got) && got >= 1) continue;
    const expected = "a whole number from 1";
    throw new InvalidRequestError({ where: `${task}: ${name}`, what: "out of range", got, expected });
  }
}
