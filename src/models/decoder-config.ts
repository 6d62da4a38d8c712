/**
 * The configuration of a decoder-only checkpoint, read from `config.json` and made uniform.
 *
 * Families share this reader and say where they differ. It refuses settings that would change the result
 * and that this version does not run, by name.
 */

import { z } from "zod";
import { InvalidModelError, UnsupportedError } from "../errors.ts";
import type { AttentionGeometry } from "../memory/geometry.ts";
import { adaptFields, count, readFields } from "./config-fields.ts";
import { type RopeScaling, type Rotary, readRotary, ropeScalingSchema } from "./rope-scaling.ts";

/** Names the function between the matrices of an MLP. */
export type Activation = "silu" | "gelu" | "gelu-tanh";

/** Describes a decoder: everything that its graph and its memory need. */
export interface DecoderConfig {
  /** The Hugging Face `model_type`. */
  readonly modelType: string;
  readonly geometry: AttentionGeometry;
  /** V. */
  readonly vocabularySize: number;
  /** F. */
  readonly mlpSize: number;
  readonly normEpsilon: number;
  /** Whether the output projection is the embedding. */
  readonly tiedEmbeddings: boolean;
  readonly hasQueryKeyValueBias: boolean;
  readonly hasOutputBias: boolean;
  readonly hasMlpBias: boolean;
  /** How queries and keys are normalised before rotation: not, each head, or all heads as one vector. */
  readonly queryKeyNorm: "none" | "head" | "projection";
  readonly activation: Activation;
  /** What is added to the weights of norms. */
  readonly normOffset: 0 | 1;
  /** Whether embeddings are normalised before the first layer. */
  readonly hasEmbeddingNorm: boolean;
  /** Whether attention and MLP of a layer read the same input and are added up. */
  readonly hasParallelResidual: boolean;
  /** Factor on embeddings as they are looked up. */
  readonly embeddingScale: number;
  /** Factor on what a layer's halves add to the residual stream. */
  readonly residualScale: number;
  /** Factor on logits. */
  readonly logitScale: number;
  /** The bound c of logits c tanh(x / c); Infinity: none. */
  readonly logitBound: number;
  readonly bosTokenId: number | undefined;
  readonly eosTokenIds: readonly number[];
}

const tokenId = z.number().int().nonnegative();

/** Is a checked `config.json`, with its own names. */
export interface RawDecoderConfig {
  readonly model_type: string;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads?: number | null | undefined;
  readonly head_dim?: number | null | undefined;
  readonly vocab_size: number;
  readonly max_position_embeddings: number;
  readonly rms_norm_eps: number;
  readonly rope_theta?: number | null | undefined;
  readonly rope_scaling?: RopeScaling | null | undefined;
  readonly rope_parameters?: RopeScaling | null | undefined;
  readonly partial_rotary_factor?: number | null | undefined;
  readonly original_max_position_embeddings?: number | null | undefined;
  readonly rope_interleaved?: boolean | null | undefined;
  readonly hidden_act: string;
  readonly tie_word_embeddings?: boolean | null | undefined;
  readonly attention_bias?: boolean | null | undefined;
  readonly mlp_bias?: boolean | null | undefined;
  readonly sliding_window?: number | null | undefined;
  readonly use_sliding_window?: boolean | null | undefined;
  readonly bos_token_id?: number | null | undefined;
  readonly eos_token_id?: number | number[] | null | undefined;
  readonly quantization_config?: unknown;
}

const configSchema: z.ZodType<RawDecoderConfig> = z.looseObject({
  model_type: z.string(),
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count.max(10_000),
  num_attention_heads: count.max(100_000),
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  vocab_size: count,
  max_position_embeddings: count,
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: ropeScalingSchema.nullish(),
  rope_parameters: ropeScalingSchema.nullish(),
  partial_rotary_factor: z.number().nullish(),
  original_max_position_embeddings: count.nullish(),
  rope_interleaved: z.boolean().nullish(),
  hidden_act: z.string().default("silu"),
  tie_word_embeddings: z.boolean().nullish(),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  sliding_window: z.number().int().positive().nullish(),
  use_sliding_window: z.boolean().nullish(),
  bos_token_id: tokenId.nullish(),
  eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish(),
  quantization_config: z.unknown().optional(),
});

/** Says where a family differs from Llama. */
export interface FamilyTraits {
  /** The family's names of fields, by Llama's. */
  readonly fieldNames?: Readonly<Record<string, string>>;
  /** What Hugging Face takes for a field that `config.json` leaves out. */
  readonly defaults?: Partial<RawDecoderConfig>;
  /** The base of rotary embedding when no field gives it; default 10000. */
  readonly theta?: number;
  /** The part of a head that is rotated when no field gives it; a family without it rotates whole heads only. */
  readonly rotaryPart?: number;
  readonly hasQueryKeyValueBias?: boolean;
  readonly hasOutputBias?: boolean;
  readonly hasMlpBias?: boolean;
  readonly queryKeyNorm?: DecoderConfig["queryKeyNorm"];
  /** The activations that are run, by the names of `hidden_act`; default SiLU alone. */
  readonly activations?: Readonly<Record<string, Activation>>;
  /** Returns the width of the sliding window that all layers attend within; undefined when there is none. */
  readonly slidingWindow?: (config: RawDecoderConfig) => number | undefined;
}

/** The activations of families that have a choice, by the names that Hugging Face has for them. */
export const geluActivations: Readonly<Record<string, Activation>> = {
  gelu: "gelu",
  gelu_new: "gelu-tanh",
  gelu_fast: "gelu-tanh",
  gelu_pytorch_tanh: "gelu-tanh",
};

