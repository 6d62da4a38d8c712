/**
 * A thread of `edgeinfinite train base`: computes losses and gradients of a model in training.
 */

import { nodePlatform } from "../engine/node.ts";
import { loadModelFamily } from "../models/registry.ts";
import { shapeInitialWeights } from "../train/initial-weights.ts";
import { createNextTokenObjective, type LengthStage } from "../train/next-token-objective.ts";
import { serveObjective } from "../train/node-parallel-objective.ts";

/** Is what such a thread is started with. */
export interface BaseThreadSetup {
  readonly name: string;
  /** The fields of config.json. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly lengths: readonly LengthStage[];
  /** Within an operator. */
  readonly threads: number;
}

await serveObjective(async ({ name, json, lengths, threads }: BaseThreadSetup, arrays) => {
  const family = await loadModelFamily(name, json);
  const config = family.readConfig(name, json);
  const runtime = await nodePlatform.createRuntime({ device: "cpu", threads, plansMemory: false });
  const weights = shapeInitialWeights(config, arrays);
  return createNextTokenObjective({ family, config, weights, runtime, lengths });
});
