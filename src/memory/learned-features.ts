/**
 * A learned feature map of the linear memory: phi(x) = exp(W x), with a W for queries and one for keys, a matrix each
 * key/value head. Sharper than elu(x) + 1: an exponential tells one key from many (after Performers, arXiv 2009.14794).
 */

import type { Value } from "../graph/graph.ts";
import type { WeightReader } from "../graph/weights.ts";
import type { AttentionGeometry } from "./geometry.ts";
import type { FeatureMap } from "./linear-memory.ts";

/** Bounds exponents, so that no sum of features overflows: e^12 squared, a billion times, is 2.6e19. */
const largestExponent = 12;

/** Names the tensor of a layer, `[K, Dphi, D]`. */
export const featureWeightName = (layer: number, use: "query" | "key"): string =>
  `layers.${layer}.feature_map.${use}.weight`;

/** Makes the map of a layer's queries or keys. @param featureCount Dphi. */
export function makeLearnedFeatures(
  { keyValueHeadCount: K, headSize: D }: AttentionGeometry,
  weights: WeightReader,
  layer: number,
  use: "query" | "key",
  featureCount: number,
): FeatureMap {
  return (b, x): Value => {
    const weight = weights.take(b, featureWeightName(layer, use), [K, featureCount, D]);
    const exponent = b.matMul(x, b.transpose(weight, [0, 2, 1]));
    const bounded = b.max(b.min(exponent, b.scalar(largestExponent)), b.scalar(-largestExponent));
    return b.exp(bounded);
  };
}
