/**
 * Qwen 3, dense (`model_type` qwen3): Llama with queries and keys normalised per head.
 */

import { buildDecoderGraph } from "./decoder.ts";
import { readDecoderConfig } from "./decoder-config.ts";
import type { ModelFamily } from "./family.ts";
import { qwenSlidingWindow } from "./qwen2.ts";

/** Runs `qwen3` checkpoints. */
export const qwen3: ModelFamily = {
  modelType: "qwen3",
  readConfig: (where, json) =>
    readDecoderConfig(where, json, { hasQueryKeyNorm: true, slidingWindow: qwenSlidingWindow }),
  buildInferenceGraph: buildDecoderGraph,
};
