/**
 * Phi-3, 3.5 and 4 mini (`model_type` phi3): Llama with one matrix for queries, keys and values and one for gate and
 * up, and with rotary embedding that is stretched for long texts (longrope, first called su).
 *
 * Longrope has two sets of factors; the short ones hold as long as no position passes the original length. The local
 * cache never does: settings that would are refused, as are longer streams under the policy `full`.
 */

import { readDecoderConfig } from "./decoder-config.ts";
import { type ModelFamily, makeFamily } from "./family.ts";
import { llamaArchitecture } from "./llama.ts";
import { writeFusedGatedMlp } from "./mlps.ts";
import { makeFusedProjections } from "./projections.ts";

/** Runs `phi3` checkpoints. */
export const phi3: ModelFamily = makeFamily(
  "phi3",
  {
    ...llamaArchitecture,
    writeProjections: makeFusedProjections("qkv_proj"),
    writeMlp: writeFusedGatedMlp,
  },
  (where, json) =>
    readDecoderConfig(where, json, {
      defaults: { rms_norm_eps: 1e-5, original_max_position_embeddings: 4096 },
      rotaryPart: 1,
      hasQueryKeyValueBias: false,
      hasOutputBias: false,
      hasMlpBias: false,
      slidingWindow: ({ sliding_window }) => sliding_window ?? undefined,
    }),
);
