/**
 * Records: what is kept of each example, a JSON object a line.
 *
 * A record's id digests all that decides its answer: model, adapter, memory, task, length, index. So a run goes on
 * where it was, other settings may share a folder, and no example counts twice.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { z } from "zod";
import { InvalidRequestError } from "../errors.ts";
import { type LikelihoodSums, likelihoodSumsSchema } from "./likelihood-sums.ts";
import type { RecordFacts } from "./task.ts";

/** Is what tells a record's row apart. */
export interface RecordCell {
  /** Digests all that decides the record. */
  readonly id: string;
  /** The checkpoint's name and the beginning of its digest. */
  readonly model: string;
  readonly task: string;
  readonly settings: RecordFacts;
  /** The label of the way to remember, and what it is. */
  readonly policy: string;
  readonly memory: RecordFacts;
  /** The length asked for. */
  readonly lengthTokens: number;
}

/** Is the record of an example. */
export interface ExampleRecord extends RecordCell {
  readonly type: "example";
  /** Of `nll` the score is a mean in nats, and less is better; else it is in [0, 1]. */
  readonly metric: "proportion" | "mean" | "nll";
  readonly index: number;
  /** Counts the questions about a document, from 0. */
  readonly question: number;
  readonly score: number;
  readonly answer: string;
  readonly references: readonly string[];
  readonly about: RecordFacts;
  /** Tokens of the document as it was read, and of what the model wrote behind it. */
  readonly documentTokens: number;
  /** Tokens of document and question. */
  readonly promptTokens: number;
  readonly commitCount: number;
  readonly stateBytes: number;
  readonly peakResidentBytes: number;
  readonly prefillTokensPerSecond: number | null;
  readonly decodeTokensPerSecond: number | null;
  /** From the beginning of the document, or of the question where the model wrote before it; milliseconds. */
  readonly timeToFirstTokenMs: number | null;
  /** Per layer with a gate. */
  readonly meanGateOpening: readonly number[];
  /** `[layer][head]`; records of earlier versions lack it. */
  readonly gateOpening?: readonly (readonly number[])[] | undefined;
  readonly runtime: string;
  /** Of metric `nll`. */
  readonly likelihoods?: LikelihoodSums | undefined;
}

/** Says that a cell has no examples. */
export interface NotApplicableRecord extends RecordCell {
  readonly type: "not-applicable";
  readonly reason: string;
}

/** Is a record of a file. */
export type EvaluationRecord = ExampleRecord | NotApplicableRecord;

const facts = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]));
const size = z.number().nonnegative();
const count = size.int();
const speed = size.nullable();

const cell = {
  id: z.string().min(1),
  model: z.string(),
  task: z.string(),
  settings: facts,
  policy: z.string(),
  memory: facts,
  lengthTokens: count,
};

const recordSchema: z.ZodType<EvaluationRecord> = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("example"),
    ...cell,
    metric: z.enum(["proportion", "mean", "nll"]),
    index: count,
    question: count,
    score: z.number(),
    answer: z.string(),
    references: z.array(z.string()),
    about: facts,
    documentTokens: count,
    promptTokens: count,
    commitCount: count,
    stateBytes: size,
    peakResidentBytes: size,
    prefillTokensPerSecond: speed,
    decodeTokensPerSecond: speed,
    timeToFirstTokenMs: speed,
    meanGateOpening: z.array(z.number()),
    gateOpening: z.array(z.array(z.number())).optional(),
    runtime: z.string(),
    likelihoods: likelihoodSumsSchema.optional(),
  }),
  z.object({ type: z.literal("not-applicable"), ...cell, reason: z.string() }),
]);

/** Is a part of all examples: number `index` of `count`, from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** Digests what decides a record. */
export function digestRecordKey(key: readonly unknown[]): string {
  return bytesToHex(sha256(new TextEncoder().encode(JSON.stringify(key)))).slice(0, 20);
}

/**
 * Parses a line of a file of records.
 * @param where - names the file and line in messages.
 * @throws {@link InvalidRequestError}
 */
export function parseRecord(where: string, line: string): EvaluationRecord {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    const what = "the line is not JSON";
    throw new InvalidRequestError({
      where,
      what,
      got: line.slice(0, 80),
      remedy: "Take the line out to go on.",
      cause,
    });
  }
  const parsed = recordSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new InvalidRequestError({
    where,
    what: `the line is no record of an evaluation: ${issue?.path.join(".") || "its root"}`,
    got: issue?.message,
    cause: parsed.error,
  });
}
