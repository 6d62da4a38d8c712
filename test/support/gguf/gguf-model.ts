/**
 * Converts a Hugging Face model folder to GGUF, as llama.cpp's convert_hf_to_gguf.py does it.
 *
 * An architecture is a row of the table: its name, its own metadata, its tensors' names, and how their rows are
 * rearranged. It shares nothing with the reader under test, and llama.cpp reads what it writes.
 */

import { openCheckpointWeights } from "../../../src/files/checkpoint-files.ts";
import type { ModelFolder } from "../../../src/files/model-folder.ts";
import { readTensor, type TensorEntry } from "../../../src/files/safetensors.ts";
import { decodeBfloat16, decodeFloat16 } from "../../../src/tensor/half-float.ts";
import { encodeGgufTensor } from "./gguf-quantize.ts";
import { describeTokenizer } from "./gguf-tokenizer-fields.ts";
import {
  type GgufField,
  type GgufFields,
  type GgufFileOptions,
  type GgufTensor,
  type GgufTensorPlan,
  type GgufTensorType,
  ggufTensorTypes,
  streamGguf,
} from "./gguf-writer.ts";

/** Chooses how a model is written. */
export interface GgufModelOptions extends GgufFileOptions {
  /** How matrices are stored, by their name in the file; where rows are no whole blocks, a simpler type is taken. */
  readonly type?: GgufTensorType | ((name: string) => GgufTensorType);
  /** The name of the pre-tokenizer; default `gpt-2`. */
  readonly pre?: string;
  /** Fields to add or to replace; undefined leaves one out. */
  readonly fields?: Readonly<Record<string, GgufField | undefined>>;
}

/** Is a `config.json`, unchecked: this is for tests. */
type Config = Readonly<Record<string, unknown>>;

const text = (value: string): GgufField => ({ type: "string", value });
const uint = (value: unknown): GgufField => ({ type: "uint32", value: Number(value) });
const float = (value: unknown): GgufField => ({ type: "float32", value: Number(value) });

/** Rearranges the rows of a matrix `[rows, columns]`. */
type Rearrange = (values: Float32Array, rows: number, columns: number) => Float32Array;

/** Interleaves the two halves of every head's rows, as arch `llama` wants its queries and keys. */
function interleaveHeads(heads: number): Rearrange {
  return (values, rows, columns) => {
    const width = rows / heads;
    const out = new Float32Array(values.length);
    for (let row = 0; row < rows; row++) {
      const [head, at] = [Math.floor(row / width), row % width];
      const from = head * width + (at % 2) * (width / 2) + Math.floor(at / 2);
      out.set(values.subarray(from * columns, (from + 1) * columns), row * columns);
    }
    return out;
  };
}

interface Architecture {
  readonly name: string;
  /** Hugging Face's name of a layer's tensor, without `model.layers.N.`, to llama.cpp's without `blk.N.`. */
  readonly layer: Readonly<Record<string, string>>;
  readonly fields?: (config: Config) => GgufFields;
  readonly rearrange?: (config: Config, name: string) => Rearrange | undefined;
}

