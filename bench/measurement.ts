/**
 * What the bench measures: one point is one engine at one context length, in a process of its own.
 *
 * Results are kept as JSON; what is read back is checked, never cast.
 */

import { z } from "zod";
import { type EngineName, type EngineOptions, engineNames } from "./engine.ts";

/** Says which point to measure. */
export interface PointPlan {
  readonly engine: EngineName;
  readonly options: EngineOptions;
  /** Tokens in the context when decoding begins. */
  readonly lengthTokens: number;
  /** V: token ids are drawn below it. */
  readonly vocabularySize: number;
}

const positive = z.number().positive();
const count = z.number().int().nonnegative();

const pointSchema = z.object({
  engine: z.enum(engineNames),
  lengthTokens: count,
  round: count,
  /** The engine, its version and how it runs. */
  description: z.string(),
  /** From nothing imported to a model that can read, in milliseconds. */
  loadMs: positive,
  /** Over the last segment before the length, in tokens a second. */
  prefillTokensPerSecond: positive,
  /** From an empty stream to the first generated token, after `lengthTokens` of prompt, in milliseconds. */
  firstTokenMs: positive,
  /** Mean over the tokens decoded after the prompt, in milliseconds a token. */
  decodeMs: positive,
  /** The most memory that the process has had resident, in bytes. */
  peakResidentBytes: positive,
  /** The stream's state at the length, in bytes. */
  stateBytes: positive,
  /** Share of the machine's processors that other processes took meanwhile, 0 to 1. */
  elsewhere: z.number(),
});

const ceilingSchema = z.object({
  round: count,
  /** The fastest product of ONNX Runtime among the model's shapes, in FLOP/s. */
  productFlops: positive,
  /** The shape of that product: `[rows, inner] x [inner, columns]`. */
  productShape: z.string(),
  /** Bytes a second that all threads together read from memory. */
  readBytesPerSecond: positive,
  elsewhere: z.number(),
});

/** Is one measured point. */
export type Point = z.infer<typeof pointSchema>;

/** Is what the machine can do at best, measured in the same run. */
export type Ceiling = z.infer<typeof ceilingSchema>;

/** Checks what a measuring process has sent. */
export const parsePoint: (value: unknown) => Omit<Point, "engine" | "lengthTokens" | "round"> = (value) =>
  pointSchema.omit({ engine: true, lengthTokens: true, round: true }).parse(value);
