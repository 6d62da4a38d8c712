/**
 * What the memory needs to know of a model, and the sizes of its regions.
 */

import { InvalidRequestError } from "../errors.ts";

/** Describes the attention of a decoder, the same in every layer. */
export interface AttentionGeometry {
  /** L. */
  readonly layerCount: number;
  /** H. */
  readonly queryHeadCount: number;
  /** K; H is a multiple of it. */
  readonly keyValueHeadCount: number;
  /** D. */
  readonly headSize: number;
  /** E. */
  readonly hiddenSize: number;
  /** Positions that the model was trained on. */
  readonly maxPositions: number;
  /** One angle per position and pair, in radians: `position * inverseFrequencies[i]`, `[D/2]`. */
  readonly inverseFrequencies: Float64Array;
}

/** Sizes the regions of the local cache, in tokens (DESIGN: S, B, W, T). */
export interface ContextSettings {
  /** S: first tokens of the stream, kept for ever. */
  readonly sinkTokens: number;
  /** B: retained slots a layer and key/value head. */
  readonly slotTokens: number;
  /** W: tokens before the current segment that stay exact. */
  readonly windowTokens: number;
  /** T: tokens of a segment. */
  readonly segmentTokens: number;
}

/** Holds when neither the caller nor an adapter says otherwise. */
export const defaultContext: ContextSettings = {
  sinkTokens: 4,
  slotTokens: 0,
  windowTokens: 1024,
  segmentTokens: 512,
};

/** Returns C = S + B + W + T, the most tokens that are ever exact. */
export function localCapacityTokens(context: ContextSettings): number {
  return context.sinkTokens + context.slotTokens + context.windowTokens + context.segmentTokens;
}

/**
 * Refuses settings that are no sizes or do not fit the model's trained positions.
 * @throws {@link InvalidRequestError} naming the setting.
 */
export function validateContext(context: ContextSettings, maxPositions: number): void {
  const least: { readonly [Name in keyof ContextSettings]: number } = {
    sinkTokens: 0,
    slotTokens: 0,
    windowTokens: 1,
    segmentTokens: 1,
  };
  for (const [name, minimum] of Object.entries(least)) {
    const got = context[name as keyof ContextSettings];
    if (!Number.isSafeInteger(got) || got < minimum) {
      throw new InvalidRequestError({
        where: `context.${name}`,
        what: "not a size",
        got,
        expected: `a whole number >= ${minimum}`,
      });
    }
  }
  const total = localCapacityTokens(context);
  if (total > maxPositions) {
    throw new InvalidRequestError({
      where: "context",
      what: "sinks, slots, window and segment exceed the positions that the model was trained on",
      got: `${context.sinkTokens} + ${context.slotTokens} + ${context.windowTokens} + ${context.segmentTokens} = ${total}`,
      expected: `at most ${maxPositions}`,
      remedy: "Choose a smaller windowTokens or segmentTokens.",
    });
  }
}
