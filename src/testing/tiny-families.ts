/**
 * What tiny models of each family have: their tensors, and the fields of `config.json` that are not Llama's.
 */

import {
  type DecoderExtras,
  type DecoderSizes,
  planDecoderTensors,
  type TensorPlan,
} from "../models/decoder-tensors.ts";
import { planGpt2Tensors, planGptNeoxTensors } from "./gpt-tensors.ts";

/** Names a family that tiny models come in: a Hugging Face `model_type`. */
export type TinyModelType =
  | "llama"
  | "mistral"
  | "qwen2"
  | "qwen3"
  | "smollm3"
  | "olmo2"
  | "granite"
  | "phi3"
  | "gemma3_text"
  | "gpt_neox"
  | "gpt2"
  | "BlueLM";

interface TinyFamily {
  readonly plan: (sizes: DecoderSizes, tied: boolean, maxPositions: number) => TensorPlan[];
  /** Fields to add to those of a Llama, or to put in their place; undefined takes one away. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** The family's own names of fields that all have, by Llama's. */
  readonly fieldNames?: Readonly<Record<string, string>>;
}

const likeLlama =
  (extras: Omit<DecoderExtras, "tied"> = {}): TinyFamily["plan"] =>
  (sizes, tied) =>
    planDecoderTensors(sizes, { ...extras, tied });

/** Describes the tiny models of each family; there is one of every family that can be run. */
export const tinyFamilies: { readonly [Type in TinyModelType]: TinyFamily } = {
  llama: { plan: likeLlama(), fields: { architectures: ["LlamaForCausalLM"] } },
  mistral: { plan: likeLlama(), fields: { architectures: ["MistralForCausalLM"], sliding_window: null } },
  qwen2: {
    plan: likeLlama({ hasQueryKeyValueBias: true }),
    fields: { architectures: ["Qwen2ForCausalLM"], use_sliding_window: false },
  },
  qwen3: {
    plan: likeLlama({ queryKeyNorm: "head" }),
    fields: { architectures: ["Qwen3ForCausalLM"], use_sliding_window: false },
  },
  smollm3: {
    plan: likeLlama(),
    // Every second layer is without rotation, so that two layers show it.
    fields: { architectures: ["SmolLM3ForCausalLM"], no_rope_layer_interval: 2 },
  },
  olmo2: {
    plan: likeLlama({
      queryKeyNorm: "projection",
      norms: ["post_attention_layernorm", "post_feedforward_layernorm"],
    }),
    fields: { architectures: ["Olmo2ForCausalLM"] },
  },
  granite: {
    plan: likeLlama(),
    fields: {
      architectures: ["GraniteForCausalLM"],
      embedding_multiplier: 3,
      attention_multiplier: 0.3,
      residual_multiplier: 0.7,
      logits_scaling: 1.5,
    },
  },
  phi3: { plan: likeLlama({ isFused: true }), fields: { architectures: ["Phi3ForCausalLM"] } },
  gemma3_text: {
    plan: likeLlama({
      queryKeyNorm: "head",
      normOffset: 1,
      norms: [
        "input_layernorm",
        "post_attention_layernorm",
        "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
      ],
    }),
    fields: {
      architectures: ["Gemma3ForCausalLM"],
      hidden_act: undefined,
      hidden_activation: "gelu_pytorch_tanh",
      query_pre_attn_scalar: 20,
      sliding_window: 9,
      sliding_window_pattern: 2,
      rope_local_base_freq: 100,
    },
  },
  gpt_neox: {
    plan: planGptNeoxTensors,
    fields: {
      architectures: ["GPTNeoXForCausalLM"],
      num_key_value_heads: undefined,
      head_dim: undefined,
      rms_norm_eps: undefined,
      rope_theta: undefined,
      tie_word_embeddings: false,
      hidden_act: "gelu",
      layer_norm_eps: 1e-5,
      rotary_emb_base: 10000,
      rotary_pct: 0.25,
    },
  },
  gpt2: {
    plan: (sizes, tied, maxPositions) => planGpt2Tensors(sizes, maxPositions, tied),
    fields: {
      architectures: ["GPT2LMHeadModel"],
      num_key_value_heads: undefined,
      head_dim: undefined,
      rms_norm_eps: undefined,
      rope_theta: undefined,
      hidden_act: undefined,
      activation_function: "gelu_new",
      layer_norm_epsilon: 1e-5,
    },
    fieldNames: {
      hidden_size: "n_embd",
      intermediate_size: "n_inner",
      num_hidden_layers: "n_layer",
      num_attention_heads: "n_head",
      max_position_embeddings: "n_positions",
    },
  },
  BlueLM: {
    plan: likeLlama({ hasEmbeddingNorm: true }),
    fields: {
      architectures: ["BlueLMForCausalLM"],
      rope_scaling: { type: "ntkmixed", factor: 16, power: 0.3 },
    },
  },
};
