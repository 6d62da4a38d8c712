/**
 * How llama.cpp's convert_hf_to_gguf.py writes each family: the architecture's name, its own metadata, its tensors'
 * names, and what it does to their values.
 *
 * It shares nothing with the reader under test, and llama.cpp reads what it writes.
 */

import type { GgufField, GgufFields } from "./gguf-writer.ts";

/** Is a `config.json`, unchecked: this is for tests. */
export type Config = Readonly<Record<string, unknown>>;

/** Changes the values of a tensor `[rows, columns]`. */
export type Rearrange = (values: Float32Array, rows: number, columns: number) => Float32Array;

/** Says how a family is written. */
export interface Architecture {
  readonly name: string;
  /** What the names of a layer's tensors begin with, before the layer's number. */
  readonly layers: string;
  /** Hugging Face's name of a layer's tensor, without the number, to llama.cpp's without `blk.N.`. */
  readonly layer: Readonly<Record<string, string>>;
  /** Names of the tensors outside of layers. */
  readonly top: Readonly<Record<string, string>>;
  /** Gives the common fields of `config.json` their Llama names, where the family has others. */
  readonly readConfig?: (config: Config) => Config;
  readonly fields?: (config: Config) => GgufFields;
  readonly rearrange?: (config: Config, name: string) => Rearrange | undefined;
  /** Tells whether a matrix is stored `[in, out]`, and is written the other way round. */
  readonly isTransposed?: (name: string) => boolean;
  /** Tells whether a matrix stays float32 however the others are stored. */
  readonly isPlain?: (name: string) => boolean;
}

const text = (value: string): GgufField => ({ type: "string", value });
const uint = (value: unknown): GgufField => ({ type: "uint32", value: Number(value) });
const float = (value: unknown): GgufField => ({ type: "float32", value: Number(value) });
const flag = (value: boolean): GgufField => ({ type: "bool", value });

/** Returns D. */
export function headSizeOf(config: Config): number {
  return Number(config.head_dim ?? Number(config.hidden_size) / Number(config.num_attention_heads));
}

/** Picks rows of a matrix: row `row` of the result is row `from(row)`. */
function pickRows(from: (row: number) => number): Rearrange {
  return (values, rows, columns) => {
    const out = new Float32Array(values.length);
    for (let row = 0; row < rows; row++) {
      const start = from(row) * columns;
      out.set(values.subarray(start, start + columns), row * columns);
    }
    return out;
  };
}

/** Interleaves the two halves of every head's rows, for architectures whose rotation turns neighbours. */
function interleaveHalves(config: Config, name: string): Rearrange | undefined {
  if (!/[qk]_proj/.test(name)) return undefined;
  const size = headSizeOf(config);
  return pickRows((row) => {
    const inHead = row % size;
    return row - inHead + (inHead % 2) * (size / 2) + Math.floor(inHead / 2);
  });
}

/** Takes the queries, keys and values apart that lie side by side in every head. */
function separateProjections(config: Config, name: string): Rearrange | undefined {
  if (!name.includes("query_key_value")) return undefined;
  const [heads, size] = [Number(config.num_attention_heads), headSizeOf(config)];
  return pickRows((row) => {
    const [kind, rest] = [Math.floor(row / (heads * size)), row % (heads * size)];
    return Math.floor(rest / size) * 3 * size + kind * size + (rest % size);
  });
}

const llamaTop = {
  "model.embed_tokens": "token_embd",
  "model.norm": "output_norm",
  lm_head: "output",
} as const;

const llamaLayer = {
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  post_attention_layernorm: "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
} as const;

const queryKeyNorms = { "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm" } as const;

const likeLlama = { layers: "model.layers", layer: llamaLayer, top: llamaTop } as const;

function describeLlama(name: string): (config: Config) => GgufFields {
  return (config) => ({
    [`${name}.vocab_size`]: uint(config.vocab_size),
    [`${name}.rope.dimension_count`]: uint(headSizeOf(config)),
  });
}

const llama: Architecture = {
  ...likeLlama,
  name: "llama",
  fields: describeLlama("llama"),
  rearrange: interleaveHalves,
};

const granite: Architecture = {
  ...likeLlama,
  name: "granite",
  rearrange: interleaveHalves,
  fields: (config) => ({
    ...describeLlama("granite")(config),
    "granite.attention.scale": float(config.attention_multiplier),
    "granite.embedding_scale": float(config.embedding_multiplier),
    "granite.residual_scale": float(config.residual_multiplier),
    "granite.logit_scale": float(config.logits_scaling),
  }),
};

const phi3: Architecture = {
  ...likeLlama,
  name: "phi3",
  layer: { ...llamaLayer, "self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up" },
  fields: (config) => ({
    "phi3.rope.dimension_count": uint(headSizeOf(config)),
    "phi3.rope.scaling.original_context_length": uint(config.max_position_embeddings),
    "phi3.attention.sliding_window": uint(config.sliding_window ?? 0),
  }),
};

