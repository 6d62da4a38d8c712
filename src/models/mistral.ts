/**
 * Mistral (`model_type` mistral): Llama with, in early versions, a sliding window.
 */

import { readDecoderConfig } from "./decoder-config.ts";
import { type ModelFamily, makeFamily } from "./family.ts";
import { llamaArchitecture } from "./llama.ts";

/** The width that Hugging Face assumes when the field is absent; `null` means none. */
const defaultSlidingWindow = 4096;

/** Runs `mistral` checkpoints. */
export const mistral: ModelFamily = makeFamily("mistral", llamaArchitecture, (where, json) =>
  readDecoderConfig(where, json, {
    defaults: { sliding_window: defaultSlidingWindow },
    hasQueryKeyValueBias: false,
    hasOutputBias: false,
    slidingWindow: ({ sliding_window }) => sliding_window ?? undefined,
  }),
);
