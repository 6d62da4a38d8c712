/**
 * Counts what a decoder must compute and read: the numerators of the roofline.
 *
 *   FLOP a token = 2 * (weights of all projections) + 4 * L * H * D * (places attended)
 *   bytes a decoded token = weights of all projections and of the output + 2 * L * K * D * 4 * (places attended)
 *
 * Products only: norms, rotation, softmax, and the one row of logits that a prompt needs are not counted. Places
 * are those of the local cache; the read of the linear memory (D x D a head) is left out, being 1% of either.
 */

import type { ContextSettings } from "../src/memory/geometry.ts";
import { commitCountAt } from "../src/memory/segmented-state.ts";
import type { DecoderSizes } from "../src/models/decoder-tensors.ts";

/** Names how weights are held: float32, or blocks of 32 with a float32 scale. */
export type WeightFormat = "f32" | "q8" | "q4";

/** Bytes of a weight in memory, its share of the scale included. */
export const bytesPerWeight: { readonly [Format in WeightFormat]: number } = {
  f32: 4,
  q8: 1 + 4 / 32,
  q4: 0.5 + 4 / 32,
};

/** Lists the matrices of a layer as they can be multiplied at once: `[inner, columns]`. */
export function layerProducts(shape: DecoderSizes): readonly (readonly [inner: number, columns: number])[] {
  const { hiddenSize: E, queryHeadCount: H, keyValueHeadCount: K, headSize: D, mlpSize: F } = shape;
  return [
    [E, (H + 2 * K) * D],
    [H * D, E],
    [E, 2 * F],
    [F, E],
  ];
}

function projectionWeights(shape: DecoderSizes): number {
  const ofLayer = layerProducts(shape).reduce((sum, [inner, columns]) => sum + inner * columns, 0);
  return shape.layerCount * ofLayer;
}

/** Returns how many places of the local cache the token at a position of the stream attends to, with its own. */
function attendedPlaces(position: number, context: ContextSettings): number {
  return position + 1 - commitCountAt(context, position + 1) * context.segmentTokens;
}

/** Returns the mean number of attended places over the tokens from one position up to another. */
export function meanAttendedPlaces(from: number, to: number, context: ContextSettings): number {
  let sum = 0;
  for (let position = from; position < to; position++) sum += attendedPlaces(position, context);
  return sum / (to - from);
}

/** Returns the FLOP of one token of a prompt that attends to so many places. */
export function prefillFlops(shape: DecoderSizes, places: number): number {
  const { layerCount: L, queryHeadCount: H, headSize: D } = shape;
  return 2 * projectionWeights(shape) + 4 * L * H * D * places;
}

/** Returns the bytes that decoding one token reads. */
export function decodeBytes(shape: DecoderSizes, format: WeightFormat, places: number): number {
  const { layerCount: L, keyValueHeadCount: K, headSize: D, hiddenSize: E, vocabularySize: V } = shape;
  return bytesPerWeight[format] * (projectionWeights(shape) + E * V) + 8 * L * K * D * places;
}

/** Returns the bytes of all weights, the embedding counted once when it is tied. */
export function weightBytes(shape: DecoderSizes, format: WeightFormat, tied: boolean): number {
  const embedding = shape.hiddenSize * shape.vocabularySize;
  return bytesPerWeight[format] * (projectionWeights(shape) + embedding * (tied ? 1 : 2));
}
