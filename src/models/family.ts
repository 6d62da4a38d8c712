/**
 * What a model family is: how its configuration is read and its graph written.
 */

import type { Graph } from "../graph/graph.ts";
import type { WeightEntry } from "../graph/weights.ts";
import type { MemoryPolicy } from "../memory/policy.ts";
import type { DecoderConfig } from "./decoder-config.ts";

/** Runs the checkpoints of one Hugging Face `model_type`. */
export interface ModelFamily {
  readonly modelType: string;
  /** Reads `config.json`. @throws {@link InvalidModelError} {@link UnsupportedError} naming the field. */
  readConfig(where: string, json: unknown): DecoderConfig;
  /** Builds the inference graph over a checkpoint's tensors. @throws {@link InvalidModelError} naming the tensor. */
  buildInferenceGraph(
    where: string,
    config: DecoderConfig,
    tensors: ReadonlyMap<string, WeightEntry>,
    policy: MemoryPolicy,
  ): Graph;
}
