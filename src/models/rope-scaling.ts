/**
 * Frequencies of rotary embedding and the ways that checkpoints stretch them.
 *
 *   default   f_i = theta^(-2i/D)                                                    (arXiv 2104.09864)
 *   linear    f_i / factor                                                           (arXiv 2306.15595)
 *   llama3    low frequencies divided by factor, high ones kept, the rest in between (Llama 3.1)
 *   dynamic   as default within the trained length; the engine never leaves it
 */

import { z } from "zod";
import { InvalidModelError, UnsupportedError } from "../errors.ts";

/** Checks the `rope_scaling` or `rope_parameters` of a configuration. */
export const ropeScalingSchema: z.ZodType<RopeScaling> = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  partial_rotary_factor: z.number().optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: z.number().positive().optional(),
});

/** Is a checked `rope_scaling`. */
export interface RopeScaling {
  readonly rope_type?: string | undefined;
  readonly type?: string | undefined;
  readonly rope_theta?: number | undefined;
  readonly partial_rotary_factor?: number | undefined;
  readonly factor?: number | undefined;
  readonly low_freq_factor?: number | undefined;
  readonly high_freq_factor?: number | undefined;
  readonly original_max_position_embeddings?: number | undefined;
}

type Stretch = (frequency: number) => number;

function need(where: string, scaling: RopeScaling, field: keyof RopeScaling): number {
  const value = scaling[field];
  if (typeof value !== "number") {
    throw new InvalidModelError({
      where,
      what: `field rope_scaling.${field} is missing`,
      expected: "a positive number",
    });
  }
  return value;
}

function makeLlama3Stretch(where: string, scaling: RopeScaling): Stretch {
  const factor = need(where, scaling, "factor");
  const low = need(where, scaling, "low_freq_factor");
  const high = need(where, scaling, "high_freq_factor");
  const trained = need(where, scaling, "original_max_position_embeddings");
  return (frequency) => {
    const turns = (trained * frequency) / (2 * Math.PI);
    if (turns < low) return frequency / factor;
    if (turns > high) return frequency;
    const smooth = (turns - low) / (high - low);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  };
}

const stretches: Readonly<Record<string, (where: string, scaling: RopeScaling) => Stretch>> = {
  default: () => (frequency) => frequency,
  dynamic: () => (frequency) => frequency,
  linear: (where, scaling) => {
    const factor = need(where, scaling, "factor");
    return (frequency) => frequency / factor;
  },
  llama3: makeLlama3Stretch,
};

/**
 * Computes the angle per position of each pair, `[D/2]`, in radians.
 * @throws {@link UnsupportedError} naming a way of stretching that is not run.
 */
export function inverseFrequencies(
  where: string,
  headSize: number,
  theta: number,
  scaling: RopeScaling | undefined,
): Float64Array {
  const type = scaling?.rope_type ?? scaling?.type ?? "default";
  const makeStretch = Object.hasOwn(stretches, type) ? stretches[type] : undefined;
  if (makeStretch === undefined) {
    const expected = Object.keys(stretches).join(", ");
    throw new UnsupportedError({
      where,
      what: "this version does not run rope_scaling",
      got: type,
      expected,
    });
  }
  const stretch = makeStretch(where, scaling ?? {});
  const half = headSize / 2;
  return Float64Array.from({ length: half }, (_, pair) => stretch(theta ** (-pair / half)));
}
