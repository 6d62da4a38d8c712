/**
 * The networks that give tokens their numbers, before the first step: all tokens alike.
 */

import { type AttentionGeometry, memoryLayers } from "../memory/geometry.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { createDraws } from "./random-draws.ts";

/** sigmoid(-3): about the share of attention that one of twenty tokens receives. */
const firstScore = -3;

/** Draws `layers.{i}.{network}.*`: the inner half at random with variance 1 / E, the outer one zero but for its bias. */
function drawNetworks(
  geometry: AttentionGeometry,
  network: { readonly name: string; readonly rank: number; readonly bias: number },
  seed: number,
): Map<string, HostTensor<"float32">> {
  const { hiddenSize: E, keyValueHeadCount: K } = geometry;
  const { rank: R, bias } = network;
  const tensors = new Map<string, HostTensor<"float32">>();
  const halfWidth = Math.sqrt(3 / E);
  for (const layer of memoryLayers(geometry)) {
    const name = (part: string): string => `layers.${layer}.${network.name}.${part}`;
    const draws = createDraws(seed, name("down.weight"));
    const down = new Float32Array(R * E).map(() => halfWidth * (2 * draws.uniform() - 1));
    tensors.set(name("down.weight"), hostTensor("float32", [R, E], down));
    tensors.set(name("down.bias"), hostTensor("float32", [R], new Float32Array(R)));
    tensors.set(name("up.weight"), hostTensor("float32", [K, R], new Float32Array(K * R)));
    tensors.set(name("up.bias"), hostTensor("float32", [K], new Float32Array(K).fill(bias)));
  }
  return tensors;
}

/**
 * Draws the tensors `layers.{i}.retention.*` of all layers with a memory: every token is worth little.
 * @param rank - R.
 */
export function drawInitialRetention(
  geometry: AttentionGeometry,
  rank: number,
  seed: number,
): Map<string, HostTensor<"float32">> {
  return drawNetworks(geometry, { name: "retention", rank, bias: firstScore }, seed);
}

/**
 * Draws the tensors `layers.{i}.slot_bias.*` of all layers with a memory: every bias is 0.
 * @param rank - R.
 */
export function drawInitialSlotBias(
  geometry: AttentionGeometry,
  rank: number,
  seed: number,
): Map<string, HostTensor<"float32">> {
  const tensors = drawNetworks(geometry, { name: "slot_bias", rank, bias: 0 }, seed);
  const { queryHeadCount: H } = geometry;
  for (const layer of memoryLayers(geometry))
    tensors.set(`layers.${layer}.slot_bias.head.bias`, hostTensor("float32", [H], new Float32Array(H)));
  return tensors;
}

/**
 * Draws the tensors `layers.{i}.write_gate.*` of all layers with a memory: half of every token is written.
 * @param rank - R.
 */
export function drawInitialWriteGate(
  geometry: AttentionGeometry,
  rank: number,
  seed: number,
): Map<string, HostTensor<"float32">> {
  return drawNetworks(geometry, { name: "write_gate", rank, bias: 0 }, seed);
}
