/**
 * Recall: facts hidden anywhere in prose, questions about some of them at the end, exact match of the answer.
 *
 * Every telling lies further back than any policy's window reaches, so that no window can answer; otherwise its
 * place is drawn evenly. An answer is right when it is the value letter by letter, white space around it aside:
 * the model was shown how answers look, and near misses of codes and names are misses.
 */

import { isEdgeInfiniteError } from "../errors.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { createDraws, type RandomDraws } from "../train/random-draws.ts";
import type { DistractorOptions } from "../train/recall/distractors.ts";
import type { FactSplit } from "../train/recall/facts.ts";
import type { Prose } from "../train/recall/prose.ts";
import { makeChatFrame, plainFrame } from "../train/recall/question-frames.ts";
import { makeRecallDocument, type RecallDocument } from "../train/recall/recall-document.ts";
import { checkRecallCounts, toRecallQuestion } from "./recall-questions.ts";
import type { EvaluationTask } from "./task.ts";

/** Chooses recall documents. */
export interface RecallTaskOptions {
  readonly seed: number;
  readonly factCount: number;
  /** Facts asked for after one reading of a document, each in a copy of the session. */
  readonly questionsPerDocument: number;
  /** The fewest tokens between a fact and the end of the document. */
  readonly distanceTokens: number;
  readonly distractors: DistractorOptions;
  readonly split: FactSplit;
  readonly frame: "plain" | "chat";
  readonly prose: Prose;
  /** Bytes of the prose: longer documents repeat it. */
  readonly proseBytes: number;
}

/** How often a document is drawn again when long names leave it no room. */
const mostAttempts = 16;

async function makeWithRoom(
  begin: (attempt: number) => RandomDraws,
  make: (draws: RandomDraws) => Promise<RecallDocument>,
): Promise<RecallDocument> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await make(begin(attempt));
    } catch (error) {
      const hasNoRoom = isEdgeInfiniteError(error) && error.code === "invalid-request";
      if (!hasNoRoom || attempt === mostAttempts) throw error;
    }
  }
}

/**
 * Creates the task.
 * @throws {@link InvalidRequestError} when a count is out of range; {@link InvalidModelError} when the chat frame
 * is asked for and the model has no fitting template.
 */
export function createRecallTask(tokenizer: Tokenizer, options: RecallTaskOptions): EvaluationTask {
  const { seed, factCount, questionsPerDocument, distanceTokens, distractors, split, prose } = options;
  const { proseBytes: sizeBytes } = options;
  checkRecallCounts("recall", options);
  const frame = options.frame === "chat" ? makeChatFrame(tokenizer) : plainFrame;
  const plain = { addSpecialTokens: false, continuation: true };
  const countTokens = (text: string): number => tokenizer.encode(text, plain).length;
  const headTokens = tokenizer.encode("").length;
  return {
    name: "recall",
    metric: "proportion",
    settings: {
      facts: factCount,
      questionsPerDocument,
      distanceTokens,
      distractorShare: distractors.share,
      distractorStyle: distractors.style,
      words: split.words,
      wordings: split.wordings,
      frame: options.frame,
      haystack: prose.identity.slice(0, 16),
      seed,
    },
    async makeExample(lengthTokens, index, signal) {
      const purpose = `eval recall ${factCount} ${distractors.share} ${distractors.style}`;
      const plan = {
        lengthTokens,
        headTokens,
        factCount,
        changedCount: 0,
        questionCount: questionsPerDocument,
        absentCount: 0,
        placement: "end",
        distanceTokens,
        distractors,
        split,
      } as const;
      const materials = { prose, frame, countTokens };
      const document = await makeWithRoom(
        (attempt) => createDraws(seed, purpose, lengthTokens, index, attempt),
        (draws) => makeRecallDocument(draws, plan, materials, signal),
      );
      const text = document.parts.map((part) => (part.kind === "text" ? part.text : "")).join("");
      const questions = document.parts.flatMap((part) =>
        part.kind === "text" ? [] : [toRecallQuestion(part, frame)],
      );
      // Of UTF-8 at least one byte a unit: what is longer than the haystack must have gone round.
      const about = { haystackRepeats: text.length > sizeBytes };
      return { document: text, questions, about };
    },
  };
}
