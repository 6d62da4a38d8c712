/**
 * Mistral (`model_type` mistral): Llama with, in early versions, a sliding window.
 */

import { buildDecoderGraph } from "./decoder.ts";
import { readDecoderConfig } from "./decoder-config.ts";
import type { ModelFamily } from "./family.ts";

/** The width that Hugging Face assumes when the field is absent; `null` means none. */
const defaultSlidingWindow = 4096;

/** Runs `mistral` checkpoints. */
export const mistral: ModelFamily = {
  modelType: "mistral",
  readConfig: (where, json) =>
    readDecoderConfig(where, json, {
      hasQueryKeyValueBias: false,
      hasOutputBias: false,
      slidingWindow: ({ sliding_window }) =>
        sliding_window === undefined ? defaultSlidingWindow : (sliding_window ?? undefined),
    }),
  buildInferenceGraph: buildDecoderGraph,
};
