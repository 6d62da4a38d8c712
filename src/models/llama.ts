/**
 * Llama 2 and 3, SmolLM2, TinyLlama and their kin (`model_type` llama). Other families are told by how they differ.
 */

import type { DecoderArchitecture } from "./architecture.ts";
import { readDecoderConfig } from "./decoder-config.ts";
import { type ModelFamily, makeFamily } from "./family.ts";
import { writeLinear, writeTokenEmbedding } from "./layers.ts";
import { makePreNormLayout } from "./layouts.ts";
import { writeGatedMlp } from "./mlps.ts";
import { writeRmsNorm } from "./norms.ts";
import { writeSeparateProjections } from "./projections.ts";

/** Is how a Llama is put together. */
export const llamaArchitecture: DecoderArchitecture = {
  names: {
    embedding: "model.embed_tokens",
    embeddingNorm: "model.embed_layer_norm",
    layers: "model.layers",
    attention: "self_attn",
    output: "o_proj",
    mlp: "mlp",
    finalNorm: "model.norm",
    head: "lm_head",
  },
  layout: makePreNormLayout(),
  writeEmbedding: writeTokenEmbedding,
  writeLinear,
  writeNorm: writeRmsNorm,
  multipliedTogether: [
    ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    ["mlp.gate_proj", "mlp.up_proj"],
  ],
  writeProjections: writeSeparateProjections,
  writeMlp: writeGatedMlp,
  isBuffer: (name) => name.endsWith(".rotary_emb.inv_freq"),
};

/** Runs `llama` checkpoints. */
export const llama: ModelFamily = makeFamily("llama", llamaArchitecture, (where, json) =>
  readDecoderConfig(where, json),
);
