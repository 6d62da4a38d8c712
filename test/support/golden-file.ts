/** The golden files of the reference implementation, made in float64 and rounded to six places. */

import { z } from "zod";

/** Most that a logit may be off. float32 over five layers measures 2.4e-5. */
export const goldenTolerance = 1e-3;

/** Is what a golden file says of a stream. */
export interface Golden {
  readonly sinkTokens: number;
  readonly windowTokens: number;
  readonly segmentTokens: number;
  readonly adapter: boolean;
  readonly tokens: number[];
  readonly commits: number;
  /** After each token. */
  readonly argmax: number[];
  readonly meanNll: number;
  /** By the position of a token. */
  readonly logitsAfter: Record<string, number[]>;
}

/** Checks a golden file. */
export const goldenSchema: z.ZodType<Golden> = z.object({
  sinkTokens: z.number(),
  windowTokens: z.number(),
  segmentTokens: z.number(),
  adapter: z.boolean(),
  tokens: z.array(z.number()),
  commits: z.number(),
  argmax: z.array(z.number()),
  meanNll: z.number(),
  logitsAfter: z.record(z.string(), z.array(z.number())),
});
