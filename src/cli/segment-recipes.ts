/**
 * The recipes `lm` and `sft`: gates of variant `paper` or `infini`, learned from the loss of tokens behind the window.
 */

import type { AdapterDesign } from "../memory/adapter.ts";
import { mostRank } from "../memory/adapter.ts";
import { type ContextSettings, localCapacityTokens } from "../memory/geometry.ts";
import { createPolicy } from "../memory/policies.ts";
import { assertClosedGates, startTolerance } from "../train/closed-gates.ts";
import { drawInitialBetas, drawInitialGates } from "../train/initial-gates.ts";
import { createSegmentObjective } from "../train/segment-objective.ts";
import { describeWeights, type WeightTensors } from "../train/weight-tensors.ts";
import { parseNumber, usageError } from "./arguments.ts";
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

/** Is what is trained, before the first step. */
interface Beginning {
  readonly design: AdapterDesign;
  readonly tensors: WeightTensors;
  /** What the outcome depends on. */
  readonly identity: GateTraining["identity"];
}

/** Begins with scalar gates. @throws {@link InvalidRequestError} for an option that says nothing to them. */
function beginInfini({ base, values }: GateRequest, gateBias: number): Beginning {
  if (values.rank !== undefined)
    throw usageError("--rank says nothing to variant infini: its gates are numbers");
  const updateRule = values["delta-rule"] ? "delta" : "linear";
  return {
    design: { variant: "infini", linearMemory: { updateRule } },
    tensors: drawInitialBetas(base.config.geometry, gateBias),
    identity: { variant: "infini", updateRule },
  };
}

/** Begins with gating networks. @throws {@link InvalidRequestError} for an option that says nothing to them. */
function beginPaper({ base, values, seed }: GateRequest, gateBias: number): Beginning {
  if (values["delta-rule"]) throw usageError("--delta-rule is of variant infini");
  const rank = values.rank === undefined ? 16 : parseWhole("rank", values.rank, 1, mostRank);
  const memory = { writeGateRank: undefined, featureCount: undefined, fusion: "convex" } as const;
  return {
    design: { variant: "paper", linearMemory: { readGateRank: rank, ...memory } },
    tensors: drawInitialGates(base.config.geometry, { rank, seed, bias: gateBias }),
    identity: { rank },
  };
}

async function prepare(request: GateRequest, weighsAll: boolean): Promise<GateTraining> {
  const { base, values, runtime } = request;
  const { geometry } = base.config;
  const { segments, "gate-bias": biasText, "bptt-depth": depthText } = values;
  const gateBias = biasText === undefined ? -4 : parseNumber("gate-bias", biasText);
  const segmentCount = segments === undefined ? 16 : parseWhole("segments", segments, 1);
  const bpttDepth = depthText === undefined ? 0 : parseWhole("bptt-depth", depthText, 0);
  const contexts = chooseContexts(values, geometry.maxPositions, 0);
  const begin = values.variant === "infini" ? beginInfini : beginPaper;
  const { design, tensors, identity } = begin(request, gateBias);
  const objective = createSegmentObjective({
    contexts,
    segmentCount,
    ...{ geometry, bpttDepth },
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
    identity: {
      contexts: contexts.map((one) => ({ ...one })),
      ...identity,
      gateBias,
      segmentCount,
      // Not named where it is 0, so that trainings of before it go on.
      ...(bpttDepth > 0 && { bpttDepth }),
    },
    checkStart: (source, signal) => assertClosedGates(objective, source, startTolerance, signal),
  };
}

const shared = {
  variants: ["paper", "infini"],
  defaults: { steps: 300, tokensPerStep: 1, learningRate: 5e-3 },
  takes: ["gate-bias", "segments", "bptt-depth", "delta-rule"],
  memoryRemedy: "Choose a smaller --segment, --window or --bptt-depth, or --fixed-context.",
} as const;

/** Learns every token behind the window. */
export const lmRecipe: GateRecipe = { ...shared, prepare: (request) => prepare(request, true) };

/** Learns completions and answers alone. */
export const sftRecipe: GateRecipe = { ...shared, prepare: (request) => prepare(request, false) };
