/**
 * Recall documents as a source to train on: plans drawn from ranges, tokens with the weights of their losses.
 *
 * The n-th document depends on the seed and on n alone: the position is n.
 */

import { z } from "zod";
import { InternalError, InvalidRequestError, isEdgeInfiniteError } from "../../errors.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import {
  checkLength,
  type DocumentSource,
  fillDocument,
  parsePosition,
  positionCount,
  type TrainingDocument,
} from "../data/document-source.ts";
import { encodeParts, type WeightedPart } from "../data/encode-record.ts";
import { createDraws, type RandomDraws } from "../random-draws.ts";
import type { FactKindName } from "./fact-kinds.ts";
import type { FactSplit } from "./facts.ts";
import type { Prose } from "./prose.ts";
import type { QuestionFrame } from "./question-frames.ts";
import { makeRecallDocument, type RecallDocument, type RecallPlan } from "./recall-document.ts";

/** Is a range of whole numbers, both ends included. */
export type Range = readonly [low: number, high: number];

/** Is a range of plans; counts are drawn evenly. */
export interface RecallRange {
  /** How often plans are drawn from this range, relative to the others. */
  readonly share: number;
  /** The shortest documents that are drawn from it, tokens; default: all. */
  readonly leastTokens?: number;
  readonly factCount: Range;
  /** Share of the facts that change once, in [0, 1]; rounded. Default 0. */
  readonly changedShare?: number;
  readonly questionCount: Range;
  /** Default none. */
  readonly absentCount?: Range;
  readonly placement: RecallPlan["placement"];
  /** Default 0. */
  readonly distanceTokens?: number;
  /** One is drawn for a document; default none. */
  readonly distractors?: readonly RecallPlan["distractors"][];
  readonly kinds?: readonly FactKindName[];
  /** Default 0. */
  readonly inventedShare?: number;
  /** Default 0. */
  readonly borrowedShare?: number;
  /** Default 0. */
  readonly rewordedShare?: number;
  /** Default: as drawn. */
  readonly valueFirstShare?: number;
}

/** Weighs the losses of a document's parts. */
export interface RecallWeights {
  /** Of prose and facts; default 1. */
  readonly text?: number;
  /** Of questions; default 0: nothing tells what will be asked. */
  readonly question?: number;
  /** Of answers and their ends; default 1. */
  readonly answer?: number;
}

/** Chooses recall documents. */
export interface RecallDocumentsOptions {
  readonly seed: number;
  readonly ranges: readonly RecallRange[];
  readonly prose: Prose;
  /** One is drawn for a document. */
  readonly frames: readonly QuestionFrame[];
  /** Default: all of training. */
  readonly split?: FactSplit;
  readonly weights?: RecallWeights;
}

const positionSchema = z.object({ document: positionCount });

/** How often a plan is drawn again when long names leave it no room. */
const mostAttempts = 16;
const noDistractors: RecallPlan["distractors"] = { share: 0, style: "words" };

function drawRange(draws: RandomDraws, all: readonly RecallRange[], lengthTokens: number): RecallRange {
  const ranges = all.filter(({ leastTokens = 0 }) => leastTokens <= lengthTokens);
  if (ranges.length === 0) {
    throw new InvalidRequestError({
      where: "recall documents",
      what: "every range is for longer documents",
      got: `documents of ${lengthTokens} tokens`,
      expected: `at least ${Math.min(...all.map(({ leastTokens = 0 }) => leastTokens))}`,
    });
  }
  let left = draws.uniform() * ranges.reduce((sum, { share }) => sum + share, 0);
  for (const range of ranges) {
    left -= range.share;
    if (left < 0) return range;
  }
  return draws.pick(ranges.slice(-1));
}

function drawPlan(
  draws: RandomDraws,
  range: RecallRange,
  lengthTokens: number,
  split: FactSplit,
): RecallPlan {
  const {
    factCount,
    changedShare = 0,
    questionCount,
    absentCount = [0, 0],
    placement,
    kinds,
    inventedShare,
    borrowedShare,
    rewordedShare,
    valueFirstShare,
  } = range;
  const facts = draws.whole(...factCount);
  return {
    lengthTokens,
    factCount: facts,
    changedCount: Math.round(changedShare * facts),
    questionCount: facts === 0 ? 0 : draws.whole(...questionCount),
    absentCount: draws.whole(...absentCount),
    placement,
    distanceTokens: range.distanceTokens ?? 0,
    distractors: draws.pick(range.distractors ?? [noDistractors]),
    split,
    ...(kinds && { kinds }),
    ...(inventedShare !== undefined && { inventedShare }),
    ...(borrowedShare !== undefined && { borrowedShare }),
    ...(rewordedShare !== undefined && { rewordedShare }),
    ...(valueFirstShare !== undefined && { valueFirstShare }),
  };
}

