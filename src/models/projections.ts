/**
 * The ways that checkpoints keep the projections to queries, keys and values. Each gives `[T, heads, D]`.
 */

import type { Value } from "../graph/graph.ts";
import { tokensSymbol } from "../memory/local-attention.ts";
import type { DecoderArchitecture, LayerContext, Projections } from "./architecture.ts";
import { writeLinears } from "./layers.ts";

type WriteProjections = DecoderArchitecture["writeProjections"];

function split(
  { builder, config }: LayerContext,
  x: Value,
  axis: number,
  sizes: readonly [number, number, number],
): Projections {
  const { queryHeadCount: H, keyValueHeadCount: K, headSize: D } = config.geometry;
  const [query = x, key = x, value = x] = builder.split(x, axis, sizes);
  const shape = (part: Value, heads: number): Value => builder.reshape(part, [tokensSymbol, heads, D]);
  return { query: shape(query, H), key: shape(key, K), value: shape(value, K) };
}

/** Writes three matrices, as Llama has them: `q_proj` `[H*D, E]`, `k_proj` and `v_proj` `[K*D, E]`. */
export const writeSeparateProjections: WriteProjections = (context, prefix, hidden) => {
  const { builder, config } = context;
  const { queryHeadCount: H, keyValueHeadCount: K, headSize: D, hiddenSize: E } = config.geometry;
  const names = [["q", H] as const, ["k", K] as const, ["v", K] as const].map(([name, heads]) => ({
    prefix: `${prefix}.${name}_proj`,
    outSize: heads * D,
  }));
  const products = writeLinears(context, hidden, names, E, config.hasQueryKeyValueBias);
  const [query = hidden, key = hidden, value = hidden] = products;
  const shape = (flat: Value, heads: number): Value => builder.reshape(flat, [tokensSymbol, heads, D]);
  return { query: shape(query, H), key: shape(key, K), value: shape(value, K) };
};

/** Makes the writer of one matrix of all queries, then all keys, then all values: `[(H + 2K) * D, E]`. */
export function makeFusedProjections(name: string): WriteProjections {
  return (context, prefix, hidden) => {
    const { config, architecture } = context;
    const { queryHeadCount: H, keyValueHeadCount: K, headSize: D, hiddenSize: E } = config.geometry;
    const size = (H + 2 * K) * D;
    const full = `${prefix}.${name}`;
    const flat = architecture.writeLinear(context, hidden, full, size, E, config.hasQueryKeyValueBias);
    return split(context, flat, 1, [H * D, K * D, K * D]);
  };
}

/** Makes the writer of one matrix with query, key and value of each head in turn: `[H * 3 * D, E]`. */
export function makeInterleavedProjections(name: string): WriteProjections {
  return (context, prefix, hidden) => {
    const { builder, config, architecture } = context;
    const { queryHeadCount: H, headSize: D, hiddenSize: E } = config.geometry;
    const full = `${prefix}.${name}`;
    const flat = architecture.writeLinear(context, hidden, full, 3 * H * D, E, config.hasQueryKeyValueBias);
    return split(context, builder.reshape(flat, [tokensSymbol, H, 3 * D]), 2, [D, D, D]);
  };
}
