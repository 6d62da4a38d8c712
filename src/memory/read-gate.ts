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

/** Writes the gate of a layer: a `[T, H*D]` to g `[T, H]`, in (0, 1). */
export function writeReadGate(
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
  return b.sigmoid(b.linear(hidden, take("up.weight", [H, rank]), take("up.bias", [H])));
}

/** Writes the convex fusion of local and memory output, `[T, H*D]` each, by the gate `[T, H]`. */
export function writeConvexFusion(
  b: GraphBuilder,
  { queryHeadCount: H, headSize: D }: AttentionGeometry,
  local: Value,
  memory: Value,
  gate: Value,
): Value {
  const heads = [tokensSymbol, H, D] as const;
  const open = b.reshape(gate, [tokensSymbol, H, 1]);
  const closed = b.sub(b.scalar(1), open);
  const fused = b.add(b.mul(closed, b.reshape(local, heads)), b.mul(open, b.reshape(memory, heads)));
  return b.reshape(fused, [tokensSymbol, H * D]);
}
