/**
 * Qwen 1.5, 2 and 2.5 (`model_type` qwen2): Llama with biases on queries, keys and values.
 */

import { type RawDecoderConfig, readDecoderConfig } from "./decoder-config.ts";
import { type ModelFamily, makeFamily } from "./family.ts";
import { llamaArchitecture } from "./llama.ts";

/** Returns the sliding window of a Qwen checkpoint, which counts only when it is switched on. */
export function qwenSlidingWindow({
  use_sliding_window,
  sliding_window,
}: RawDecoderConfig): number | undefined {
  return use_sliding_window === true ? (sliding_window ?? undefined) : undefined;
}

/** Runs `qwen2` checkpoints. */
export const qwen2: ModelFamily = makeFamily("qwen2", llamaArchitecture, (where, json) =>
  readDecoderConfig(where, json, {
    hasQueryKeyValueBias: true,
    hasOutputBias: false,
    slidingWindow: qwenSlidingWindow,
  }),
);
