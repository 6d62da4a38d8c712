/**
 * The inference graph of a decoder: embeddings, layers, logits, put together as its architecture says.
 *
 * How attention remembers is the policy's affair. T tokens go in; logits come out for the rows asked for.
 */

import { InvalidModelError } from "../errors.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { type WeightEntry, WeightReader } from "../graph/weights.ts";
import { tokensSymbol } from "../memory/local-attention.ts";
import type { AttentionWriter, MemoryPolicy } from "../memory/policy.ts";
import type { DecoderArchitecture, LayerContext } from "./architecture.ts";
import type { DecoderConfig } from "./decoder-config.ts";
import { writeInput, writeLogits, writeScaled, writeSelfAttention } from "./layers.ts";

/** Names the inputs and the output that every inference graph has besides its policy's. */
export const inferenceNames = {
  /** int64 `[T]`. */
  tokenIds: "token_ids",
  /** int64 `[N]`: rows of T whose logits are wanted. */
  logitRows: "logit_rows",
  /** float32 `[N, V]`. */
  logits: "logits",
} as const;

function refuseLeftovers(where: string, { weights, config, architecture }: LayerContext): void {
  const isUnread = `${architecture.names.head}.weight`;
  const left = weights.leftovers.filter(
    (name) => !(architecture.isBuffer(name) || (config.tiedEmbeddings && name === isUnread)),
  );
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

function writeLayer(context: LayerContext, attention: AttentionWriter, layer: number, x: Value): Value {
  const { builder, config, architecture } = context;
  const { names, layout, writeNorm, writeMlp } = architecture;
  const prefix = `${names.layers}.${layer}`;
  const parts = {
    config,
    norm: (name: string, input: Value) =>
      writeNorm(context, input, `${prefix}.${name}`, config.geometry.hiddenSize),
    attend: (hidden: Value) =>
      writeSelfAttention(context, attention, layer, `${prefix}.${names.attention}`, hidden),
    feedForward: (hidden: Value) => writeMlp(context, `${prefix}.${names.mlp}`, hidden),
    join: (stream: Value, change: Value) =>
      builder.add(stream, writeScaled(context, change, config.residualScale)),
  };
  return layout(parts, x);
}

/**
 * Builds the inference graph over a checkpoint's tensors.
 * @param where names the checkpoint in messages.
 * @throws {@link InvalidModelError} when a tensor is missing, too much, or of another shape.
 */
export function buildDecoderGraph(
  architecture: DecoderArchitecture,
  where: string,
  config: DecoderConfig,
  tensors: ReadonlyMap<string, WeightEntry>,
  policy: Pick<MemoryPolicy, "beginAttention">,
): Graph {
  const builder = new GraphBuilder("inference");
  const weights = new WeightReader(where, tensors);
  const context: LayerContext = { builder, config, weights, architecture };
  const tokenIds = builder.input(inferenceNames.tokenIds, "int64", [tokensSymbol]);
  const rows = builder.input(inferenceNames.logitRows, "int64", ["N"]);
  const attention = policy.beginAttention(builder);
  let x = writeInput(context, tokenIds, attention);
  for (let layer = 0; layer < config.geometry.layerCount; layer++)
    x = writeLayer(context, attention, layer, x);
  const logits = builder.named(inferenceNames.logits, writeLogits(context, x, rows));
  refuseLeftovers(where, context);
  return builder.finish([logits, ...attention.finish()]);
}
