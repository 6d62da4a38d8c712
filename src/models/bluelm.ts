/**
 * BlueLM (`model_type` BlueLM): Llama with a layer norm on the embeddings, and in the 32K checkpoints a rotary
 * embedding that is stretched ever more towards the low frequencies (ntkmixed).
 */

import { z } from "zod";
import { readFields } from "./config-fields.ts";
import { type DecoderConfig, readDecoderConfig } from "./decoder-config.ts";
import { type ModelFamily, makeFamily } from "./family.ts";
import { llamaArchitecture } from "./llama.ts";

const schema = z.looseObject({ use_stable_embedding: z.boolean().default(true) });

function readConfig(where: string, json: unknown): DecoderConfig {
  const { use_stable_embedding } = readFields(where, schema, json);
  const config = readDecoderConfig(where, json, {
    hasQueryKeyValueBias: false,
    hasOutputBias: false,
    hasMlpBias: false,
  });
  return { ...config, hasEmbeddingNorm: use_stable_embedding };
}

/** Runs `BlueLM` checkpoints. */
export const bluelm: ModelFamily = makeFamily("BlueLM", llamaArchitecture, readConfig);
