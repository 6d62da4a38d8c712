/**
 * What the memory needs to know of a model, and the sizes of its regions.
 */

import { InternalError, InvalidRequestError } from "../errors.ts";

/** Says how the layers of one kind attend. Most models have one kind. */
export interface AttentionKind {
  /**
   * One angle per position and pair, in radians: `position * inverseFrequencies[i]` turns elements i and i + n of
   * n frequencies. With fewer than D/2 the end of a head stays as it is, with none the whole.
   */
  readonly inverseFrequencies: Float64Array;
  /** Factor on what is rotated, of queries and keys alike; 1 but for some ways of stretching. */
  readonly rotaryScale: number;
  /** Positions that a token attends to, itself the last of them; Infinity: all before it. */
  readonly windowTokens: number;
  /** Slots that layers of this kind keep, where a policy gives layers different numbers of them. */
  readonly slotTokens?: number;
}

/** Describes the attention of a decoder. */
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
  /** Factor on products of queries and keys: 1/sqrt(D) but in few models. */
  readonly scoreScale: number;
  /** The kinds of layers, at least one. */
  readonly kinds: readonly AttentionKind[];
  /** The index of each layer's kind, `[L]`. */
  readonly layerKinds: readonly number[];
  /** Whether the model has learned a vector for each position, so that none can be moved and no stream is longer. */
  readonly hasLearnedPositions: boolean;
}

/** Returns how a layer attends. */
export function kindOfLayer({ kinds, layerKinds }: AttentionGeometry, layer: number): AttentionKind {
  const kind = kinds[layerKinds[layer] ?? -1];
  if (kind !== undefined) return kind;
  throw new InternalError({ where: `layer ${layer}`, what: "the layer has no kind" });
}

/**
 * Lists the layers that a memory serves: those that attend to all before. A layer with a window was never trained
 * to see what is older, so nothing of it is kept (docs/adr/0008).
 */
export function memoryLayers(geometry: AttentionGeometry): readonly number[] {
  const layers = geometry.layerKinds.map((_, layer) => layer);
  return layers.filter((layer) => kindOfLayer(geometry, layer).windowTokens === Number.POSITIVE_INFINITY);
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

/** Returns the default settings beside so many slots, halved until they fit a model trained on few positions. */
export function fitDefaultContext(maxPositions: number, slotTokens: number): ContextSettings {
  let context = { ...defaultContext, slotTokens };
  while (localCapacityTokens(context) > maxPositions && context.segmentTokens > 1) {
    const { windowTokens, segmentTokens } = context;
    context = { ...context, windowTokens: windowTokens / 2, segmentTokens: segmentTokens / 2 };
  }
  return context;
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
