/**
 * Tiny random models, built in memory in a few milliseconds: whole checkpoints and adapters, as loaders see them.
 *
 * Their text is noise, but everything about them is real: configuration, weights, tokenizer, chat template.
 * The same options give the same bytes.
 */

import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import type { RandomGenerator } from "pure-rand/types/RandomGenerator";
import { type ModelFolder, memoryModelFolder } from "../files/model-folder.ts";
import { writeSafetensors } from "../files/safetensors-writer.ts";
import type { ContextSettings } from "../memory/geometry.ts";
import type { DecoderSizes } from "../models/decoder-tensors.ts";
import { encodeBfloat16, encodeFloat16 } from "../tensor/half-float.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { tinyByteLevelJson } from "../text/tiny-tokenizers.ts";
import { drawTensor, drawUniform } from "./draw-tensor.ts";
import { type TinyModelType, tinyFamilies } from "./tiny-families.ts";

/** Sizes a tiny model. An adapter fits the model of the same sizes. */
export interface TinyModelSizes {
  /** L; default 2. */
  readonly layerCount?: number;
  /** E; default 64. */
  readonly hiddenSize?: number;
  /** H; default 4. */
  readonly queryHeadCount?: number;
  /** K; default 2. */
  readonly keyValueHeadCount?: number;
  /** D, even; default 16. */
  readonly headSize?: number;
}

