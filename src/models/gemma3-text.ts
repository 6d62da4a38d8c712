/**
 * Gemma 3, text alone (`model_type` gemma3_text): norms on both sides of attention and MLP, their weights stored
 * less 1; embeddings scaled by sqrt(E); GELU; and layers that attend within a sliding window, with a rotary base of
 * their own, between those that attend to all (arXiv 2503.19786).
 */

import { z } from "zod";
import { InvalidModelError } from "../errors.ts";
import type { AttentionGeometry } from "../memory/geometry.ts";
import { count, factor, readFields } from "./config-fields.ts";
import { type DecoderConfig, geluActivations, readDecoderConfig, refuseSetting } from "./decoder-config.ts";
import { type ModelFamily, makeFamily } from "./family.ts";
import { sandwichLayout } from "./layouts.ts";
import { llamaArchitecture } from "./llama.ts";
import { type RopeScaling, readRotary, ropeScalingSchema } from "./rope-scaling.ts";

const layerTypes = ["full_attention", "sliding_attention"] as const;

const schema: z.ZodType<Gemma3Fields> = z.looseObject({
  query_pre_attn_scalar: factor.default(256),
  sliding_window: count.default(4096),
  sliding_window_pattern: count.nullish(),
  layer_types: z.array(z.enum(layerTypes)).nullish(),
  rope_local_base_freq: z.number().positive().default(10_000),
  rope_parameters: z
    .looseObject({
      full_attention: ropeScalingSchema.optional(),
      sliding_attention: ropeScalingSchema.optional(),
    })
    .nullish(),
  final_logit_softcapping: factor.nullish(),
  attn_logit_softcapping: z.number().nullish(),
  use_bidirectional_attention: z.boolean().nullish(),
});

interface Gemma3Fields {
  readonly query_pre_attn_scalar: number;
  readonly sliding_window: number;
  readonly sliding_window_pattern?: number | null | undefined;
  readonly layer_types?: readonly (typeof layerTypes)[number][] | null | undefined;
  readonly rope_local_base_freq: number;
  readonly rope_parameters?:
    | {
        readonly full_attention?: RopeScaling | undefined;
        readonly sliding_attention?: RopeScaling | undefined;
      }
    | null
    | undefined;
  readonly final_logit_softcapping?: number | null | undefined;
  readonly attn_logit_softcapping?: number | null | undefined;
  readonly use_bidirectional_attention?: boolean | null | undefined;
}

/** Every sixth layer attends to all where nothing else is said. */
const defaultPattern = 6;

function readLayerKinds(where: string, fields: Gemma3Fields, layerCount: number): number[] {
  const { layer_types: given, sliding_window_pattern } = fields;
  if (given !== undefined && given !== null && given.length !== layerCount) {
    throw new InvalidModelError({
      where,
      what: "field layer_types does not fit",
      got: `${given.length} layers`,
      expected: `${layerCount}`,
    });
  }
  const pattern = sliding_window_pattern ?? defaultPattern;
  return Array.from({ length: layerCount }, (_, layer) => {
    const type = given?.[layer] ?? ((layer + 1) % pattern === 0 ? "full_attention" : "sliding_attention");
    return layerTypes.indexOf(type);
  });
}

/** Newer checkpoints have a set of rotary parameters for each type of layer; they are taken apart here. */
function flattenRotary(json: unknown, { rope_parameters: parameters }: Gemma3Fields): unknown {
  const isNested = parameters?.full_attention !== undefined || parameters?.sliding_attention !== undefined;
  if (!isNested || typeof json !== "object") return json;
  return { ...json, rope_parameters: parameters?.full_attention };
}

function readGeometry(where: string, fields: Gemma3Fields, geometry: AttentionGeometry): AttentionGeometry {
  const local = fields.rope_parameters?.sliding_attention;
  const { maxPositions: _, ...rotary } = readRotary(where, {
    rotatedSize: geometry.headSize,
    theta: local?.rope_theta ?? fields.rope_local_base_freq,
    maxPositions: geometry.maxPositions,
    scaling: local,
  });
  return {
    ...geometry,
    scoreScale: fields.query_pre_attn_scalar ** -0.5,
    kinds: [...geometry.kinds, { ...rotary, windowTokens: fields.sliding_window }],
    layerKinds: readLayerKinds(where, fields, geometry.layerCount),
  };
}

function readConfig(where: string, json: unknown): DecoderConfig {
  const fields = readFields(where, schema, json);
  if (fields.attn_logit_softcapping != null)
    refuseSetting(where, "attn_logit_softcapping", fields.attn_logit_softcapping, "null");
  if (fields.use_bidirectional_attention === true)
    refuseSetting(where, "use_bidirectional_attention", true, "false");
  const config = readDecoderConfig(where, flattenRotary(json, fields), {
    fieldNames: { hidden_act: "hidden_activation" },
    defaults: {
      hidden_act: "gelu_pytorch_tanh",
      num_key_value_heads: 4,
      head_dim: 256,
      tie_word_embeddings: true,
    },
    theta: 1_000_000,
    hasMlpBias: false,
    queryKeyNorm: "head",
    activations: geluActivations,
  });
  return {
    ...config,
    geometry: readGeometry(where, fields, config.geometry),
    normOffset: 1,
    embeddingScale: Math.sqrt(config.geometry.hiddenSize),
    logitBound: fields.final_logit_softcapping ?? Number.POSITIVE_INFINITY,
  };
}

/** Runs `gemma3_text` checkpoints. */
export const gemma3Text: ModelFamily = makeFamily(
  "gemma3_text",
  { ...llamaArchitecture, layout: sandwichLayout },
  readConfig,
);
