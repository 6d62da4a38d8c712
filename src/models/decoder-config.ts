/**
 * The configuration of a decoder-only checkpoint, read from `config.json` and made uniform.
 *
 * Families share this reader and say where they differ. It refuses settings that would change the result
 * and that this version does not run, by name.
 */

import { z } from "zod";
import { InvalidModelError, UnsupportedError } from "../errors.ts";
import type { AttentionGeometry } from "../memory/geometry.ts";
import { inverseFrequencies, type RopeScaling, ropeScalingSchema } from "./rope-scaling.ts";

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
  /** Whether queries and keys are normalised per head before rotation. */
  readonly hasQueryKeyNorm: boolean;
  readonly bosTokenId: number | undefined;
  readonly eosTokenIds: readonly number[];
}

const count = z.number().int().positive().max(1_000_000_000);
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
  readonly hasQueryKeyValueBias?: boolean;
  readonly hasOutputBias?: boolean;
  readonly hasQueryKeyNorm?: boolean;
  readonly tiedByDefault?: boolean;
  /** Returns the width of the sliding window that the checkpoint attends within; undefined when it has none. */
  readonly slidingWindow?: (config: RawDecoderConfig) => number | undefined;
}

/** Checks the fields of a `config.json`. @throws {@link InvalidModelError} naming the field. */
function readRawConfig(where: string, json: unknown): RawDecoderConfig {
  const parsed = configSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new InvalidModelError({
    where,
    what: `field ${issue?.path.join(".") || "(root)"}: ${issue?.message ?? "does not fit"}`,
    expected: "the configuration of a decoder-only checkpoint",
    cause: parsed.error,
  });
}

function refuseUnsupported(where: string, config: RawDecoderConfig): void {
  const refuse = (field: string, got: unknown, expected: string): never => {
    throw new UnsupportedError({ where, what: `this version does not run ${field}`, got, expected });
  };
  if (config.hidden_act !== "silu") refuse("hidden_act", config.hidden_act, "silu");
  const partial = {
    partial_rotary_factor: config.partial_rotary_factor,
    "rope_parameters.partial_rotary_factor": config.rope_parameters?.partial_rotary_factor,
  };
  for (const [field, factor] of Object.entries(partial)) {
    if ((factor ?? 1) !== 1) refuse(field, factor, "1");
  }
  if (config.rope_interleaved === true) refuse("rope_interleaved", true, "false");
  if (config.quantization_config !== undefined && config.quantization_config !== null) {
    refuse("quantization_config", "a quantised checkpoint", "float32, float16 or bfloat16 weights");
  }
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

/**
 * Reads a decoder's configuration.
 * @param where names the file in messages.
 * @throws {@link InvalidModelError} on a missing or wrong field; {@link UnsupportedError} on a setting that is not run.
 */
export function readDecoderConfig(where: string, json: unknown, traits: FamilyTraits = {}): DecoderConfig {
  const config = readRawConfig(where, json);
  refuseUnsupported(where, config);
  const { H, K, D } = readHeads(where, config);
  const rope = config.rope_parameters ?? config.rope_scaling ?? undefined;
  const theta = config.rope_theta ?? rope?.rope_theta ?? 10_000;
  const window = traits.slidingWindow?.(config) ?? Number.POSITIVE_INFINITY;
  const eos = config.eos_token_id ?? [];
  const bias = config.attention_bias ?? false;
  return {
    modelType: config.model_type,
    geometry: {
      layerCount: config.num_hidden_layers,
      queryHeadCount: H,
      keyValueHeadCount: K,
      headSize: D,
      hiddenSize: config.hidden_size,
      // Within a trained sliding window plain attention is what the checkpoint was trained on, beyond it is not.
      maxPositions: Math.min(config.max_position_embeddings, window),
      scoreScale: 1 / Math.sqrt(D),
      kinds: [
        {
          inverseFrequencies: inverseFrequencies(where, D, theta, rope),
          rotaryScale: 1,
          windowTokens: Number.POSITIVE_INFINITY,
        },
      ],
      layerKinds: new Array<number>(config.num_hidden_layers).fill(0),
    },
    vocabularySize: config.vocab_size,
    mlpSize: config.intermediate_size,
    normEpsilon: config.rms_norm_eps,
    tiedEmbeddings: config.tie_word_embeddings ?? traits.tiedByDefault ?? false,
    hasQueryKeyValueBias: traits.hasQueryKeyValueBias ?? bias,
    hasOutputBias: traits.hasOutputBias ?? bias,
    hasMlpBias: config.mlp_bias ?? false,
    hasQueryKeyNorm: traits.hasQueryKeyNorm ?? false,
    bosTokenId: config.bos_token_id ?? undefined,
    eosTokenIds: typeof eos === "number" ? [eos] : eos,
  };
}
