/**
 * Llama 2 and 3, SmolLM2, TinyLlama and their kin (`model_type` llama).
 */

import { buildDecoderGraph } from "./decoder.ts";
import { readDecoderConfig } from "./decoder-config.ts";
import type { ModelFamily } from "./family.ts";

/** Runs `llama` checkpoints. */
export const llama: ModelFamily = {
  modelType: "llama",
  readConfig: (where, json) => readDecoderConfig(where, json),
  buildInferenceGraph: buildDecoderGraph,
};
