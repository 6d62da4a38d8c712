/**
 * The layer functions that decoder families share, written into a graph. x is `[T, E]` throughout.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import type { WeightReader } from "../graph/weights.ts";
import { tokensSymbol } from "../memory/local-attention.ts";
import type { AttentionWriter } from "../memory/policy.ts";
import type { DecoderConfig } from "./decoder-config.ts";

/** Is what every layer function writes with. */
export interface LayerContext {
  readonly builder: GraphBuilder;
  readonly config: DecoderConfig;
  readonly weights: WeightReader;
}

/** Writes `x W^T (+ b)` with the weights `prefix.weight` `[outSize, inSize]` and `prefix.bias`. */
function writeLinear(
  { builder, weights }: LayerContext,
  x: Value,
  prefix: string,
  outSize: number,
  inSize: number,
  hasBias: boolean,
): Value {
  const bias = hasBias ? weights.take(builder, `${prefix}.bias`, [outSize]) : undefined;
  return weights.linear(builder, x, `${prefix}.weight`, [outSize, inSize], bias);
}

/** Writes RMS normalisation over the last axis, of width `size`. */
export function writeRmsNorm(
  { builder, config, weights }: LayerContext,
  x: Value,
  name: string,
  size: number,
): Value {
  return builder.rmsNorm(x, weights.take(builder, name, [size]), config.normEpsilon);
}

/** Writes the rows of the embedding that the token ids `[T]` name. Rows are widened after the look-up. */
export function writeEmbedding(
  { builder, config, weights }: LayerContext,
  tokenIds: Value,
  name: string,
): Value {
  return weights.gatherRows(builder, tokenIds, name, [config.vocabularySize, config.geometry.hiddenSize]);
}

/**
 * Writes grouped-query self-attention with its projections: x is the layer's normed input.
 * What the heads attend to is the policy's affair.
 */
export function writeSelfAttention(
  context: LayerContext,
  attention: AttentionWriter,
  layer: number,
  prefix: string,
  hidden: Value,
): Value {
  const { builder, config } = context;
  const { queryHeadCount: H, keyValueHeadCount: K, headSize: D, hiddenSize: E } = config.geometry;
  const project = (name: string, heads: number): Value => {
    const flat = writeLinear(
      context,
      hidden,
      `${prefix}.${name}_proj`,
      heads * D,
      E,
      config.hasQueryKeyValueBias,
    );
    const split = builder.reshape(flat, [tokensSymbol, heads, D]);
    const normed = config.hasQueryKeyNorm && name !== "v";
    const ready = normed ? writeRmsNorm(context, split, `${prefix}.${name}_norm.weight`, D) : split;
    return builder.transpose(ready, [1, 0, 2]);
  };
  const inputs = { query: project("q", H), key: project("k", K), value: project("v", K), hidden };
  const heads = attention.attend(layer, inputs);
  return writeLinear(context, heads, `${prefix}.o_proj`, E, H * D, config.hasOutputBias);
}

/** Writes the gated MLP: down(silu(gate x) * up x). */
export function writeGatedMlp(context: LayerContext, prefix: string, x: Value): Value {
  const { builder, config } = context;
  const { mlpSize: F, hasMlpBias } = config;
  const E = config.geometry.hiddenSize;
  const gate = writeLinear(context, x, `${prefix}.gate_proj`, F, E, hasMlpBias);
  const up = writeLinear(context, x, `${prefix}.up_proj`, F, E, hasMlpBias);
  return writeLinear(context, builder.mul(builder.silu(gate), up), `${prefix}.down_proj`, E, F, hasMlpBias);
}

/** Writes the logits of chosen rows: rows int64 `[N]` of x `[T, E]` to `[N, V]`. */
export function writeLogits(context: LayerContext, x: Value, rows: Value, embeddingName: string): Value {
  const { builder, config, weights } = context;
  const E = config.geometry.hiddenSize;
  const V = config.vocabularySize;
  const chosen = writeRmsNorm(context, builder.gather(x, rows), "model.norm.weight", E);
  const name = config.tiedEmbeddings ? embeddingName : "lm_head.weight";
  return weights.linear(builder, chosen, name, [V, E]);
}
