/**
 * The inference graph of a pre-norm decoder, as Llama, Mistral and Qwen have it:
 *
 *   x += attention(norm(x)),   x += mlp(norm(x)),   logits = head(norm(x))
 *
 * How attention remembers is the policy's affair. T tokens go in; logits come out for the rows asked for.
 */

import { InvalidModelError } from "../errors.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph } from "../graph/graph.ts";
import { type WeightEntry, WeightReader } from "../graph/weights.ts";
import { tokensSymbol } from "../memory/local-attention.ts";
import type { MemoryPolicy } from "../memory/policy.ts";
import type { DecoderConfig } from "./decoder-config.ts";
import {
  type LayerContext,
  writeEmbedding,
  writeGatedMlp,
  writeLogits,
  writeRmsNorm,
  writeSelfAttention,
} from "./layers.ts";

/** Names the inputs and the output that every inference graph has besides its policy's. */
export const inferenceNames = {
  /** int64 `[T]`. */
  tokenIds: "token_ids",
  /** int64 `[N]`: rows of T whose logits are wanted. */
  logitRows: "logit_rows",
  /** float32 `[N, V]`. */
  logits: "logits",
} as const;

/** Tensors that checkpoints may carry and no graph needs. */
function isIgnorable(name: string, config: DecoderConfig): boolean {
  return name.endsWith(".rotary_emb.inv_freq") || (config.tiedEmbeddings && name === "lm_head.weight");
}

function refuseLeftovers(where: string, weights: WeightReader, config: DecoderConfig): void {
  const left = weights.leftovers.filter((name) => !isIgnorable(name, config));
  if (left.length > 0) {
    const tensors = left.length === 1 ? "a tensor has" : `${left.length} tensors have`;
    throw new InvalidModelError({
      where,
      what: `${tensors} no place in a ${config.modelType} checkpoint of this configuration`,
      got: left,
      remedy: "config.json and the weights are probably of different models.",
    });
  }
}

/**
 * Builds the inference graph over a checkpoint's tensors.
 * @param where names the checkpoint in messages.
 * @throws {@link InvalidModelError} when a tensor is missing, too much, or of another shape.
 */
export function buildDecoderGraph(
  where: string,
  config: DecoderConfig,
  tensors: ReadonlyMap<string, WeightEntry>,
  policy: MemoryPolicy,
): Graph {
  const builder = new GraphBuilder("inference");
  const weights = new WeightReader(where, tensors);
  const context: LayerContext = { builder, config, weights };
  const E = config.geometry.hiddenSize;
  const tokenIds = builder.input(inferenceNames.tokenIds, "int64", [tokensSymbol]);
  const rows = builder.input(inferenceNames.logitRows, "int64", ["N"]);
  const attention = policy.beginAttention(builder);
  let x = writeEmbedding(context, tokenIds, "model.embed_tokens.weight");
  for (let layer = 0; layer < config.geometry.layerCount; layer++) {
    const prefix = `model.layers.${layer}`;
    const hidden = writeRmsNorm(context, x, `${prefix}.input_layernorm.weight`, E);
    x = builder.add(x, writeSelfAttention(context, attention, layer, `${prefix}.self_attn`, hidden));
    const normed = writeRmsNorm(context, x, `${prefix}.post_attention_layernorm.weight`, E);
    x = builder.add(x, writeGatedMlp(context, `${prefix}.mlp`, normed));
  }
  const logits = builder.named(
    inferenceNames.logits,
    writeLogits(context, x, rows, "model.embed_tokens.weight"),
  );
  refuseLeftovers(where, weights, config);
  return builder.finish([logits, ...attention.finish()]);
}
