/**
 * GPT-NeoX, Pythia (`model_type` gpt_neox): layer norms with biases, attention and MLP side by side, one matrix with
 * query, key and value of each head in turn, and rotary embedding of a part of each head (arXiv 2204.06745).
 */

import { z } from "zod";
import { readFields } from "./config-fields.ts";
import { type DecoderConfig, geluActivations, readDecoderConfig } from "./decoder-config.ts";
import { type ModelFamily, makeFamily } from "./family.ts";
import { makePreNormLayout, parallelLayout } from "./layouts.ts";
import { llamaArchitecture } from "./llama.ts";
import { makePlainMlp } from "./mlps.ts";
import { writeLayerNorm } from "./norms.ts";
import { makeInterleavedProjections } from "./projections.ts";

const schema = z.looseObject({
  use_parallel_residual: z.boolean().default(true),
  attention_bias: z.boolean().default(true),
});

const sequentialLayout = makePreNormLayout();

function readConfig(where: string, json: unknown): DecoderConfig {
  const { use_parallel_residual, attention_bias } = readFields(where, schema, json);
  const config = readDecoderConfig(where, json, {
    fieldNames: {
      rms_norm_eps: "layer_norm_eps",
      rope_theta: "rotary_emb_base",
      partial_rotary_factor: "rotary_pct",
    },
    defaults: { hidden_act: "gelu", rms_norm_eps: 1e-5 },
    rotaryPart: 0.25,
    hasQueryKeyValueBias: attention_bias,
    hasOutputBias: attention_bias,
    hasMlpBias: true,
    activations: geluActivations,
  });
  // Every head has a key and a value of its own, whatever the fields of other families would say.
  const { queryHeadCount } = config.geometry;
  const geometry = { ...config.geometry, keyValueHeadCount: queryHeadCount };
  return { ...config, geometry, hasParallelResidual: use_parallel_residual };
}

/** Runs `gpt_neox` checkpoints. */
export const gptNeox: ModelFamily = makeFamily(
  "gpt_neox",
  {
    names: {
      embedding: "gpt_neox.embed_in",
      embeddingNorm: "",
      layers: "gpt_neox.layers",
      attention: "attention",
      output: "dense",
      mlp: "mlp",
      finalNorm: "gpt_neox.final_layer_norm",
      head: "embed_out",
    },
    layout: (parts, x) => (parts.config.hasParallelResidual ? parallelLayout : sequentialLayout)(parts, x),
    writeEmbedding: llamaArchitecture.writeEmbedding,
    writeLinear: llamaArchitecture.writeLinear,
    writeNorm: writeLayerNorm,
    multipliedTogether: [],
    writeProjections: makeInterleavedProjections("query_key_value"),
    writeMlp: makePlainMlp("dense_h_to_4h", "dense_4h_to_h"),
    isBuffer: (name) => /\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/.test(name),
  },
  readConfig,
);
