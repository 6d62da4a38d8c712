/**
 * OLMo 2 (`model_type` olmo2): Llama with norms behind attention and MLP instead of before them, and with queries
 * and keys normalised as whole vectors (arXiv 2501.00656).
 */

import { readDecoderConfig } from "./decoder-config.ts";
import { type ModelFamily, makeFamily } from "./family.ts";
import { postNormLayout } from "./layouts.ts";
import { llamaArchitecture } from "./llama.ts";

/** Runs `olmo2` checkpoints. */
export const olmo2: ModelFamily = makeFamily(
  "olmo2",
  { ...llamaArchitecture, layout: postNormLayout },
  (where, json) =>
    readDecoderConfig(where, json, {
      defaults: { rms_norm_eps: 1e-5 },
      hasMlpBias: false,
      queryKeyNorm: "projection",
    }),
);
