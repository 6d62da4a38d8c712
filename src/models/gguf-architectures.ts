/**
 * The architectures of GGUF files: how each becomes a Hugging Face configuration, what its tensors are called
 * there, and which of their rows lie in another order.
 *
 * A row of the table is an architecture, named by `general.architecture`. Names and keys are those of llama.cpp's
 * converter. What a file has in all architectures alike is read in gguf-model.ts.
 */

import type { DecoderConfig } from "./decoder-config.ts";

/** Gives the metadata of one architecture, by keys without its name. */
export interface ArchitectureFields {
  number(key: string): number | undefined;
  text(key: string): string | undefined;
  flag(key: string): boolean | undefined;
  /** Tells whether the file has a tensor. */
  hasTensor(name: string): boolean;
}

/** Gives the sizes that row orders depend on. */
export interface HeadSizes {
  readonly queryHeadCount: number;
  readonly keyValueHeadCount: number;
  readonly headSize: number;
}

/** Says which row of a file's tensor is row `row` of the checkpoint's. */
export type RowOrder = (row: number) => number;

/** Describes an architecture of GGUF. */
export interface GgufArchitecture {
  /** Hugging Face's `model_type`. */
  readonly modelType: string;
  /** Names of tensors outside the layers, GGUF's to Hugging Face's, without `.weight` and `.bias`. */
  readonly names: Readonly<Record<string, string>>;
  /** What names of layers begin with, before the number. */
  readonly layers: string;
  /** Names of tensors within a layer. */
  readonly layerNames: Readonly<Record<string, string>>;
  /** Returns the fields of `config.json` that others do not have, or that replace common ones. */
  readonly config?: (fields: ArchitectureFields) => Readonly<Record<string, unknown>>;
  /** Returns the order of a tensor's rows, by its name within a layer; undefined when it is the checkpoint's. */
  readonly rowOrder?: (name: string, sizes: HeadSizes) => RowOrder | undefined;
  /** Undoes what the converter did to the weights, in how they are used. */
  readonly adjust?: (config: DecoderConfig) => DecoderConfig;
}

/**
 * Puts the rows of each head back: the converter interleaves the two halves that rotate together, for
 * architectures whose rotary embedding turns neighbours.
 */
function separateHalves(name: string, { headSize }: HeadSizes): RowOrder | undefined {
  if (name !== "attn_q" && name !== "attn_k") return undefined;
  const half = headSize / 2;
  return (row) => {
    const inHead = row % headSize;
    return row - inHead + 2 * (inHead % half) + Math.floor(inHead / half);
  };
}

/** Puts query, key and value of each head side by side, as GPT-NeoX has them; the converter took them apart. */
function interleaveProjections(
  name: string,
  { queryHeadCount: H, headSize: D }: HeadSizes,
): RowOrder | undefined {
  if (name !== "attn_qkv") return undefined;
  return (row) => {
    const [head, inHead] = [Math.floor(row / (3 * D)), row % (3 * D)];
    return Math.floor(inHead / D) * H * D + head * D + (inHead % D);
  };
}

const llamaNames = {
  token_embd: "model.embed_tokens",
  output_norm: "model.norm",
  output: "lm_head",
} as const;

const llamaLayerNames = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
} as const;

const queryKeyNorms = { attn_q_norm: "self_attn.q_norm", attn_k_norm: "self_attn.k_norm" } as const;

const base = { names: llamaNames, layers: "model.layers", layerNames: llamaLayerNames } as const;

/** Tells the biases that Llama's configuration speaks of by the tensors that are there. */
function readBiases({ hasTensor }: ArchitectureFields): Readonly<Record<string, unknown>> {
  return {
    attention_bias: hasTensor("blk.0.attn_q.bias"),
    mlp_bias: hasTensor("blk.0.ffn_up.bias"),
  };
}

/** Reads a sliding window where the file has one. */
function readWindow({ number }: ArchitectureFields): Readonly<Record<string, unknown>> {
  const window = number("attention.sliding_window");
  return { sliding_window: window === undefined || window === 0 ? null : window };
}