/** Refuses a setting by name. @throws {@link UnsupportedError} */
export function refuseSetting(where: string, field: string, got: unknown, expected: string): never {
  throw new UnsupportedError({ where, what: `this version does not run ${field}`, got, expected });
}

function readActivation(where: string, config: RawDecoderConfig, traits: FamilyTraits): Activation {
  const activations = traits.activations ?? { silu: "silu" };
  const known = Object.hasOwn(activations, config.hidden_act) ? activations[config.hidden_act] : undefined;
  const field = traits.fieldNames?.hidden_act ?? "hidden_act";
  return known ?? refuseSetting(where, field, config.hidden_act, Object.keys(activations).join(", "));
}

function refuseUnsupported(where: string, config: RawDecoderConfig, traits: FamilyTraits): void {
  const partial = {
    partial_rotary_factor: config.partial_rotary_factor,
    "rope_parameters.partial_rotary_factor": config.rope_parameters?.partial_rotary_factor,
  };
  for (const [field, part] of Object.entries(partial)) {
    if (traits.rotaryPart === undefined && (part ?? 1) !== 1) refuseSetting(where, field, part, "1");
  }
  if (config.rope_interleaved === true) refuseSetting(where, "rope_interleaved", true, "false");
  if (config.quantization_config !== undefined && config.quantization_config !== null) {
    const expected = "float32, float16 or bfloat16 weights";
    refuseSetting(where, "quantization_config", "a quantised checkpoint", expected);
  }
}

/** Reads how whole heads or parts of them, of width D, are rotated. */
function readRotation(where: string, config: RawDecoderConfig, traits: FamilyTraits, D: number): Rotary {
  const scaling = config.rope_parameters ?? config.rope_scaling ?? undefined;
  const part = config.partial_rotary_factor ?? scaling?.partial_rotary_factor ?? traits.rotaryPart ?? 1;
  const rotatedSize = Math.trunc(D * part);
  if (!(rotatedSize >= 2 && rotatedSize <= D && rotatedSize % 2 === 0)) {
    throw new InvalidModelError({
      where,
      what: "the rotated part of a head is not an even whole number",
      got: `${part} of ${D}`,
      expected: `2 to ${D} elements`,
    });
  }
  return readRotary(where, {
    rotatedSize,
    theta: config.rope_theta ?? scaling?.rope_theta ?? traits.theta ?? 10_000,
    maxPositions: config.max_position_embeddings,
    originalPositions: config.original_max_position_embeddings ?? undefined,
    scaling,
  });
}

function readHeads(where: string, config: RawDecoderConfig): { H: number; K: number; D: number } {
  const H = config.num_attention_heads;
  const K = config.num_key_value_heads ?? H;
  const D = config.head_dim ?? config.hidden_size / H;
  if (H % K !== 0) {
    throw new InvalidModelError({
      where,
      what: "num_attention_heads is no multiple of num_key_value_heads",
      got: `${H} and ${K}`,
      expected: "whole groups",
    });
  }
  if (!Number.isInteger(D) || D % 2 !== 0) {
    const what = "the head width is not an even whole number";
    throw new InvalidModelError({
      where,
      what,
      got: D,
      expected: "head_dim, or hidden_size / num_attention_heads",
    });
  }
  return { H, K, D };
}

function readGeometry(where: string, config: RawDecoderConfig, traits: FamilyTraits): AttentionGeometry {
  const { H, K, D } = readHeads(where, config);
  const window = traits.slidingWindow?.(config) ?? Number.POSITIVE_INFINITY;
  const { maxPositions, ...rotary } = readRotation(where, config, traits, D);
  return {
    layerCount: config.num_hidden_layers,
    queryHeadCount: H,
    keyValueHeadCount: K,
    headSize: D,
    hiddenSize: config.hidden_size,
    // Within a trained sliding window plain attention is what the checkpoint was trained on, beyond it is not.
    maxPositions: Math.min(maxPositions, window),
    scoreScale: 1 / Math.sqrt(D),
    kinds: [{ ...rotary, windowTokens: Number.POSITIVE_INFINITY }],
    layerKinds: new Array<number>(config.num_hidden_layers).fill(0),
    hasLearnedPositions: false,
  };
}

/**
 * Reads a decoder's configuration.
 * @param where names the file in messages.
 * @throws {@link InvalidModelError} on a missing or wrong field; {@link UnsupportedError} on a setting that is not run.
 */
export function readDecoderConfig(where: string, json: unknown, traits: FamilyTraits = {}): DecoderConfig {
  const { fieldNames = {}, defaults = {} } = traits;
  const config = readFields(where, configSchema, adaptFields(json, fieldNames, defaults), fieldNames);
  refuseUnsupported(where, config, traits);
  const eos = config.eos_token_id ?? [];
  const bias = config.attention_bias ?? false;
  return {
    modelType: config.model_type,
    geometry: readGeometry(where, config, traits),
    vocabularySize: config.vocab_size,
    mlpSize: config.intermediate_size,
    normEpsilon: config.rms_norm_eps,
    tiedEmbeddings: config.tie_word_embeddings ?? false,
    hasQueryKeyValueBias: traits.hasQueryKeyValueBias ?? bias,
    hasOutputBias: traits.hasOutputBias ?? bias,
    hasMlpBias: traits.hasMlpBias ?? config.mlp_bias ?? false,
    queryKeyNorm: traits.queryKeyNorm ?? "none",
    activation: readActivation(where, config, traits),
    normOffset: 0,
    hasEmbeddingNorm: false,
    hasParallelResidual: false,
    embeddingScale: 1,
    residualScale: 1,
    logitScale: 1,
    logitBound: Number.POSITIVE_INFINITY,
    bosTokenId: config.bos_token_id ?? undefined,
    eosTokenIds: typeof eos === "number" ? [eos] : eos,
  };
}
