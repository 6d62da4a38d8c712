/**
 * Checkpoints of a real model's shape with random weights: for loaders, numerics and speed, which do not depend
 * on what the weights have learned.
 *
 * The safetensors file comes as a stream of chunks, so that a checkpoint of any size costs no memory.
 */

import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import type { RandomGenerator } from "pure-rand/types/RandomGenerator";
import { planSafetensors } from "../files/safetensors-writer.ts";
import { type DecoderSizes, planDecoderTensors } from "../models/decoder-tensors.ts";
import { encodeBfloat16 } from "../tensor/half-float.ts";
import { elementCount } from "../tensor/shape.ts";

/** Is the `config.json` of a Llama or Qwen 2 checkpoint, as far as its tensors depend on it. */
export interface RandomCheckpointConfig {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly vocab_size: number;
  readonly tie_word_embeddings: boolean;
  /** Standard deviation of the weights. */
  readonly initializer_range: number;
  readonly [field: string]: unknown;
}

/** Is the `config.json` of HuggingFaceTB/SmolLM2-135M. */
export const smolLm2Config135M: RandomCheckpointConfig = {
  architectures: ["LlamaForCausalLM"],
  attention_bias: false,
  bos_token_id: 0,
  eos_token_id: 0,
  hidden_act: "silu",
  hidden_size: 576,
  initializer_range: 0.041666666666666664,
  intermediate_size: 1536,
  max_position_embeddings: 8192,
  model_type: "llama",
  num_attention_heads: 9,
  num_hidden_layers: 30,
  num_key_value_heads: 3,
  rms_norm_eps: 1e-5,
  rope_interleaved: false,
  rope_scaling: null,
  rope_theta: 100_000,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
  vocab_size: 49152,
};

/** Is the `config.json` of Qwen/Qwen2.5-0.5B. */
export const qwen25Config05B: RandomCheckpointConfig = {
  architectures: ["Qwen2ForCausalLM"],
  bos_token_id: 151643,
  eos_token_id: 151643,
  hidden_act: "silu",
  hidden_size: 896,
  initializer_range: 0.02,
  intermediate_size: 4864,
  max_position_embeddings: 32768,
  model_type: "qwen2",
  num_attention_heads: 14,
  num_hidden_layers: 24,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
  sliding_window: 32768,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
  use_sliding_window: false,
  vocab_size: 151936,
};

/** Chooses a random checkpoint. */
export interface RandomCheckpointOptions {
  /** Draws the weights; default 1. */
  readonly seed?: number;
  /** Most bytes of a chunk, even; default 4 MiB. */
  readonly chunkBytes?: number;
}

const normalTableSize = 65536;
const bfloat16One = 0x3f80;

/** Draws normal numbers by the method of Box and Muller, as bfloat16 patterns. */
function drawNormalTable(generator: RandomGenerator, deviation: number): Uint16Array {
  const draw = (): number => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniformFloat64(generator)));
    return deviation * radius * Math.cos(2 * Math.PI * uniformFloat64(generator));
  };
  return encodeBfloat16(Float32Array.from({ length: normalTableSize }, draw));
}

/** Fills with entries of the table, two of each draw of 32 bits. */
function fillFromTable(target: Uint16Array, table: Uint16Array, generator: RandomGenerator): void {
  for (let index = 0; index < target.length; index += 2) {
    const bits = generator.next();
    target[index] = table[bits & 0xffff] ?? 0;
    target[index + 1] = table[bits >>> 16] ?? 0;
  }
}

/** Returns the sizes of a decoder by its `config.json`. */
export function decoderSizesOf(config: RandomCheckpointConfig): DecoderSizes {
  const heads = config.num_attention_heads;
  return {
    layerCount: config.num_hidden_layers,
    hiddenSize: config.hidden_size,
    queryHeadCount: heads,
    keyValueHeadCount: config.num_key_value_heads,
    headSize: config.hidden_size / heads,
    mlpSize: config.intermediate_size,
    vocabularySize: config.vocab_size,
  };
}

function planFile(config: RandomCheckpointConfig) {
  return planDecoderTensors(decoderSizesOf(config), {
    tied: config.tie_word_embeddings,
    hasQueryKeyValueBias: config.model_type === "qwen2",
  });
}

/**
 * Streams the `model.safetensors` of a Llama or Qwen 2 checkpoint with random bfloat16 weights: normal, of standard
 * deviation `initializer_range`; norms are 1. A chunk is valid until the next one is asked for.
 */
export async function* streamRandomCheckpoint(
  config: RandomCheckpointConfig,
  { seed = 1, chunkBytes = 4 * 1024 * 1024 }: RandomCheckpointOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  const generator = xoroshiro128plus(seed);
  const table = drawNormalTable(generator, config.initializer_range);
  const plans = planFile(config);
  const types = plans.map(({ name, shape }) => ({ name, shape, dtype: "bfloat16" as const }));
  const { head } = planSafetensors(types, { format: "pt" });
  const chunk = new Uint16Array(chunkBytes / 2);
  yield head;
  for (const { role, shape } of plans) {
    const length = elementCount(shape);
    for (let start = 0; start < length; start += chunk.length) {
      const part = chunk.subarray(0, Math.min(chunk.length, length - start));
      if (role === "norm") part.fill(bfloat16One);
      else fillFromTable(part, table, generator);
      yield new Uint8Array(part.buffer, 0, part.byteLength);
    }
  }
}
