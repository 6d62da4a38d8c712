/**
 * Qwen 3, dense (`model_type` qwen3): Llama with queries and keys normalised per head.
 */

import { readDecoderConfig } from "./decoder-config.ts";
import { type ModelFamily, makeFamily } from "./family.ts";
import { llamaArchitecture } from "./llama.ts";
import { qwenSlidingWindow } from "./qwen2.ts";

/** Runs `qwen3` checkpoints. */
export const qwen3: ModelFamily = makeFamily("qwen3", llamaArchitecture, (where, json) =>
  readDecoderConfig(where, json, { queryKeyNorm: "head", slidingWindow: qwenSlidingWindow }),
);
