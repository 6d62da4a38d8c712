/**
 * What a training learns from: records of the user's, and documents with facts hidden in their text.
 */

import { z } from "zod";
import { InvalidRequestError } from "../errors.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { DataPosition, DocumentSource } from "../train/data/document-source.ts";
import { mixDocuments } from "../train/data/mixed-documents.ts";
import { openTrainingFiles } from "../train/data/node-training-files.ts";
import { createRecordDocuments, type RecordDocumentsOptions } from "../train/data/record-documents.ts";
import { createRepeatedDocuments } from "../train/data/repeated-documents.ts";
import { openTrainingRecords, type TrainingRecords } from "../train/data/training-records.ts";
import { weighAllTokens } from "../train/data/weigh-all-tokens.ts";
import { factKindNames } from "../train/recall/fact-kinds.ts";
import { proseOfRecords } from "../train/recall/prose.ts";
import { makeChatFrame, plainFrame } from "../train/recall/question-frames.ts";
import {
  createRecallDocuments,
  type RecallRange,
  type RecallWeights,
} from "../train/recall/recall-documents.ts";
import { readUserJson, type TrainingSettings } from "./training-options.ts";

const range = z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()]).readonly();
const distractors = z.object({ share: z.number().min(0).max(0.5), style: z.enum(["words", "sentences"]) });
const weight = z.number().nonnegative();

const recallSchema = z.strictObject({
  ranges: z
    .array(
      z.strictObject({
        share: z.number().positive(),
        leastTokens: z.number().int().positive().optional(),
        factCount: range,
        changedShare: z.number().min(0).max(1).optional(),
        questionCount: range,
        absentCount: range.optional(),
        placement: z.enum(["end", "anywhere"]),
        distanceTokens: z.number().int().nonnegative().optional(),
        distractors: z.array(distractors).min(1).optional(),
        inventedShare: z.number().min(0).max(1).optional(),
        borrowedShare: z.number().min(0).max(1).optional(),
        rewordedShare: z.number().min(0).max(1).optional(),
        valueFirstShare: z.number().min(0).max(1).optional(),
        kinds: z.array(z.enum(factKindNames)).min(1).optional(),
      }),
    )
    .min(1)
    .optional(),
  weights: z
    .strictObject({ text: weight.optional(), question: weight.optional(), answer: weight.optional() })
    .optional(),
});

const noise: RecallRange["distractors"] = [
  { share: 0, style: "words" },
  { share: 0.05, style: "words" },
  { share: 0.05, style: "sentences" },
];

/** From one fact and its question to many, of which some change and some are asked for that are not there. */
const defaultRanges: readonly RecallRange[] = [
  { share: 2, factCount: [1, 1], questionCount: [1, 1], placement: "end", distractors: noise },
  {
    share: 2,
    leastTokens: 384,
    factCount: [2, 4],
    changedShare: 0.25,
    questionCount: [1, 3],
    absentCount: [0, 1],
    placement: "anywhere",
    distractors: noise,
  },
  {
    share: 1,
    leastTokens: 1024,
    factCount: [5, 12],
    changedShare: 0.25,
    questionCount: [2, 5],
    absentCount: [0, 1],
    placement: "anywhere",
    distractors: noise,
  },
];

/** Opens the data of a training. @throws as {@link openTrainingRecords} does. */
export async function openTrainingData(
  paths: readonly string[],
  signal: AbortSignal,
  passageBytes?: number,
): Promise<TrainingRecords> {
  const files = await openTrainingFiles(paths);
  return openTrainingRecords(files, { signal, ...(passageBytes !== undefined && { passageBytes }) });
}

/** Gives the texts of all records, as a tokenizer learns from them. */
export async function* readTexts(records: TrainingRecords, signal: AbortSignal): AsyncGenerator<string> {
  for (let index = 0; index < records.count; index++) {
    const record = await records.read(index, signal);
    if (record.kind === "text") yield record.text;
    else if (record.kind === "completion") yield* [record.prompt, record.completion];
    else for (const { content } of record.messages) if (typeof content === "string") yield content;
  }
}

