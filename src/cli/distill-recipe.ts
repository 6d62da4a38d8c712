/**
 * The recipe `distill`: the bias of slots, gates and the linear memory, learned from what full attention predicts and
 * from documents longer than that.
 */

import type { AdapterDesign, LinearMemoryDesign } from "../memory/adapter.ts";
import { localCapacityTokens } from "../memory/geometry.ts";
import { createPolicy } from "../memory/policies.ts";
import { assertClosedGates, startToleranceNats } from "../train/closed-gates.ts";
import { createDistillObjective } from "../train/distill-objective.ts";
import { drawInitialGates } from "../train/initial-gates.ts";
import { drawInitialSlotBias } from "../train/initial-networks.ts";
import type { WeightTensors } from "../train/weight-tensors.ts";
import { parseNumber, usageError } from "./arguments.ts";
import { chooseContexts } from "./gate-context.ts";
import type { GateValues } from "./gate-options.ts";
import type { GateRecipe, GateRequest, GateTraining } from "./gate-recipe.ts";
import { adapterInTraining, type InitialAdapter, readInitialAdapter } from "./initial-adapter.ts";
import { parseWhole } from "./training-options.ts";

/** How often a long document is as long as one that the teacher reads. */
const longFactor = 3;
const mostTokensByDefault = 2048;

/** Is a part of an adapter that can be trained. */
type Part = "slot-bias" | "linear-memory";

/** Says how new parts begin. */
interface NewParts {
  readonly biasRank: number;
  readonly gateRank: number;
  readonly gateBias: number;
}

function readNewParts({ rank, "gate-bias": bias }: GateValues): NewParts {
  const given = rank === undefined ? undefined : parseWhole("rank", rank, 1);
  const gateBias = bias === undefined ? -4 : parseNumber("gate-bias", bias);
  return { biasRank: given ?? 8, gateRank: given ?? 16, gateBias };
}

const newMemory = (readGateRank: number): LinearMemoryDesign => ({
  readGateRank,
  fusion: "convex",
  writeGateRank: undefined,
  featureCount: undefined,
});

/** Adds the parts that were asked for to a design of `plus`, and says which are to be trained. */
function extendPlus(
  design: Extract<AdapterDesign, { variant: "plus" }>,
  values: GateValues,
  { biasRank, gateRank }: NewParts,
): { readonly design: AdapterDesign; readonly parts: readonly Part[] } {
  const asked: Part[] = [];
  if (values["slot-bias"]) asked.push("slot-bias");
  if (values["linear-memory"]) asked.push("linear-memory");
  const known: Part[] = [];
  if (design.slotBiasRank !== undefined) known.push("slot-bias");
  if (design.linearMemory !== undefined) known.push("linear-memory");
  const parts = asked.length > 0 ? asked : known;
  if (parts.length === 0)
    throw usageError("there is nothing to train", { expected: "--slot-bias or --linear-memory, or both" });
  return {
    design: {
      ...design,
      slotBiasRank: design.slotBiasRank ?? (parts.includes("slot-bias") ? biasRank : undefined),
      linearMemory:
        design.linearMemory ?? (parts.includes("linear-memory") ? newMemory(gateRank) : undefined),
    },
    parts,
  };
}

const partOf = (tensor: string): Part | undefined => {
  if (tensor.includes(".slot_bias.")) return "slot-bias";
  return tensor.includes(".read_gate.") ? "linear-memory" : undefined;
};

/** Is an adapter with the parts of it that are trained. */
interface Beginning {
  readonly design: AdapterDesign;
  readonly frozen: WeightTensors;
  readonly trained: WeightTensors;
  /** Whether all that is trained is new, so that training begins at the frozen model. */
  readonly isNew: boolean;
}

