/**
 * Memory gates before the first step: shut, so that training begins at the frozen model.
 *
 * `up.weight` is zero and `up.bias` far below zero, so that every gate is sigmoid(bias) whatever it reads. A gate that
 * begins at a half stays there: it would ruin what the base says before it learns when to open.
 */

import { type AttentionGeometry, memoryLayers } from "../memory/geometry.ts";
import { betaName, untrainedBeta } from "../memory/infini.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { createDraws } from "./random-draws.ts";

/** Draws the tensors of an adapter of variant `infini`, one for each layer that has a memory: every beta is `beta`. */
export function drawInitialBetas(
  geometry: AttentionGeometry,
  beta: number = untrainedBeta,
): Map<string, HostTensor<"float32">> {
  const { queryHeadCount: H } = geometry;
  const tensor = () => hostTensor("float32", [H], new Float32Array(H).fill(beta));
  return new Map(memoryLayers(geometry).map((layer) => [betaName(layer), tensor()]));
}

/** Chooses gates. */
export interface InitialGatesOptions {
  /** R: the inner width of a gate. */
  readonly rank: number;
  readonly seed: number;
  /** The logit of every gate; default -4, 1.8% open. */
  readonly bias?: number;
}

/**
 * Draws the tensors of an adapter of variant `paper`, a gate for each layer that has a memory: `down.weight`
 * `[R, H*D]` of variance 1 / (H*D), all else constant.
 */
export function drawInitialGates(
  geometry: AttentionGeometry,
  { rank: R, seed, bias = -4 }: InitialGatesOptions,
): Map<string, HostTensor<"float32">> {
  const { queryHeadCount: H, headSize: D } = geometry;
  const inSize = H * D;
  const tensors = new Map<string, HostTensor<"float32">>();
  for (const layer of memoryLayers(geometry)) {
    const gate = `layers.${layer}.read_gate`;
    const draws = createDraws(seed, `gate ${layer}`);
    const halfWidth = Math.sqrt(3 / inSize);
    const down = new Float32Array(R * inSize).map(() => halfWidth * (2 * draws.uniform() - 1));
    tensors.set(`${gate}.down.weight`, hostTensor("float32", [R, inSize], down));
    tensors.set(`${gate}.down.bias`, hostTensor("float32", [R], new Float32Array(R)));
    tensors.set(`${gate}.up.weight`, hostTensor("float32", [H, R], new Float32Array(H * R)));
    tensors.set(`${gate}.up.bias`, hostTensor("float32", [H], new Float32Array(H).fill(bias)));
  }
  return tensors;
}
