/**
 * Frequencies of rotary embedding and the ways that checkpoints stretch them.
 *
 *   default    f_i = theta^(-2i/D)                                                   (arXiv 2104.09864)
 *   linear     f_i / factor                                                          (arXiv 2306.15595)
 *   llama3     low frequencies divided by factor, high ones kept, the rest in between (Llama 3.1)
 *   dynamic    as default within the trained length; the engine never leaves it
 *   longrope   f_i / short_factor_i within the original length, which the engine never leaves (arXiv 2402.13753)
 *   ntkmixed   f_i / exp(a (i+1)^power), a = ln(factor) / (D/2)^power                (BlueLM, as vivo's code has it)
 */

import { z } from "zod";
import { InvalidModelError, UnsupportedError } from "../errors.ts";
import type { RotaryKind } from "../memory/rotary.ts";

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
  short_factor: z.array(z.number().positive()).max(65536).optional(),
  attention_factor: z.number().positive().nullish(),
  power: z.number().positive().optional(),
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
  readonly short_factor?: readonly number[] | undefined;
  readonly attention_factor?: number | null | undefined;
  readonly power?: number | undefined;
}

/** Is what the rotation of a checkpoint depends on. */
export interface RotarySettings {
  /** Elements of a head that are rotated, even. */
  readonly rotatedSize: number;
  readonly theta: number;
  /** `max_position_embeddings`. */
  readonly maxPositions: number;
  /** `original_max_position_embeddings`, where the configuration has it beside the others. */
  readonly originalPositions?: number | undefined;
  readonly scaling?: RopeScaling | undefined;
}

/** Tells how queries and keys are rotated, and within how many positions that holds. */
export interface Rotary extends RotaryKind {
  readonly maxPositions: number;
}

/** Is what a way of stretching changes; what is left out stays. */
interface Stretch {
  /** Stretches the frequency of a pair. */
  readonly frequency: (frequency: number, pair: number) => number;
  readonly rotaryScale?: number;
  readonly maxPositions?: number;
}

type MakeStretch = (where: string, scaling: RopeScaling, settings: RotarySettings) => Stretch;

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

const plain: MakeStretch = () => ({ frequency: (frequency) => frequency });

const linear: MakeStretch = (where, scaling) => {
  const factor = need(where, scaling, "factor");
  return { frequency: (frequency) => frequency / factor };
};

const llama3: MakeStretch = (where, scaling) => {
  const factor = need(where, scaling, "factor");
  const low = need(where, scaling, "low_freq_factor");
  const high = need(where, scaling, "high_freq_factor");
  const trained = need(where, scaling, "original_max_position_embeddings");
  return {
    frequency(frequency) {
      const turns = (trained * frequency) / (2 * Math.PI);
      if (turns < low) return frequency / factor;
      if (turns > high) return frequency;
      const smooth = (turns - low) / (high - low);
      return ((1 - smooth) * frequency) / factor + smooth * frequency;
    },
  };
};

/** Tells by what factor longrope lengthens, and from what length. */
function readLengthening(
  where: string,
  scaling: RopeScaling,
  { maxPositions, originalPositions = scaling.original_max_position_embeddings }: RotarySettings,
): { readonly factor: number; readonly original: number } {
  if (originalPositions === undefined) {
    return { factor: need(where, scaling, "factor"), original: maxPositions };
  }
  const factor = maxPositions / originalPositions;
  if (scaling.factor !== undefined && Math.abs(scaling.factor - factor) > 1e-6 * factor) {
    throw new UnsupportedError({
      where,
      what: "this version does not run rope_scaling.factor beside another ratio of positions",
      got: scaling.factor,
      expected: `${factor}: max_position_embeddings / original_max_position_embeddings`,
    });
  }
  return { factor, original: originalPositions };
}

const longrope: MakeStretch = (where, scaling, settings) => {
  const pairCount = settings.rotatedSize / 2;
  const short = scaling.short_factor;
  if (short?.length !== pairCount) {
    throw new InvalidModelError({
      where,
      what: "field rope_scaling.short_factor does not fit",
      got: short === undefined ? "none" : `${short.length} numbers`,
      expected: `${pairCount} numbers, one a rotated pair`,
    });
  }
  const { factor, original } = readLengthening(where, scaling, settings);
  const suggested = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  return {
    frequency: (frequency, pair) => frequency / (short[pair] ?? 1),
    rotaryScale: scaling.attention_factor ?? suggested,
    maxPositions: Math.min(original, settings.maxPositions),
  };
};

const ntkmixed: MakeStretch = (where, scaling, { rotatedSize, maxPositions }) => {
  const factor = Math.trunc(need(where, scaling, "factor"));
  const power = need(where, scaling, "power");
  const a = Math.log(Math.max(1, factor)) / (rotatedSize / 2) ** power;
  return {
    frequency: (frequency, pair) => frequency / Math.exp(a * (pair + 1) ** power),
    maxPositions: maxPositions * Math.max(1, factor),
  };
};

const stretches: Readonly<Record<string, MakeStretch>> = {
  default: plain,
  dynamic: plain,
  linear,
  llama3,
  longrope,
  // The name that the first Phi-3 checkpoints have for it.
  su: longrope,
  ntkmixed,
};

/**
 * Computes how queries and keys are rotated.
 * @throws {@link UnsupportedError} naming a way of stretching that is not run; {@link InvalidModelError} naming a
 * field that it lacks.
 */
export function readRotary(where: string, settings: RotarySettings): Rotary {
  const { scaling = {}, rotatedSize, theta, maxPositions } = settings;
  const type = scaling.rope_type ?? scaling.type ?? "default";
  const makeStretch = Object.hasOwn(stretches, type) ? stretches[type] : undefined;
  if (makeStretch === undefined) {
    throw new UnsupportedError({
      where,
      what: "this version does not run rope_scaling",
      got: type,
      expected: Object.keys(stretches).join(", "),
    });
  }
  const { frequency, ...changes } = makeStretch(where, scaling, settings);
  const half = rotatedSize / 2;
  return {
    inverseFrequencies: Float64Array.from({ length: half }, (_, pair) =>
      frequency(theta ** (-pair / half), pair),
    ),
    rotaryScale: 1,
    maxPositions,
    ...changes,
  };
}