/** Chooses documents. */
export interface SourceOptions extends Pick<RecordDocumentsOptions, "packing" | "minTokens"> {
  readonly records: TrainingRecords;
  readonly tokenizer: Tokenizer;
  readonly settings: TrainingSettings;
  /** Whether prompts are learned like all else. */
  readonly weighsAll: boolean;
  /** Weights of recall documents, where their file does not say. */
  readonly recallWeights: RecallWeights;
  /** The largest of these weights that is taken; default any. */
  readonly mostRecallWeight?: number;
  /** Share of documents of random tokens that come again, in [0, 1); default 0. */
  readonly repeatedShare?: number;
}

function checkRecallWeights(weights: RecallWeights, most: number, file: string | undefined): void {
  for (const [name, got] of Object.entries(weights)) {
    if (got === undefined || got <= most) continue;
    throw new InvalidRequestError({
      where: `${file ?? "--recall"}: weights.${name}`,
      what: "this training cannot count a token so often",
      got,
      expected: `at most ${most}`,
      remedy: "Divide all weights by the largest.",
    });
  }
}

/** Chooses documents of the data and recall documents. */
async function createMeaningfulSource(options: SourceOptions): Promise<DocumentSource> {
  const { records, tokenizer, settings, weighsAll, packing, minTokens } = options;
  const { seed, recallShare, recallFile } = settings;
  const own = createRecordDocuments(records, tokenizer, {
    seed,
    packing,
    ...(minTokens !== undefined && { minTokens }),
  });
  const plain = weighsAll ? weighAllTokens(own) : own;
  if (recallShare === 0) {
    if (recallFile === undefined) return plain;
    const what = "recall documents are described, but none are asked for";
    throw new InvalidRequestError({ where: "--recall-share", what, got: 0, expected: "a share above 0" });
  }
  const given = recallFile === undefined ? {} : await readUserJson(recallFile, "the file", recallSchema);
  const { ranges = defaultRanges, weights = {} } = given as {
    ranges?: readonly RecallRange[];
    weights?: RecallWeights;
  };
  const recallWeights = { ...options.recallWeights, ...weights };
  checkRecallWeights(recallWeights, options.mostRecallWeight ?? Number.POSITIVE_INFINITY, recallFile);
  const recall = createRecallDocuments(tokenizer, {
    seed,
    ranges,
    prose: proseOfRecords(records),
    frames: tokenizer.chatTemplate === undefined ? [plainFrame] : [plainFrame, makeChatFrame(tokenizer)],
    weights: recallWeights,
  });
  if (recallShare === 1) return recall;
  const shares = [
    { source: plain, share: 1 - recallShare },
    { source: recall, share: recallShare },
  ];
  return mixDocuments(shares, seed);
}

/** Creates the source of a training's documents. @throws {@link InvalidRequestError} {@link FileError} */
export async function createSource(options: SourceOptions): Promise<DocumentSource> {
  const { repeatedShare = 0, tokenizer, settings } = options;
  const source = await createMeaningfulSource(options);
  if (repeatedShare === 0) return source;
  const { seed } = settings;
  const shares = [
    { source, share: 1 - repeatedShare },
    { source: createRepeatedDocuments(tokenizer, seed), share: repeatedShare },
  ];
  return mixDocuments(shares, seed + 1);
}

/** Counts the records, and rests of records, that a source has skipped since they were too short. */
export function countSkipped(position: DataPosition): number {
  return Object.entries(position).reduce((sum, [name, value]) => {
    if (typeof value === "number") return name === "skipped" ? sum + value : sum;
    const inner: readonly DataPosition[] = Array.isArray(value) ? value : [value as DataPosition];
    return sum + inner.reduce((part, one) => part + countSkipped(one), 0);
  }, 0);
}