function begin(initial: InitialAdapter | undefined, { base, values, seed }: GateRequest): Beginning {
  const { geometry } = base.config;
  const news = readNewParts(values);
  const variant = values.variant ?? initial?.design.variant ?? "paper";
  if (variant === "infini")
    throw usageError("distill does not train this variant", { got: variant, expected: "plus or paper" });
  if (initial !== undefined && initial.design.variant !== variant)
    throw usageError("--init is of another variant", { got: initial.design.variant, expected: variant });
  if (initial === undefined && variant === "plus")
    throw usageError("--init is missing", { expected: "an adapter that --recipe retention made" });
  const isPlus = initial?.design.variant === "plus";
  if (!isPlus && (values["slot-bias"] || values["linear-memory"]))
    throw usageError("--slot-bias and --linear-memory are of variant plus", { got: variant });
  const { design, parts } =
    initial?.design.variant === "plus"
      ? extendPlus(initial.design, values, news)
      : {
          design: initial?.design ?? {
            variant: "paper" as const,
            linearMemory: newMemory(news.gateRank),
          },
          parts: ["linear-memory" as const],
        };
  const given = initial?.tensors ?? new Map();
  const has = (part: Part): boolean => [...given.keys()].some((name) => partOf(name) === part);
  const missing = parts.filter((part) => !has(part));
  const all: WeightTensors = new Map([
    ...given,
    ...(missing.includes("slot-bias") ? drawInitialSlotBias(geometry, news.biasRank, seed) : []),
    ...(missing.includes("linear-memory")
      ? drawInitialGates(geometry, { rank: news.gateRank, seed, bias: news.gateBias })
      : []),
  ]);
  const isTrained = (name: string): boolean => {
    const part = partOf(name);
    return part !== undefined && parts.includes(part);
  };
  return {
    design,
    frozen: new Map([...all].filter(([name]) => !isTrained(name))),
    trained: new Map([...all].filter(([name]) => isTrained(name))),
    isNew: missing.length === parts.length,
  };
}

async function prepare(request: GateRequest): Promise<GateTraining> {
  const { base, values, runtime, signal } = request;
  const { family, config, weights } = base;
  const { geometry } = config;
  const { maxPositions } = geometry;
  const initial = values.init === undefined ? undefined : await readInitialAdapter(values.init, signal);
  const { design, frozen, trained, isNew } = begin(initial, request);
  const { slots, length } = values;
  if (design.variant === "paper" && slots !== undefined) throw usageError("--slots is of variant plus");
  const slotTokens = slots === undefined ? (initial?.context.slotTokens ?? 0) : parseWhole("slots", slots, 0);
  const lengthTokens =
    length === undefined ? Math.min(maxPositions, mostTokensByDefault) : parseWhole("length", length, 2);
  const contexts = chooseContexts(values, maxPositions, slotTokens, initial?.context);
  const tensors = new Map([...frozen, ...trained]);
  const adapter = adapterInTraining(design, tensors);
  const objective = await createDistillObjective({
    ...{ family, config, base: weights, frozen, trained, runtime, contexts, lengthTokens },
    longTokens: longFactor * lengthTokens,
    makePolicy: (context) => createPolicy(design.variant, { geometry, context, adapter }),
  });
  const [context] = contexts;
  return {
    ...{ design, context, tensors, objective },
    documents: {
      longestTokens: longFactor * lengthTokens,
      minTokens: localCapacityTokens(context) + 2,
      weighsAll: true,
      recallWeights: { answer: 10 },
    },
    identity: {
      contexts: contexts.map((one) => ({ ...one })),
      parts: [...new Set([...trained.keys()].flatMap((name) => partOf(name) ?? []))],
      init: initial?.digest ?? null,
      ...{ ...readNewParts(values), lengthTokens },
    },
    ...(isNew && {
      checkStart: (source, aborted) => assertClosedGates(objective, source, startToleranceNats, aborted),
    }),
  };
}

/** Learns from full attention. */
export const distillRecipe: GateRecipe = {
  variants: ["plus", "paper"],
  defaults: { steps: 100, tokensPerStep: 4096, learningRate: 5e-3 },
  takes: ["gate-bias", "slots", "length", "init", "slot-bias", "linear-memory"],
  memoryRemedy: "Choose a smaller --length, --segment or --window, or --fixed-context.",
  prepare,
};