/** Chooses a tiny model. */
export interface TinyModelOptions extends TinyModelSizes {
  /** Draws the weights; default 1. */
  readonly seed?: number;
  /** Default `llama`. */
  readonly modelType?: TinyModelType;
  /** F; default 128. */
  readonly mlpSize?: number;
  /** Positions that it claims to be trained on; default 2048. */
  readonly maxPositions?: number;
  /** Whether the output projection is the embedding; default true. */
  readonly tied?: boolean;
  /** How weights are stored; default `float32`. */
  readonly dtype?: "float32" | "float16" | "bfloat16";
  /** Whether the weights come in two shards with an index; default false. */
  readonly sharded?: boolean;
  /** Fields of `config.json` to add or to replace, such as `rope_scaling`. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Chooses a tiny adapter. */
export interface TinyAdapterOptions extends TinyModelSizes {
  /** Draws the weights; default 1. */
  readonly seed?: number;
  /** R of every network; default 8. */
  readonly rank?: number;
  /** What is trained; default `paper`. */
  readonly variant?: "paper" | "plus" | "infini";
  /** How the memory of an `infini` adapter takes in what leaves; default `linear`. */
  readonly updateRule?: "linear" | "delta";
  /** How layers share the slots, one number a layer; by default all have as many. */
  readonly slotShares?: readonly number[];
  /** Tokens that a retention score is pooled over; default 1. */
  readonly scoreKernel?: number;
  /** Whether slots have a bias; default false. */
  readonly slotBias?: boolean;
  /** Whether a `plus` adapter has a linear memory; default true. */
  readonly linearMemory?: boolean;
  /** Learned features of the linear memory, Dphi; by default it has those of the paper. */
  readonly featureCount?: number;
  /** Whether a gate weighs what is written into the linear memory; default false. */
  readonly writeGate?: boolean;
  /** How the linear memory joins; default `convex`. */
  readonly fusion?: "convex" | "shared-normalizer";
  /** The layers that have a gate; default all. Layers that attend within a window have none. */
  readonly gatedLayers?: readonly number[];
  /** The settings that it claims to be trained with; none by default. */
  readonly context?: Partial<ContextSettings>;
}

/** A conversation in ChatML, with the tokenizer's two special tokens around each message. */
const chatTemplate =
  "{% for message in messages %}{{ '<|begin|>' + message['role'] + '\n' + message['content'] + '<|end|>\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|begin|>assistant\n' }}{% endif %}";

const tokenizerConfig = {
  bos_token: "<|begin|>",
  eos_token: "<|end|>",
  chat_template: chatTemplate,
  clean_up_tokenization_spaces: false,
};

const defaultPositions = 2048;
const bosTokenId = 0;
const eosTokenId = 1;

function completeSizes(sizes: TinyModelSizes): Required<TinyModelSizes> {
  const { layerCount = 2, hiddenSize = 64, queryHeadCount = 4, keyValueHeadCount = 2, headSize = 16 } = sizes;
  return { layerCount, hiddenSize, queryHeadCount, keyValueHeadCount, headSize };
}

const encoders: {
  readonly [Type in NonNullable<TinyModelOptions["dtype"]>]: (
    shape: readonly number[],
    values: Float32Array,
  ) => HostTensor;
} = {
  float32: (shape, values) => hostTensor("float32", shape, values),
  float16: (shape, values) => hostTensor("float16", shape, encodeFloat16(values)),
  bfloat16: (shape, values) => hostTensor("bfloat16", shape, encodeBfloat16(values)),
};

function describeModel(sizes: DecoderSizes, options: TinyModelOptions): Record<string, unknown> {
  const { modelType = "llama", maxPositions = defaultPositions, tied = true, dtype = "float32" } = options;
  const { fields, fieldNames = {} } = tinyFamilies[modelType];
  const common = {
    model_type: modelType,
    hidden_size: sizes.hiddenSize,
    intermediate_size: sizes.mlpSize,
    num_hidden_layers: sizes.layerCount,
    num_attention_heads: sizes.queryHeadCount,
    num_key_value_heads: sizes.keyValueHeadCount,
    head_dim: sizes.headSize,
    vocab_size: sizes.vocabularySize,
    max_position_embeddings: maxPositions,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: "silu",
    tie_word_embeddings: tied,
    bos_token_id: bosTokenId,
    eos_token_id: eosTokenId,
    torch_dtype: dtype,
  };
  const named = Object.entries(common).map(([name, value]) => [fieldNames[name] ?? name, value] as const);
  return { ...Object.fromEntries(named), ...fields, ...options.config };
}

/** Lays the tensors out as one file, or as two with the index that names them. */
function writeWeights(
  tensors: Readonly<Record<string, HostTensor>>,
  sharded: boolean,
): Record<string, Uint8Array | string> {
  if (!sharded) return { "model.safetensors": writeSafetensors(tensors, { format: "pt" }) };
  const entries = Object.entries(tensors);
  const middle = Math.ceil(entries.length / 2);
  const files: Record<string, Uint8Array | string> = {};
  const weightMap: Record<string, string> = {};
  [entries.slice(0, middle), entries.slice(middle)].forEach((shard, index) => {
    const file = `model-0000${index + 1}-of-00002.safetensors`;
    files[file] = writeSafetensors(Object.fromEntries(shard), { format: "pt" });
    for (const [name] of shard) weightMap[name] = file;
  });
  const totalSize = entries.reduce((sum, [, { data }]) => sum + data.byteLength, 0);
  const index = { metadata: { total_size: totalSize }, weight_map: weightMap };
  return { ...files, "model.safetensors.index.json": JSON.stringify(index) };
}

/**
 * Creates a tiny random model.
 * @example
 * await using model = await loadModel(createTinyModelFolder(), { adapter: createTinyAdapterFolder() });
 */
export function createTinyModelFolder(options: TinyModelOptions = {}): ModelFolder {
  const { seed = 1, modelType = "llama", tied = true, dtype = "float32", sharded = false } = options;
  const { maxPositions = defaultPositions } = options;
  const tokenizer = tinyByteLevelJson();
  const vocabularySize = Object.keys(tokenizer.model.vocab).length;
  const sizes = { ...completeSizes(options), mlpSize: options.mlpSize ?? 128, vocabularySize };
  const generator = xoroshiro128plus(seed);
  const tensors: Record<string, HostTensor> = {};
  for (const plan of tinyFamilies[modelType].plan(sizes, tied, maxPositions)) {
    tensors[plan.name] = encoders[dtype](plan.shape, drawTensor(generator, plan));
  }
  return memoryModelFolder(`tiny-${modelType}`, {
    "config.json": JSON.stringify(describeModel(sizes, options)),
    "tokenizer.json": JSON.stringify(tokenizer),
    "tokenizer_config.json": JSON.stringify(tokenizerConfig),
    ...writeWeights(tensors, sharded),
  });
}

/** Draws the tensors of an adapter. */
class AdapterTensors {
  readonly tensors: Record<string, HostTensor> = {};
  readonly #generator: RandomGenerator;
  readonly #rank: number;

