/**
 * Retention networks before the first step: all tokens alike, and worth little.
 */

import { type AttentionGeometry, memoryLayers } from "../memory/geometry.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { createDraws } from "./random-draws.ts";

/** sigmoid(-3): about the share of attention that one of twenty tokens receives. */
const firstScore = -3;

/**
 * Draws the tensors `layers.{i}.retention.*` of all layers with a memory: the inner half at random with variance
 * 1 / E, the outer one zero but for its bias.
 * @param rank - R.
 */
export function drawInitialRetention(
  geometry: AttentionGeometry,
  rank: number,
  seed: number,
): Map<string, HostTensor<"float32">> {
  const { hiddenSize: E, keyValueHeadCount: K } = geometry;
  const tensors = new Map<string, HostTensor<"float32">>();
  const halfWidth = Math.sqrt(3 / E);
  for (const layer of memoryLayers(geometry)) {
    const name = (part: string): string => `layers.${layer}.retention.${part}`;
    const draws = createDraws(seed, name("down.weight"));
    const down = new Float32Array(rank * E).map(() => halfWidth * (2 * draws.uniform() - 1));
    tensors.set(name("down.weight"), hostTensor("float32", [rank, E], down));
    tensors.set(name("down.bias"), hostTensor("float32", [rank], new Float32Array(rank)));
    tensors.set(name("up.weight"), hostTensor("float32", [K, rank], new Float32Array(K * rank)));
    tensors.set(name("up.bias"), hostTensor("float32", [K], new Float32Array(K).fill(firstScore)));
  }
  return tensors;
}
