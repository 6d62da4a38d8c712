/**
 * The memory-gating module: how much of the memory joins a layer's attention output.
 *
 *   g = sigmoid(up silu(down a + b) + b'),  one a query head     (EdgeInfinite, arXiv 2503.22196, section 3.2)
 *   out_h = (1 - g_h) A_local,h + g_h A_mem,h
 *
 * a is the heads' local outputs side by side. The gate is the only part of the method that is trained.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import type { WeightReader } from "../graph/weights.ts";
import type { AttentionGeometry } from "./geometry.ts";
import { tokensSymbol } from "./local-attention.ts";

/** Writes the gate of a layer before its sigmoid: a `[T, H*D]` to `[T, H]`. */
export function writeReadGateLogit(
  b: GraphBuilder,
  { queryHeadCount: H, headSize: D }: AttentionGeometry,
  weights: WeightReader,
  rank: number,
  layer: number,
  attention: Value,
): Value {
  const take = (name: string, shape: readonly number[]): Value =>
    weights.take(b, `layers.${layer}.read_gate.${name}`, shape);
  const hidden = b.silu(b.linear(attention, take("down.weight", [rank, H * D]), take("down.bias", [rank])));
  return b.linear(hidden, take("up.weight", [H, rank]), take("up.bias", [H]));
}

/** Writes the gate of a layer: a `[T, H*D]` to g `[T, H]`, in (0, 1). */
export function writeReadGate(
  b: GraphBuilder,
  geometry: AttentionGeometry,
  weights: WeightReader,
  rank: number,
  layer: number,
  attention: Value,
): Value {
  return b.sigmoid(writeReadGateLogit(b, geometry, weights, rank, layer, attention));
}

/**
 * Writes the convex fusion of the local output `[T, H*D]` and the memory's `[T, K, H/K, D]` by the gate, `[T, H]` or
 * `[1, H]` for all tokens: `[T, H*D]`. It is written as A_local + g (A_mem - A_local).
 */
export function writeConvexFusion(
  b: GraphBuilder,
  { queryHeadCount: H, keyValueHeadCount: K, headSize: D }: AttentionGeometry,
  local: Value,
  memory: Value,
  gate: Value,
): Value {
  const groups = [tokensSymbol, K, H / K] as const;
  const exact = b.reshape(local, [...groups, D]);
  const opening = b.reshape(gate, [gate.shape[0] ?? tokensSymbol, K, H / K, 1]);
  const fused = b.add(exact, b.mul(opening, b.sub(memory, exact)));
  return b.reshape(fused, [tokensSymbol, H * D]);
}