const gemma3: Architecture = {
  ...likeLlama,
  name: "gemma3",
  layer: {
    ...llamaLayer,
    ...queryKeyNorms,
    post_attention_layernorm: "post_attention_norm",
    pre_feedforward_layernorm: "ffn_norm",
    post_feedforward_layernorm: "post_ffw_norm",
  },
  fields: (config) => ({
    "gemma3.attention.sliding_window": uint(config.sliding_window),
    "gemma3.rope.freq_base_swa": float(config.rope_local_base_freq),
  }),
  // Hugging Face adds 1 when it computes, llama.cpp when it converts.
  rearrange: (_, name) => (name.includes("norm") ? (values) => values.map((value) => value + 1) : undefined),
};

const gptNeox: Architecture = {
  name: "gptneox",
  layers: "gpt_neox.layers",
  layer: {
    input_layernorm: "attn_norm",
    post_attention_layernorm: "ffn_norm",
    "attention.query_key_value": "attn_qkv",
    "attention.dense": "attn_output",
    "mlp.dense_h_to_4h": "ffn_up",
    "mlp.dense_4h_to_h": "ffn_down",
  },
  top: {
    "gpt_neox.embed_in": "token_embd",
    "gpt_neox.final_layer_norm": "output_norm",
    embed_out: "output",
  },
  readConfig: (config) => ({ ...config, rope_theta: config.rotary_emb_base }),
  fields: (config) => ({
    "gptneox.rope.dimension_count": uint(Math.floor(Number(config.rotary_pct) * headSizeOf(config))),
    "gptneox.use_parallel_residual": flag(config.use_parallel_residual !== false),
    "gptneox.attention.layer_norm_epsilon": float(config.layer_norm_eps),
  }),
  rearrange: separateProjections,
};

const gpt2: Architecture = {
  name: "gpt2",
  layers: "h",
  layer: {
    ln_1: "attn_norm",
    ln_2: "ffn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
  },
  top: { wte: "token_embd", wpe: "position_embd", ln_f: "output_norm", lm_head: "output" },
  readConfig: (config) => ({
    ...config,
    num_hidden_layers: config.n_layer,
    num_attention_heads: config.n_head,
    hidden_size: config.n_embd,
    intermediate_size: config.n_inner,
    max_position_embeddings: config.n_positions,
  }),
  fields: (config) => ({ "gpt2.attention.layer_norm_epsilon": float(config.layer_norm_epsilon) }),
  isTransposed: (name) => /\.c_(attn|proj|fc)\.weight$/.test(name),
  isPlain: (name) => name === "wpe.weight",
};

/** By Hugging Face's `model_type`. */
const architectures: Readonly<Record<string, Architecture>> = {
  llama,
  mistral: llama,
  qwen2: { ...likeLlama, name: "qwen2" },
  qwen3: { ...likeLlama, name: "qwen3", layer: { ...llamaLayer, ...queryKeyNorms } },
  smollm3: { ...llama, name: "smollm3", fields: describeLlama("smollm3") },
  olmo2: {
    ...likeLlama,
    name: "olmo2",
    layer: {
      ...llamaLayer,
      ...queryKeyNorms,
      post_attention_layernorm: "post_attention_norm",
      post_feedforward_layernorm: "post_ffw_norm",
    },
  },
  granite,
  phi3,
  gemma3_text: gemma3,
  gpt_neox: gptNeox,
  gpt2,
};

/** Returns how the family of a configuration is written. @throws when there is no such architecture. */
export function architectureOf(config: Config): Architecture {
  const found = architectures[String(config.model_type)];
  if (found !== undefined) return found;
  throw new Error(`the test writer has no architecture for ${String(config.model_type)}`);
}

/** Describes a model: the metadata that all architectures have, and its own. */
export function describeModel(raw: Config, architecture: Architecture): GgufFields {
  const config = architecture.readConfig?.(raw) ?? raw;
  const { name } = architecture;
  const rope = (config.rope_scaling ?? undefined) as Config | undefined;
  const ropeType = rope?.rope_type ?? rope?.type;
  const key = (suffix: string) => `${name}.${suffix}`;
  return {
    "general.architecture": text(name),
    "general.type": text("model"),
    "general.name": text("test"),
    [key("block_count")]: uint(config.num_hidden_layers),
    [key("context_length")]: uint(config.max_position_embeddings),
    [key("embedding_length")]: uint(config.hidden_size),
    [key("feed_forward_length")]: uint(config.intermediate_size),
    [key("attention.head_count")]: uint(config.num_attention_heads),
    [key("attention.head_count_kv")]: uint(config.num_key_value_heads ?? config.num_attention_heads),
    [key("rope.freq_base")]: float(config.rope_theta ?? 10_000),
    ...(config.rms_norm_eps !== undefined && {
      [key("attention.layer_norm_rms_epsilon")]: float(config.rms_norm_eps),
    }),
    ...(config.head_dim !== undefined && {
      [key("attention.key_length")]: uint(config.head_dim),
      [key("attention.value_length")]: uint(config.head_dim),
    }),
    ...(ropeType === "linear" && {
      [key("rope.scaling.type")]: text("linear"),
      [key("rope.scaling.factor")]: float(rope?.factor),
    }),
    ...architecture.fields?.(config),
    "general.quantization_version": uint(2),
  };
}
