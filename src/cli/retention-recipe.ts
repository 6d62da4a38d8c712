/**
 * The recipe `retention`: the score by which the variant `plus` keeps tokens in slots, learned from what full
 * attention over whole documents comes back to. It makes an adapter without a linear memory.
 */

import { drawInitialRetention } from "../train/initial-networks.ts";
import { createRetentionObjective } from "../train/retention-objective.ts";
import { firstFarPosition } from "../train/teacher-attention.ts";
import { chooseContexts } from "./gate-context.ts";
import type { GateRecipe, GateRequest, GateTraining } from "./gate-recipe.ts";
import { parseWhole } from "./training-options.ts";

/** Attention is held whole, so that memory grows with the square of a document's length. */
const mostTokensByDefault = 2048;

async function prepare({ base, values, seed, runtime, signal }: GateRequest): Promise<GateTraining> {
  const { family, config, weights } = base;
  const { maxPositions } = config.geometry;
  const { rank: rankText, slots, length, kernel } = values;
  const kernelTokens = kernel === undefined ? 1 : parseWhole("kernel", kernel, 1);
  const weighsQueries = values["weigh-queries"] === true;
  const rank = rankText === undefined ? 32 : parseWhole("rank", rankText, 1);
  const slotTokens =
    slots === undefined ? Math.min(128, Math.ceil(maxPositions / 8)) : parseWhole("slots", slots, 1);
  const lengthTokens =
    length === undefined ? Math.min(maxPositions, mostTokensByDefault) : parseWhole("length", length, 2);
  const contexts = chooseContexts(values, maxPositions, slotTokens);
  const tensors = drawInitialRetention(config.geometry, rank, seed);
  const objective = await createRetentionObjective(
    {
      ...{ family, config, base: weights, trained: tensors, rank, runtime, contexts },
      ...{ lengthTokens, kernelTokens, weighsQueries },
    },
    signal,
  );
  const [context] = contexts;
  return {
    design: {
      variant: "plus",
      retentionRank: rank,
      slotBiasRank: undefined,
      linearMemory: undefined,
    },
    context,
    tensors,
    objective,
    documents: {
      longestTokens: lengthTokens,
      minTokens: firstFarPosition(context, context.sinkTokens) + 1,
      weighsAll: true,
      // A question counts as what follows it does, unless the file of the documents says otherwise.
      ...(weighsQueries ? { recallWeights: { question: 1 }, mostRecallWeight: 1 } : { recallWeights: {} }),
    },
    identity: {
      contexts: contexts.map((one) => ({ ...one })),
      ...{ rank, lengthTokens },
      ...(kernelTokens > 1 && { kernelTokens }),
      ...(weighsQueries && { weighsQueries }),
    },
  };
}

/** Learns which tokens to keep. */
export const retentionRecipe: GateRecipe = {
  variants: ["plus"],
  defaults: { steps: 400, tokensPerStep: 4096, learningRate: 3e-3 },
  takes: ["slots", "length", "kernel", "weigh-queries"],
  whyNot: { "bptt-depth": "what it trains is computed from one run of the base, behind no state" },
  memoryRemedy: "Choose a smaller --length.",
  prepare,
};
