/**
 * The functions that all decoder families share, written into a graph. x is `[T, E]` throughout.
 */

import type { Value } from "../graph/graph.ts";
import type { LinearPart } from "../graph/weights.ts";
import { tokensSymbol } from "../memory/local-attention.ts";
import type { AttentionWriter } from "../memory/policy.ts";
import type { DecoderArchitecture, LayerContext } from "./architecture.ts";
import { writeLayerNorm } from "./norms.ts";

/** Writes `x W^T (+ b)` with the weights `prefix.weight` `[outSize, inSize]` and `prefix.bias`. */
export const writeLinear: DecoderArchitecture["writeLinear"] = (
  { builder, weights },
  x,
  prefix,
  outSize,
  inSize,
  hasBias,
) => {
  const bias = hasBias ? weights.take(builder, `${prefix}.bias`, [outSize]) : undefined;
  return weights.linear(builder, x, `${prefix}.weight`, [outSize, inSize], bias);
};

/** Says which product of several is meant: the name of its tensors, and its columns. */
export interface LinearName {
  readonly prefix: string;
  readonly outSize: number;
}

/** Writes the products of one x `[T, inSize]` with several matrices, as one where they are held together. */
export function writeLinears(
  { builder, weights }: LayerContext,
  x: Value,
  names: readonly LinearName[],
  inSize: number,
  hasBias: boolean,
): readonly Value[] {
  const parts = names.map(({ prefix, outSize }): LinearPart => {
    const bias = hasBias ? weights.take(builder, `${prefix}.bias`, [outSize]) : undefined;
    return { name: `${prefix}.weight`, shape: [outSize, inSize], bias };
  });
  return weights.linears(builder, x, parts);
}

/** Writes the rows of the embedding that the token ids `[T]` name. Rows are widened after the look-up. */
export const writeTokenEmbedding: DecoderArchitecture["writeEmbedding"] = (
  { builder, config, weights, architecture },
  tokenIds,
) => {
  const shape = [config.vocabularySize, config.geometry.hiddenSize] as const;
  return weights.gatherRows(builder, tokenIds, `${architecture.names.embedding}.weight`, shape);
};

/** Writes `x * factor`, and nothing for a factor of 1. */
export function writeScaled({ builder }: LayerContext, x: Value, factor: number): Value {
  return factor === 1 ? x : builder.mul(x, builder.scalar(factor));
}

/** Writes what the first layer reads. */
export function writeInput(context: LayerContext, tokenIds: Value, attention: AttentionWriter): Value {
  const { config, architecture } = context;
  const embedded = architecture.writeEmbedding(context, tokenIds, attention);
  const scaled = writeScaled(context, embedded, config.embeddingScale);
  if (!config.hasEmbeddingNorm) return scaled;
  return writeLayerNorm(context, scaled, architecture.names.embeddingNorm, config.geometry.hiddenSize);
}

/** Normalises queries or keys `[T, heads, D]` as the configuration says. */
function writeHeadNorm(context: LayerContext, x: Value, prefix: string, heads: number): Value {
  const { builder, config, architecture } = context;
  const { headSize: D } = config.geometry;
  if (config.queryKeyNorm === "none") return x;
  if (config.queryKeyNorm === "head") return architecture.writeNorm(context, x, prefix, D);
  const flat = builder.reshape(x, [tokensSymbol, heads * D]);
  const normed = architecture.writeNorm(context, flat, prefix, heads * D);
  return builder.reshape(normed, [tokensSymbol, heads, D]);
}

/**
 * Writes grouped-query self-attention with its projections of `hidden`. What the heads attend to is the policy's
 * affair.
 */
export function writeSelfAttention(
  context: LayerContext,
  attention: AttentionWriter,
  layer: number,
  prefix: string,
  hidden: Value,
): Value {
  const { config, architecture } = context;
  const { queryHeadCount: H, keyValueHeadCount: K, headSize: D, hiddenSize: E } = config.geometry;
  const { query, key, value } = architecture.writeProjections(context, prefix, hidden);
  const heads = attention.attend(layer, {
    query: writeHeadNorm(context, query, `${prefix}.q_norm`, H),
    key: writeHeadNorm(context, key, `${prefix}.k_norm`, K),
    value,
    hidden,
  });
  const output = `${prefix}.${architecture.names.output}`;
  return architecture.writeLinear(context, heads, output, E, H * D, config.hasOutputBias);
}

/** Writes the logits of chosen rows: rows int64 `[N]` of x `[T, E]` to `[N, V]`. */
export function writeLogits(context: LayerContext, x: Value, rows: Value): Value {
  const { builder, config, weights, architecture } = context;
  const { embedding, finalNorm, head } = architecture.names;
  const { vocabularySize: V, logitScale, logitBound } = config;
  const E = config.geometry.hiddenSize;
  const chosen = architecture.writeNorm(context, builder.gather(x, rows), finalNorm, E);
  const name = config.tiedEmbeddings ? embedding : head;
  const logits = writeScaled(context, weights.linear(builder, chosen, `${name}.weight`, [V, E]), logitScale);
  if (logitBound === Number.POSITIVE_INFINITY) return logits;
  return writeScaled(context, builder.tanh(writeScaled(context, logits, 1 / logitBound)), logitBound);
}
