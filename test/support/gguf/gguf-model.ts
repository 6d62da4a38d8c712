/**
 * Converts a Hugging Face model folder to GGUF, as llama.cpp's convert_hf_to_gguf.py does it.
 *
 * What families differ in is a row of the table in gguf-architectures.ts.
 */

import { openCheckpointWeights } from "../../../src/files/checkpoint-files.ts";
import type { ModelFolder } from "../../../src/files/model-folder.ts";
import { readTensor, type TensorEntry } from "../../../src/files/safetensors.ts";
import { decodeBfloat16, decodeFloat16 } from "../../../src/tensor/half-float.ts";
import {
  type Architecture,
  architectureOf,
  type Config,
  describeModel,
  headSizeOf,
} from "./gguf-architectures.ts";
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

const text = (value: string): GgufField => ({ type: "string", value });

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
function renameTensor(name: string, { layers, layer, top }: Architecture): string {
  const dot = name.lastIndexOf(".");
  const [stem, suffix] = [name.slice(0, dot), name.slice(dot)];
  const [, index, inner = ""] = stem.startsWith(`${layers}.`)
    ? (/^(\d+)\.(.*)$/.exec(stem.slice(layers.length + 1)) ?? [])
    : [];
  const renamed = index === undefined ? top[stem] : layer[inner];
  if (renamed === undefined) throw new Error(`the test writer has no name for ${name}`);
  return index === undefined ? `${renamed}${suffix}` : `blk.${index}.${renamed}${suffix}`;
}

/** Turns rows into columns. */
function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(values, (_, index) => {
    const [column, row] = [Math.floor(index / rows), index % rows];
    return values[row * columns + column] ?? 0;
  });
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
  const isTransposed = architecture.isTransposed?.(entry.name) === true;
  const shape = isTransposed ? [columns, rows] : entry.shape;
  const wanted = typeof type === "function" ? type(name) : type;
  const rearrange = architecture.rearrange?.(config, entry.name);
  const isPlain = shape.length === 1 || architecture.isPlain?.(entry.name) === true;
  return {
    name,
    shape,
    type: isPlain ? "f32" : fitType(wanted, shape[1] ?? 1),
    async read() {
      const values = widen(await readTensor(entry));
      if (isTransposed) return transpose(values, rows, columns);
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
