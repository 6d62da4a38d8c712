/**
 * SmolLM3 (`model_type` smollm3): Llama in which some layers have no rotary embedding (NoPE, arXiv 2501.18795).
 *
 * `no_rope_layers` has a 1 for each layer that rotates and a 0 for each that does not; without it every fourth
 * does not (`no_rope_layer_interval`).
 */

import { z } from "zod";
import { InvalidModelError } from "../errors.ts";
import { count, readFields } from "./config-fields.ts";
import { type DecoderConfig, readDecoderConfig, refuseSetting } from "./decoder-config.ts";
import { type ModelFamily, makeFamily } from "./family.ts";
import { llamaArchitecture } from "./llama.ts";

const schema: z.ZodType<SmolLm3Fields> = z.looseObject({
  no_rope_layers: z.array(z.union([z.literal(0), z.literal(1)])).nullish(),
  no_rope_layer_interval: count.default(4),
  use_sliding_window: z.boolean().nullish(),
  sliding_window: z.number().nullish(),
});

interface SmolLm3Fields {
  readonly no_rope_layers?: readonly number[] | null | undefined;
  readonly no_rope_layer_interval: number;
  readonly use_sliding_window?: boolean | null | undefined;
  readonly sliding_window?: number | null | undefined;
}

function readLayerKinds(where: string, fields: SmolLm3Fields, layerCount: number): number[] {
  const { no_rope_layers: given, no_rope_layer_interval: interval } = fields;
  if (given !== undefined && given !== null && given.length < layerCount) {
    throw new InvalidModelError({
      where,
      what: "field no_rope_layers does not fit",
      got: `${given.length} numbers`,
      expected: `${layerCount}, one a layer`,
    });
  }
  return Array.from({ length: layerCount }, (_, layer) => {
    const isRotated = given?.[layer] ?? ((layer + 1) % interval === 0 ? 0 : 1);
    return isRotated === 1 ? 0 : 1;
  });
}

function readConfig(where: string, json: unknown): DecoderConfig {
  const config = readDecoderConfig(where, json, {
    defaults: { tie_word_embeddings: true },
    theta: 2_000_000,
  });
  const fields = readFields(where, schema, json);
  if (fields.use_sliding_window === true && fields.sliding_window != null)
    refuseSetting(where, "use_sliding_window", true, "false");
  const { geometry } = config;
  const [rotated] = geometry.kinds;
  const still = {
    inverseFrequencies: new Float64Array(0),
    rotaryScale: 1,
    windowTokens: Number.POSITIVE_INFINITY,
  };
  const layerKinds = readLayerKinds(where, fields, geometry.layerCount);
  return { ...config, geometry: { ...geometry, kinds: [rotated ?? still, still], layerKinds } };
}

/** Runs `smollm3` checkpoints. */
export const smollm3: ModelFamily = makeFamily("smollm3", llamaArchitecture, readConfig);