  constructor(seed: number, rank: number) {
    this.#generator = xoroshiro128plus(seed);
    this.#rank = rank;
  }

  add(name: string, shape: readonly number[], spread: number): void {
    const length = shape.reduce((product, extent) => product * extent, 1);
    this.tensors[name] = hostTensor("float32", shape, drawUniform(this.#generator, length, 0, spread));
  }

  /** Adds a small network: `up silu(down x + b) + b'`. */
  addNetwork(name: string, inSize: number, outSize: number): void {
    const rank = this.#rank;
    this.add(`${name}.down.weight`, [rank, inSize], 2 * Math.sqrt(3 / inSize));
    this.add(`${name}.down.bias`, [rank], 0.5);
    this.add(`${name}.up.weight`, [outSize, rank], 2 * Math.sqrt(3 / rank));
    this.add(`${name}.up.bias`, [outSize], 1);
  }
}

function describeAdapter(options: TinyAdapterOptions, rank: number): Record<string, unknown> {
  const { context = {}, variant = "paper", featureCount, fusion = "convex", updateRule } = options;
  const { slotBias = false, linearMemory = true, writeGate = false } = options;
  const { sinkTokens, slotTokens, windowTokens, segmentTokens } = context;
  const plus = {
    retention_rank: rank,
    score_kernel: options.scoreKernel,
    slot_shares: options.slotShares,
    slot_bias: slotBias,
    slot_bias_rank: rank,
    linear_memory: linearMemory,
    write_gate: writeGate,
    write_gate_rank: rank,
    feature_count: featureCount,
  };
  return {
    peft_type: "EDGEINFINITE",
    variant,
    base_model_name_or_path: "tiny",
    ...(variant !== "infini" && { read_gate_rank: rank }),
    update_rule: updateRule,
    feature_map: featureCount === undefined ? "elu1" : "learned",
    fusion,
    ...(variant === "plus" && plus),
    sink_tokens: sinkTokens,
    slot_tokens: slotTokens,
    window_tokens: windowTokens,
    segment_tokens: segmentTokens,
  };
}

/**
 * Creates a tiny random adapter. Its gates are neither shut nor open, so that a stream's memory shows in the logits.
 */
export function createTinyAdapterFolder(options: TinyAdapterOptions = {}): ModelFolder {
  const { seed = 1, rank = 8, variant = "paper", linearMemory = true, featureCount } = options;
  const {
    layerCount,
    hiddenSize: E,
    queryHeadCount: H,
    keyValueHeadCount: K,
    headSize: D,
  } = completeSizes(options);
  const drawn = new AdapterTensors(seed, rank);
  const every = Array.from({ length: layerCount }, (_, layer) => layer);
  for (const layer of options.gatedLayers ?? every) {
    const prefix = `layers.${layer}`;
    if (variant === "infini") {
      drawn.add(`${prefix}.read_gate.beta`, [H], 1);
      continue;
    }
    if (variant === "paper" || linearMemory) drawn.addNetwork(`${prefix}.read_gate`, H * D, H);
    if (variant === "paper") continue;
    drawn.addNetwork(`${prefix}.retention`, E, K);
    if (options.slotBias === true) {
      drawn.addNetwork(`${prefix}.slot_bias`, E, K);
      drawn.add(`${prefix}.slot_bias.head.bias`, [H], 1);
    }
    if (options.writeGate === true) drawn.addNetwork(`${prefix}.write_gate`, E, K);
    if (featureCount === undefined) continue;
    for (const use of ["query", "key"])
      drawn.add(`${prefix}.feature_map.${use}.weight`, [K, featureCount, D], 2 / Math.sqrt(D));
  }
  return memoryModelFolder("tiny-adapter", {
    "adapter_config.json": JSON.stringify(describeAdapter(options, rank)),
    "adapter_model.safetensors": writeSafetensors(drawn.tensors),
  });
}
