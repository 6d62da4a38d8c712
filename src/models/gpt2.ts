/**
 * GPT-2 (`model_type` gpt2): layer norms with biases, a learned vector for each position, and matrices kept as
 * `[inSize, outSize]` (Radford et al., 2019).
 *
 * Learned positions end where training ended: it runs under the policy `full`, and the others are refused.
 */

import { z } from "zod";
import { InternalError } from "../errors.ts";
import type { DecoderArchitecture } from "./architecture.ts";
import { count, readFields } from "./config-fields.ts";
import { buildDecoderGraph } from "./decoder.ts";
import { type DecoderConfig, geluActivations, readDecoderConfig, refuseSetting } from "./decoder-config.ts";
import type { ModelFamily } from "./family.ts";
import { writeTokenEmbedding } from "./layers.ts";
import { makePreNormLayout } from "./layouts.ts";
import { makePlainMlp } from "./mlps.ts";
import { writeLayerNorm } from "./norms.ts";
import { makeFusedProjections } from "./projections.ts";

const schema = z.looseObject({
  n_embd: count,
  n_inner: count.nullish(),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().nullish(),
  add_cross_attention: z.boolean().nullish(),
});

const fieldNames = {
  hidden_size: "n_embd",
  intermediate_size: "n_inner",
  num_hidden_layers: "n_layer",
  num_attention_heads: "n_head",
  max_position_embeddings: "n_positions",
  rms_norm_eps: "layer_norm_epsilon",
  hidden_act: "activation_function",
};

function readConfig(where: string, json: unknown): DecoderConfig {
  const fields = readFields(where, schema, json);
  for (const field of ["scale_attn_by_inverse_layer_idx", "add_cross_attention"] as const)
    if (fields[field] === true) refuseSetting(where, field, true, "false");
  const complete = { ...fields, n_inner: fields.n_inner ?? 4 * fields.n_embd };
  const config = readDecoderConfig(where, complete, {
    fieldNames,
    defaults: { hidden_act: "gelu_new", rms_norm_eps: 1e-5, tie_word_embeddings: true },
    hasQueryKeyValueBias: true,
    hasOutputBias: true,
    hasMlpBias: true,
    activations: geluActivations,
  });
  const still = {
    inverseFrequencies: new Float64Array(0),
    rotaryScale: 1,
    windowTokens: Number.POSITIVE_INFINITY,
  };
  const { geometry } = config;
  return {
    ...config,
    geometry: {
      ...geometry,
      kinds: [still],
      scoreScale: fields.scale_attn_weights ? geometry.scoreScale : 1,
      hasLearnedPositions: true,
    },
  };
}

/** @param prefix before all names: some checkpoints have `transformer.`, others nothing. */
function makeArchitecture(prefix: string): DecoderArchitecture {
  return {
    names: {
      embedding: `${prefix}wte`,
      embeddingNorm: "",
      layers: `${prefix}h`,
      attention: "attn",
      output: "c_proj",
      mlp: "mlp",
      finalNorm: `${prefix}ln_f`,
      head: "lm_head",
    },
    layout: makePreNormLayout("ln_1", "ln_2"),
    writeEmbedding(context, tokenIds, attention) {
      const { builder, config, weights } = context;
      const { maxPositions, hiddenSize } = config.geometry;
      const { positions } = attention;
      if (positions === undefined) throw new InternalError({ where: "gpt2", what: "positions are not fed" });
      const shape = [maxPositions, hiddenSize] as const;
      const placed = weights.gatherRows(builder, positions, `${prefix}wpe.weight`, shape);
      return builder.add(writeTokenEmbedding(context, tokenIds, attention), placed);
    },
    writeLinear({ builder, weights }, x, name, outSize, inSize, hasBias) {
      const bias = hasBias ? weights.take(builder, `${name}.bias`, [outSize]) : undefined;
      return weights.transposedLinear(builder, x, `${name}.weight`, [inSize, outSize], bias);
    },
    writeNorm: writeLayerNorm,
    multipliedTogether: [],
    writeProjections: makeFusedProjections("c_attn"),
    writeMlp: makePlainMlp("c_fc", "c_proj"),
    isBuffer: (name) => /\.attn\.(bias|masked_bias)$/.test(name),
  };
}

/** Runs `gpt2` checkpoints. */
export const gpt2: ModelFamily = {
  modelType: "gpt2",
  isEmbedding: (name) => /^(transformer\.)?wte\.weight$/.test(name),
  hasTransposedMatrices: true,
  readConfig,
  fusedProjections: () => [],
  buildInferenceGraph(where, config, tensors, policy) {
    const hasPrefix = tensors.has("transformer.wte.weight");
    const architecture = makeArchitecture(hasPrefix ? "transformer." : "");
    return buildDecoderGraph(architecture, where, config, tensors, policy);
  },
};