const commonLayer: Readonly<Record<string, string>> = {
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  post_attention_layernorm: "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};

const normedLayer = { ...commonLayer, "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm" };

const topNames: Readonly<Record<string, string>> = {
  "model.embed_tokens": "token_embd",
  "model.norm": "output_norm",
  lm_head: "output",
};

const llama: Architecture = {
  name: "llama",
  layer: commonLayer,
  fields: (config) => ({
    "llama.vocab_size": uint(config.vocab_size),
    "llama.rope.dimension_count": uint(headSizeOf(config)),
  }),
  rearrange(config, name) {
    const heads = Number(config.num_attention_heads);
    if (name.includes("q_proj")) return interleaveHeads(heads);
    if (name.includes("k_proj")) return interleaveHeads(Number(config.num_key_value_heads ?? heads));
    return undefined;
  },
};

/** By Hugging Face's `model_type`. */
const architectures: Readonly<Record<string, Architecture>> = {
  llama,
  mistral: llama,
  qwen2: { name: "qwen2", layer: commonLayer },
  qwen3: { name: "qwen3", layer: normedLayer },
};

function headSizeOf(config: Config): number {
  return Number(config.head_dim ?? Number(config.hidden_size) / Number(config.num_attention_heads));
}

function architectureOf(config: Config): Architecture {
  const found = architectures[String(config.model_type)];
  if (found === undefined)
    throw new Error(`the test writer has no architecture for ${String(config.model_type)}`);
  return found;
}

function describeModel(config: Config, architecture: Architecture): GgufFields {
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
    [key("attention.layer_norm_rms_epsilon")]: float(config.rms_norm_eps),
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

/** Returns the divisors of the rotary frequencies that stand for Llama 3's way of stretching, `[D/2]`. */
function llama3Factors(config: Config): Float32Array | undefined {
  const rope = (config.rope_scaling ?? undefined) as Config | undefined;
  if (rope === undefined || (rope.rope_type ?? rope.type) !== "llama3") return undefined;
  const size = headSizeOf(config);
  const [factor, low, high] = [
    Number(rope.factor),
    Number(rope.low_freq_factor),
    Number(rope.high_freq_factor),
  ];
  const trained = Number(rope.original_max_position_embeddings);
  return Float32Array.from({ length: size / 2 }, (_, pair) => {
    const wavelength = 2 * Math.PI * Number(config.rope_theta ?? 10_000) ** ((2 * pair) / size);
    if (wavelength < trained / high) return 1;
    if (wavelength > trained / low) return factor;
    const smooth = (trained / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

/** Returns llama.cpp's name of a tensor. */
function renameTensor(name: string, { layer }: Architecture): string {
  const dot = name.lastIndexOf(".");
  const [stem, suffix] = [name.slice(0, dot), name.slice(dot)];
  const inLayer = /^model\.layers\.(\d+)\.(.*)$/.exec(stem);
  const renamed = inLayer === null ? topNames[stem] : layer[inLayer[2] ?? ""];
  if (renamed === undefined) throw new Error(`the test writer has no name for ${name}`);
  return inLayer === null ? `${renamed}${suffix}` : `blk.${inLayer[1]}.${renamed}${suffix}`;
}

/** What llama.cpp falls back to where rows are no whole blocks. */
const simplerTypes: Partial<Record<GgufTensorType, GgufTensorType>> = {
  q4_k: "q5_0",
  q5_k: "q5_1",
  q6_k: "q8_0",
};

function fitType(type: GgufTensorType, columns: number): GgufTensorType {
  const fits = (candidate: GgufTensorType) => columns % ggufTensorTypes[candidate].blockSize === 0;
  if (fits(type)) return type;
  const simpler = simplerTypes[type];
  return simpler !== undefined && fits(simpler) ? simpler : "f16";
}

function widen({ dtype, data }: Awaited<ReturnType<typeof readTensor>>): Float32Array {
  if (data instanceof Float32Array) return data;
  if (data instanceof Uint16Array) return dtype === "bfloat16" ? decodeBfloat16(data) : decodeFloat16(data);
  throw new Error(`${dtype} is no weight's type`);
}

async function describeFolderTokenizer(
  folder: ModelFolder,
  config: Config,
  pre: string | undefined,
): Promise<GgufFields> {
  if (!(await folder.has("tokenizer.json"))) {
    // llama.cpp's way to say that there is only a count of tokens.
    return { "tokenizer.ggml.model": text("none") };
  }
  const hasConfig = await folder.has("tokenizer_config.json");
  return describeTokenizer({
    tokenizerJson: await folder.readJson("tokenizer.json"),
    ...(hasConfig && { tokenizerConfig: await folder.readJson("tokenizer_config.json") }),
    ...(pre !== undefined && { pre }),
    vocabularySize: Number(config.vocab_size),
  });
}

interface ConvertedTensor extends GgufTensorPlan {
  readonly read: () => Promise<Float32Array>;
}

function planTensor(entry: TensorEntry, config: Config, options: GgufModelOptions): ConvertedTensor {
  const architecture = architectureOf(config);
  const name = renameTensor(entry.name, architecture);
  const { type = "f32" } = options;
  const [rows = 1, columns = 1] = entry.shape;
  const wanted = typeof type === "function" ? type(name) : type;
  const rearrange = architecture.rearrange?.(config, entry.name);
  return {
    name,
    shape: entry.shape,
    type: entry.shape.length === 1 ? "f32" : fitType(wanted, columns),
    async read() {
      const values = widen(await readTensor(entry));
      return rearrange === undefined ? values : rearrange(values, rows, columns);
    },
  };
}

/** Converts a model folder; the weights must stay open while the tensors are read. */
async function planModel(
  folder: ModelFolder,
  tensors: ReadonlyMap<string, TensorEntry>,
  options: GgufModelOptions,
): Promise<{ fields: GgufFields; plans: ConvertedTensor[] }> {
  const config = (await folder.readJson("config.json")) as Config;
  const all: Record<string, GgufField | undefined> = {
    ...describeModel(config, architectureOf(config)),
    ...(await describeFolderTokenizer(folder, config, options.pre)),
    ...options.fields,
  };
  const fields: Record<string, GgufField> = {};
  for (const [key, field] of Object.entries(all)) if (field !== undefined) fields[key] = field;
  const plans = [...tensors.values()].map((entry) => planTensor(entry, config, options));
  const factors = llama3Factors(config);
  if (factors !== undefined) {
    const shape = [factors.length];
    plans.push({ name: "rope_freqs.weight", type: "f32", shape, read: async () => factors });
  }
  return { fields, plans };
}

/** Writes a model folder (`config.json`, safetensors, `tokenizer.json`) as the stream of a GGUF file. */
export async function* streamGgufModel(
  folder: ModelFolder,
  options: GgufModelOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  await using weights = await openCheckpointWeights(folder);
  const { fields, plans } = await planModel(folder, weights.tensors, options);
  const read = async ({ type, read: values }: ConvertedTensor) => encodeGgufTensor(type, await values());
  yield* streamGguf(fields, plans, read, options);
}

/** Returns the parts of a model's GGUF file, to be written as they are, changed, or split. */
export async function convertToGguf(
  folder: ModelFolder,
  options: GgufModelOptions = {},
): Promise<{ fields: GgufFields; tensors: GgufTensor[] }> {
  await using weights = await openCheckpointWeights(folder);
  const { fields, plans } = await planModel(folder, weights.tensors, options);
  const tensors: GgufTensor[] = [];
  for (const { read, ...plan } of plans)
    tensors.push({ ...plan, data: encodeGgufTensor(plan.type, await read()) });
  return { fields, tensors };
}
