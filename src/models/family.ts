/**
 * What a model family is: how its configuration is read and its graph written.
 */

import type { Graph } from "../graph/graph.ts";
import type { WeightEntry } from "../graph/weights.ts";
import type { MemoryPolicy } from "../memory/policy.ts";
import type { DecoderArchitecture } from "./architecture.ts";
import { buildDecoderGraph } from "./decoder.ts";
import type { DecoderConfig } from "./decoder-config.ts";

/** Runs the checkpoints of one Hugging Face `model_type`. */
export interface ModelFamily {
  readonly modelType: string;
  /** Whether a tensor of that name is the embedding of tokens. */
  isEmbedding(name: string): boolean;
  /** Whether checkpoints keep matrices as `[inSize, outSize]`, which cannot be quantised row by row. */
  readonly hasTransposedMatrices: boolean;
  /** Reads `config.json`. @throws {@link InvalidModelError} {@link UnsupportedError} naming the field. */
  readConfig(where: string, json: unknown): DecoderConfig;
  /** Lists matrices that multiply the same x, group by group: holding them together lets one product do it. */
  fusedProjections(config: DecoderConfig): readonly (readonly string[])[];
  /** Builds the inference graph over a checkpoint's tensors. @throws {@link InvalidModelError} naming the tensor. */
  buildInferenceGraph(
    where: string,
    config: DecoderConfig,
    tensors: ReadonlyMap<string, WeightEntry>,
    policy: Pick<MemoryPolicy, "beginAttention">,
  ): Graph;
}

/** Makes a family of an architecture and the reader of its configuration. */
export function makeFamily(
  modelType: string,
  architecture: DecoderArchitecture,
  readConfig: ModelFamily["readConfig"],
): ModelFamily {
  return {
    modelType,
    isEmbedding: (name) => name === `${architecture.names.embedding}.weight`,
    hasTransposedMatrices: false,
    readConfig,
    fusedProjections: ({ geometry }) =>
      Array.from({ length: geometry.layerCount }, (_, layer) =>
        architecture.multipliedTogether.map((group) =>
          group.map((name) => `${architecture.names.layers}.${layer}.${name}.weight`),
        ),
      ).flat(),
    buildInferenceGraph: (where, config, tensors, policy) =>
      buildDecoderGraph(architecture, where, config, tensors, policy),
  };
}
