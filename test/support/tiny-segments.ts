/**
 * Tiny gates in training: the objective over segments, and the same model for the oracle.
 */

import { openCheckpointWeights } from "../../src/files/checkpoint-files.ts";
import { openAdapter } from "../../src/memory/adapter.ts";
import type { ContextSettings } from "../../src/memory/geometry.ts";
import { createPolicy } from "../../src/memory/policies.ts";
import { loadModelFamily } from "../../src/models/registry.ts";
import { createNodeRuntime } from "../../src/runtime/node.ts";
import {
  createTinyAdapterFolder,
  createTinyModelFolder,
  type TinyAdapterOptions,
  type TinyModelOptions,
} from "../../src/testing/tiny-model.ts";
import { readWeightTensors } from "../../src/train/read-weight-tensors.ts";
import {
  createSegmentObjective,
  type SegmentObjective,
  type SegmentOptions,
} from "../../src/train/segment-objective.ts";
import { describeWeights, type WeightTensors } from "../../src/train/weight-tensors.ts";
import { type OracleModel, readOracleModel } from "./edgeinfinite-oracle.ts";

/** Chooses tiny gates. */
export interface TinySegmentOptions {
  readonly context: ContextSettings;
  readonly model?: TinyModelOptions;
  readonly adapter?: TinyAdapterOptions & { readonly variant?: "paper" | "infini" };
  readonly objective?: Partial<SegmentOptions>;
}

/** Is tiny gates in training. */
export interface TinySegments {
  readonly objective: SegmentObjective;
  /** What is trained, as the objective holds it. */
  readonly trained: WeightTensors;
  /** The same, in float64. */
  readonly oracle: OracleModel;
}

/** Creates tiny gates over three segments, of variant `paper` where nothing else is said. */
export async function createTinySegments(options: TinySegmentOptions): Promise<TinySegments> {
  const { context } = options;
  const sizes = { hiddenSize: 16, queryHeadCount: 4, keyValueHeadCount: 2, headSize: 4 };
  const modelFolder = createTinyModelFolder({ ...sizes, mlpSize: 10, ...options.model });
  const { layerCount = 2, variant = "paper" } = { ...options.model, ...options.adapter };
  const adapterFolder = createTinyAdapterFolder({ ...sizes, layerCount, context, ...options.adapter });
  const json = await modelFolder.readJson("config.json");
  const family = await loadModelFamily("tiny", json);
  const config = family.readConfig("tiny", json);
  const adapter = await openAdapter(adapterFolder);
  const base = await readWeightTensors("tiny", (await openCheckpointWeights(modelFolder)).tensors);
  const trained = await readWeightTensors("tiny adapter", adapter.tensors);
  const tensors = describeWeights(base);
  const { geometry } = config;
  const objective = createSegmentObjective({
    ...{ base, trained, geometry },
    contexts: [context],
    segmentCount: 3,
    runtime: createNodeRuntime({ threads: 1 }),
    makeModel(settings) {
      const inTraining = { ...adapter, tensors: describeWeights(trained) };
      const policy = createPolicy(variant, { geometry, context: settings, adapter: inTraining });
      const inference = family.buildInferenceGraph("tiny", config, tensors, policy);
      return { context: settings, policy, inference };
    },
    ...options.objective,
  });
  return { objective, trained, oracle: await readOracleModel(modelFolder, adapterFolder) };
}