function weigh({ parts }: RecallDocument, weights: RecallWeights): WeightedPart[] {
  const { text = 1, question = 0, answer = 1 } = weights;
  return parts.flatMap((part): WeightedPart[] =>
    part.kind === "text"
      ? [{ text: part.text, weight: text }]
      : [
          { text: part.prompt, weight: question },
          { text: part.reply, weight: answer },
        ],
  );
}

/**
 * Creates recall documents to train on. A plan that has no room in its document is drawn again.
 * @throws {@link InvalidRequestError} when there are no ranges or frames, or a share is not positive.
 */
export function createRecallDocuments(tokenizer: Tokenizer, options: RecallDocumentsOptions): DocumentSource {
  const { seed, ranges, prose, frames, weights = {} } = options;
  const { split = { words: "training", wordings: "training" } } = options;
  if (ranges.length === 0 || frames.length === 0 || ranges.some(({ share }) => !(share > 0))) {
    const where = "createRecallDocuments";
    throw new InvalidRequestError({
      where,
      what: "ranges or frames are missing",
      expected: "one or more, with shares > 0",
    });
  }
  const head = tokenizer
    .encode("")
    .filter((id) => id !== tokenizer.eosTokenId || id === tokenizer.bosTokenId);
  const paddingId = tokenizer.eosTokenId ?? 0;
  const continuation = { addSpecialTokens: false, continuation: true };
  const countTokens = (text: string): number => tokenizer.encode(text, continuation).length;
  const makeFrom = async (
    begin: () => RandomDraws,
    lengthTokens: number,
    signal?: AbortSignal,
  ): Promise<TrainingDocument> => {
    for (let slack = 0; slack < lengthTokens; ) {
      const draws = begin();
      const plan = drawPlan(
        draws,
        drawRange(draws, ranges, lengthTokens),
        lengthTokens - head.length - slack,
        split,
      );
      const frame = draws.pick(frames);
      const document = await makeRecallDocument(draws, plan, { prose, frame, countTokens }, signal);
      const { tokens, weights: own } = await encodeParts(weigh(document, weights), tokenizer, signal);
      const surplus = head.length + tokens.length - lengthTokens;
      if (surplus <= 0) {
        const all = [
          [...head, ...tokens],
          [...head.map(() => 0), ...own],
        ] as const;
        return fillDocument(all[0], all[1], lengthTokens, paddingId);
      }
      // A few tokenizers need more tokens for a whole than for its parts.
      slack += surplus;
    }
    throw new InternalError({ where: "createRecallDocuments", what: "a document keeps being too long" });
  };
  const make = async (
    index: number,
    lengthTokens: number,
    signal?: AbortSignal,
  ): Promise<TrainingDocument> => {
    for (let attempt = 0; ; attempt++) {
      // The first keeps the draws that documents had before plans were drawn again.
      const numbers = attempt === 0 ? [index] : [index, attempt];
      try {
        return await makeFrom(() => createDraws(seed, "recall document", ...numbers), lengthTokens, signal);
      } catch (error) {
        const hasNoRoom = isEdgeInfiniteError(error) && error.code === "invalid-request";
        if (!hasNoRoom || attempt === mostAttempts) throw error;
      }
    }
  };
  return {
    identity: JSON.stringify({
      seed,
      ranges,
      split,
      weights,
      prose: prose.identity,
      frames: frames.map(describeFrame),
    }),
    start: { document: 0 },
    async read(from, lengthTokens, signal) {
      checkLength(lengthTokens, head.length + 2);
      const { document: index } = parsePosition(positionSchema, from);
      return { document: await make(index, lengthTokens, signal), position: { document: index + 1 } };
    },
  };
}

function describeFrame(frame: QuestionFrame): string {
  return frame.ask("?") + frame.reply("!");
}
