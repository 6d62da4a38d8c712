/**
 * Granite 3 (`model_type` granite): Llama with factors on embeddings, scores, residuals and logits. The factor on
 * scores takes the place of 1/sqrt(D).
 */

import { z } from "zod";
import { factor, readFields } from "./config-fields.ts";
import { type DecoderConfig, readDecoderConfig } from "./decoder-config.ts";
import { type ModelFamily, makeFamily } from "./family.ts";
import { llamaArchitecture } from "./llama.ts";

const schema: z.ZodType<GraniteFields> = z.looseObject({
  embedding_multiplier: factor.default(1),
  attention_multiplier: factor.default(1),
  residual_multiplier: factor.default(1),
  logits_scaling: factor.default(1),
});

interface GraniteFields {
  readonly embedding_multiplier: number;
  readonly attention_multiplier: number;
  readonly residual_multiplier: number;
  readonly logits_scaling: number;
}

function readConfig(where: string, json: unknown): DecoderConfig {
  const config = readDecoderConfig(where, json);
  const fields = readFields(where, schema, json);
  return {
    ...config,
    geometry: { ...config.geometry, scoreScale: fields.attention_multiplier },
    embeddingScale: fields.embedding_multiplier,
    residualScale: fields.residual_multiplier,
    logitScale: 1 / fields.logits_scaling,
  };
}

/** Runs `granite` checkpoints. */
export const granite: ModelFamily = makeFamily("granite", llamaArchitecture, readConfig);
