/**
 * The results of a run: every point as it was measured, and what the machine could do at best meanwhile.
 *
 * They are written after every point, so that a run that was cut off can go on where it was.
 */

import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../src/files/node-atomic-write.ts";
import { type EngineName, engineNames } from "./engine.ts";

const positive = z.number().positive();
const count = z.number().int().nonnegative();

/** Is one engine at one length in one round. */
export interface Point {
  readonly engine: EngineName;
  readonly lengthTokens: number;
  readonly round: number;
  /** The engine, its version and how it runs. */
  readonly description: string;
  /** From nothing imported to a model that can read, in milliseconds. */
  readonly loadMs: number;
  /** Over the last segment before the length, in tokens a second. */
  readonly prefillTokensPerSecond: number;
  /** From an empty stream to the first generated token after a prompt of this length, in milliseconds. */
  readonly firstTokenMs: number;
  /** Mean over the tokens decoded after the prompt, in milliseconds a token. */
  readonly decodeMs: number;
  /** Resident memory of the process before it has imported the engine, in bytes. */
  readonly emptyResidentBytes: number;
  /** The most memory that the process has had resident, in bytes. */
  readonly peakResidentBytes: number;
  /** The stream's state at the length, in bytes. */
  readonly stateBytes: number;
  /** Share of the machine's processors that other processes took meanwhile, 0 to 1. */
  readonly elsewhere: number;
}

/** Is what the machine could do at best in one round. */
export interface Ceiling {
  readonly round: number;
  /** The fastest product of ONNX Runtime among the model's shapes, in FLOP/s. */
  readonly productFlops: number;
  /** The shape of that product. */
  readonly productShape: string;
  /** Bytes a second that all threads together read from memory. */
  readonly readBytesPerSecond: number;
  readonly elsewhere: number;
}

/** Says what all points of a run have in common. */
export interface Setup {
  readonly subject: string;
  /** The processor's name. */
  readonly processor: string;
  readonly node: string;
  readonly threads: number;
  readonly segmentTokens: number;
  readonly decodedTokens: number;
}

/** Is a run so far. */
export interface Results {
  readonly setup: Setup;
  readonly points: readonly Point[];
  readonly ceilings: readonly Ceiling[];
}

const pointSchema: z.ZodType<Point> = z.object({
  engine: z.enum(engineNames),
  lengthTokens: count,
  round: count,
  description: z.string(),
  loadMs: positive,
  prefillTokensPerSecond: positive,
  firstTokenMs: positive,
  decodeMs: positive,
  emptyResidentBytes: positive,
  peakResidentBytes: positive,
  stateBytes: positive,
  elsewhere: z.number().nonnegative(),
});

const ceilingSchema: z.ZodType<Ceiling> = z.object({
  round: count,
  productFlops: positive,
  productShape: z.string(),
  readBytesPerSecond: positive,
  elsewhere: z.number().nonnegative(),
});

const setupSchema: z.ZodType<Setup> = z.object({
  subject: z.string(),
  processor: z.string(),
  node: z.string(),
  threads: count,
  segmentTokens: count,
  decodedTokens: count,
});

const resultsSchema: z.ZodType<Results> = z.object({
  setup: setupSchema,
  points: z.array(pointSchema),
  ceilings: z.array(ceilingSchema),
});

/** Checks a point that a measuring process has sent. */
export function parsePoint(value: unknown): Point {
  return pointSchema.parse(value);
}

/** Checks a ceiling that a measuring process has sent. */
export function parseCeiling(value: unknown): Ceiling {
  return ceilingSchema.parse(value);
}

/** Reads a run to go on with; undefined when there is none. @throws when it was of another setup. */
export async function readResults(path: string, setup: Setup): Promise<Results | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch {
    return undefined;
  }
  const results = resultsSchema.parse(JSON.parse(text));
  const [was, is] = [results.setup, setup].map((one) => JSON.stringify(one));
  if (was === is) return results;
  throw new Error(`bench: ${path} is of another run: ${was}, not ${is}. Leave --resume out to start over.`);
}

/** Writes a run, whole or not at all. */
export async function writeResults(path: string, results: Results): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomic(path, new TextEncoder().encode(`${JSON.stringify(results, null, 2)}\n`));
}