const granite: GgufArchitecture = {
  ...base,
  modelType: "granite",
  rowOrder: separateHalves,
  config: (fields) => ({
    ...readBiases(fields),
    attention_multiplier: fields.number("attention.scale"),
    embedding_multiplier: fields.number("embedding_scale"),
    residual_multiplier: fields.number("residual_scale"),
    logits_scaling: fields.number("logit_scale"),
  }),
};

const gemma3: GgufArchitecture = {
  ...base,
  modelType: "gemma3_text",
  layerNames: {
    ...llamaLayerNames,
    ...queryKeyNorms,
    post_attention_norm: "post_attention_layernorm",
    ffn_norm: "pre_feedforward_layernorm",
    post_ffw_norm: "post_feedforward_layernorm",
  },
  config({ number }) {
    const [layers, width, heads] = [
      number("block_count"),
      number("embedding_length"),
      number("attention.head_count"),
    ];
    // The file does not say the scale of scores: it is the head's width, but in the largest model.
    const isLargest = layers === 62 && width !== undefined && heads !== undefined;
    return {
      hidden_activation: "gelu_pytorch_tanh",
      query_pre_attn_scalar: isLargest ? width / heads : (number("attention.key_length") ?? 256),
      sliding_window: number("attention.sliding_window"),
      rope_local_base_freq: number("rope.freq_base_swa"),
      final_logit_softcapping: number("final_logit_softcapping"),
      attn_logit_softcapping: number("attn_logit_softcapping"),
    };
  },
  // The converter adds the 1 that Hugging Face adds when it computes.
  adjust: (config) => ({ ...config, normOffset: 0 }),
};

const gptNeox: GgufArchitecture = {
  modelType: "gpt_neox",
  names: {
    token_embd: "gpt_neox.embed_in",
    output_norm: "gpt_neox.final_layer_norm",
    output: "embed_out",
  },
  layers: "gpt_neox.layers",
  layerNames: {
    attn_norm: "input_layernorm",
    attn_qkv: "attention.query_key_value",
    attn_output: "attention.dense",
    ffn_norm: "post_attention_layernorm",
    ffn_up: "mlp.dense_h_to_4h",
    ffn_down: "mlp.dense_4h_to_h",
  },
  rowOrder: interleaveProjections,
  config({ number, flag, hasTensor }) {
    const [width, heads] = [number("embedding_length"), number("attention.head_count")];
    const rotated = number("rope.dimension_count");
    return {
      layer_norm_eps: number("attention.layer_norm_epsilon"),
      rotary_emb_base: number("rope.freq_base"),
      ...(rotated !== undefined && { rotary_pct: rotated / ((width ?? 1) / (heads ?? 1)) }),
      use_parallel_residual: flag("use_parallel_residual"),
      attention_bias: hasTensor("blk.0.attn_qkv.bias"),
      hidden_act: "gelu",
    };
  },
};

/** By `general.architecture`. */
export const ggufArchitectures: Readonly<Record<string, GgufArchitecture>> = {
  llama: { ...base, modelType: "llama", rowOrder: separateHalves, config: readBiases },
  qwen2: { ...base, modelType: "qwen2" },
  qwen3: {
    ...base,
    modelType: "qwen3",
    layerNames: { ...llamaLayerNames, ...queryKeyNorms },
    config: readBiases,
  },
  smollm3: { ...base, modelType: "smollm3", rowOrder: separateHalves, config: readBiases },
  phi3: {
    ...base,
    modelType: "phi3",
    layerNames: { ...llamaLayerNames, attn_qkv: "self_attn.qkv_proj", ffn_up: "mlp.gate_up_proj" },
    config: readWindow,
  },
  gemma3,
  olmo2: {
    ...base,
    modelType: "olmo2",
    layerNames: {
      ...llamaLayerNames,
      ...queryKeyNorms,
      post_attention_norm: "post_attention_layernorm",
      post_ffw_norm: "post_feedforward_layernorm",
    },
    config: readBiases,
  },
  granite,
  gptneox: gptNeox,
};
