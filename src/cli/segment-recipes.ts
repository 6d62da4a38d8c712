/**
 * The recipes `lm` and `sft`: gates of variant `paper`, learned from the loss of tokens behind the window.
 */

import type { AdapterDesign } from "../memory/adapter.ts";
import { type ContextSettings, localCapacityTokens } from "../memory/geometry.ts";
import { createPolicy } from "../memory/policies.ts";
import { assertClosedGates, startToleranceNats } from "../train/closed-gates.ts";
import { drawInitialGates } from "../train/initial-gates.ts";
import { createSegmentObjective } from "../train/segment-objective.ts";
import { describeWeights, type WeightTensors } from "../train/weight-tensors.ts";
import { parseNumber } from "./arguments.ts";
import type { GateBase } from "./gate-base.ts";
import { chooseContexts } from "./gate-context.ts";
import type { GateRecipe, GateRequest, GateTraining } from "./gate-recipe.ts";
import { adapterInTraining } from "./initial-adapter.ts";
import { parseWhole } from "./training-options.ts";

function makeModels(
  { folder, family, config, weights }: GateBase,
  trained: WeightTensors,
  design: AdapterDesign,
): Parameters<typeof createSegmentObjective>[0]["makeModel"] {
  const tensors = describeWeights(weights);
  const adapter = adapterInTraining(design, trained);
  return (context: ContextSettings) => {
    const policy = createPolicy(design.variant, { geometry: config.geometry, context, adapter });
    const inference = family.buildInferenceGraph(folder.name, config, tensors, policy);
    return { context, policy, inference };
  };
}

async function prepare(
  { base, values, seed, runtime }: GateRequest,
  weighsAll: boolean,
): Promise<GateTraining> {
  const { geometry } = base.config;
  const { rank: rankText, segments } = values;
  const biasText = values["gate-bias"];
  const rank = rankText === undefined ? 16 : parseWhole("rank", rankText, 1);
  const gateBias = biasText === undefined ? -4 : parseNumber("gate-bias", biasText);
  const segmentCount = segments === undefined ? 16 : parseWhole("segments", segments, 1);
  const contexts = chooseContexts(values, geometry.maxPositions, 0);
  const memory = { writeGateRank: undefined, featureCount: undefined, fusion: "convex" } as const;
  const design = { variant: "paper", linearMemory: { readGateRank: rank, ...memory } } as const;
  const tensors = drawInitialGates(geometry, { rank, seed, bias: gateBias });
  const objective = createSegmentObjective({
    contexts,
    segmentCount,
    base: base.weights,
    trained: tensors,
    runtime,
    makeModel: makeModels(base, tensors, design),
  });
  return {
    design,
    context: contexts[0],
    tensors,
    objective,
    documents: {
      longestTokens: objective.lengthTokens(0),
      // Behind the first token past the window, something must be left to predict.
      minTokens: localCapacityTokens(contexts[0]) + 2,
      weighsAll,
      recallWeights: weighsAll ? { question: 1 } : { text: 0 },
    },
    identity: { contexts: contexts.map((one) => ({ ...one })), rank, gateBias, segmentCount },
    checkStart: (source, signal) => assertClosedGates(objective, source, startToleranceNats, signal),
  };
}

const shared = {
  variants: ["paper"],
  defaults: { steps: 300, tokensPerStep: 1, learningRate: 5e-3 },
  takes: ["gate-bias", "segments"],
  memoryRemedy: "Choose a smaller --segment or --window, or --fixed-context.",
} as const;

/** Learns every token behind the window. */
export const lmRecipe: GateRecipe = { ...shared, prepare: (request) => prepare(request, true) };

/** Learns completions and answers alone. */
export const sftRecipe: GateRecipe = { ...shared, prepare: (request) => prepare(request, false) };
