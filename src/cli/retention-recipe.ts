/**
 * The recipe `retention`: the score by which the variant `plus` keeps tokens in slots, learned from what full
 * attention over whole documents comes back to. It makes an adapter without a linear memory.
 */

import { mostKernel, mostRank } from "../memory/adapter.ts";
import type { AttentionGeometry, ContextSettings } from "../memory/geometry.ts";
import { applyBudgets, mostSlotTokens, shareSlots } from "../memory/slot-budgets.ts";
import { drawInitialRetention } from "../train/initial-networks.ts";
import { createRetentionObjective } from "../train/retention-objective.ts";
import { firstFarPosition } from "../train/teacher-attention.ts";
import { parseNumber, usageError } from "./arguments.ts";
import { chooseContexts } from "./gate-context.ts";
import type { GateRecipe, GateRequest, GateTraining } from "./gate-recipe.ts";
import { parseWhole } from "./training-options.ts";

/** Attention is held whole, so that memory grows with the square of a document's length. */
const mostTokensByDefault = 2048;

/** Reads how many tokens a score is pooled over; undefined for one. @throws {@link InvalidRequestError} */
function readScoreKernel(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const tokens = parseWhole("score-kernel", text, 1, mostKernel);
  if (tokens % 2 === 0)
    throw usageError("--score-kernel is even", { got: text, expected: "an odd number", command: "train" });
  return tokens === 1 ? undefined : tokens;
}

/** Reads how layers share the slots. @throws {@link InvalidRequestError} where they cannot be shared so. */
function readSlotShares(
  text: string | undefined,
  geometry: AttentionGeometry,
  context: ContextSettings,
): readonly number[] | undefined {
  if (text === undefined) return undefined;
  const shares = text.split(",").map((part) => parseNumber("slot-shares", part));
  if (
    shares.length !== geometry.layerCount ||
    shares.some((share) => !(share > 0 && Number.isFinite(share)))
  ) {
    throw usageError("--slot-shares does not fit the model", {
      got: text,
      expected: `${geometry.layerCount} numbers above 0, one a layer`,
    });
  }
  const budgets = shareSlots(shares, context.slotTokens, mostSlotTokens(geometry, context));
  applyBudgets(geometry, context, budgets, {
    what: "--slot-shares",
    remedy: "Leave it out.",
  });
  return shares;
}

async function prepare({ base, values, seed, runtime, signal }: GateRequest): Promise<GateTraining> {
  const { family, config, weights } = base;
  const { maxPositions } = config.geometry;
  const { rank: rankText, slots, length, kernel } = values;
  const kernelTokens = kernel === undefined ? 1 : parseWhole("kernel", kernel, 1);
  const weighsQueries = values["weigh-queries"] === true;
  const scoreKernel = readScoreKernel(values["score-kernel"]);
  const rank = rankText === undefined ? 32 : parseWhole("rank", rankText, 1, mostRank);
  const slotTokens =
    slots === undefined ? Math.min(128, Math.ceil(maxPositions / 8)) : parseWhole("slots", slots, 1);
  const lengthTokens =
    length === undefined ? Math.min(maxPositions, mostTokensByDefault) : parseWhole("length", length, 2);
  const contexts = chooseContexts(values, maxPositions, slotTokens);
  const [context] = contexts;
  const slotShares = readSlotShares(values["slot-shares"], config.geometry, context);
  const tensors = drawInitialRetention(config.geometry, rank, seed);
  const objective = await createRetentionObjective(
    {
      ...{ family, config, base: weights, trained: tensors, rank, runtime, contexts },
      ...{ lengthTokens, kernelTokens, weighsQueries },
    },
    signal,
  );
  return {
    design: {
      variant: "plus",
      slotShares,
      retentionRank: rank,
      scoreKernel,
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
      ...(scoreKernel !== undefined && { scoreKernel }),
      ...(slotShares && { slotShares: [...slotShares] }),
    },
  };
}

/** Learns which tokens to keep. */
export const retentionRecipe: GateRecipe = {
  variants: ["plus"],
  defaults: { steps: 400, tokensPerStep: 4096, learningRate: 3e-3 },
  takes: ["slots", "length", "kernel", "score-kernel", "slot-shares", "weigh-queries"],
  whyNot: { "bptt-depth": "what it trains is computed from one run of the base, behind no state" },
  memoryRemedy: "Choose a smaller --length.",
  prepare,
};
