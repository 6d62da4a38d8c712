/**
 * What a trained linear memory writes and reads by, before the first step.
 */

import { type AttentionGeometry, memoryLayers } from "../memory/geometry.ts";
import { featureWeightName } from "../memory/learned-features.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { createDraws } from "./random-draws.ts";

/**
 * Draws the tensors `layers.{i}.feature_map.*` of all layers with a memory: random directions of deviation
 * 0.5 D^-1/4, the same for queries as for keys, so that a query is near the keys that are like it.
 * @param featureCount - Dphi.
 */
export function drawInitialFeatures(
  geometry: AttentionGeometry,
  featureCount: number,
  seed: number,
): Map<string, HostTensor<"float32">> {
  const { keyValueHeadCount: K, headSize: D } = geometry;
  const tensors = new Map<string, HostTensor<"float32">>();
  const halfWidth = Math.sqrt(3) * 0.5 * D ** -0.25;
  for (const layer of memoryLayers(geometry)) {
    const draws = createDraws(seed, `features ${layer}`);
    const weight = new Float32Array(K * featureCount * D).map(() => halfWidth * (2 * draws.uniform() - 1));
    for (const use of ["query", "key"] as const)
      tensors.set(featureWeightName(layer, use), hostTensor("float32", [K, featureCount, D], weight.slice()));
  }
  return tensors;
}
