/**
 * The recipes that learn from full attention: `distill`, the bias of slots, gates and the linear memory from what it
 * predicts and from documents longer than that; `attention-transfer`, gates from what it gives in each layer.
 */

import { localCapacityTokens } from "../memory/geometry.ts";
import { createPolicy } from "../memory/policies.ts";
import { assertClosedGates, startTolerance } from "../train/closed-gates.ts";
import { createDistillObjective } from "../train/distill-objective.ts";
import type { SegmentObjective } from "../train/segment-objective.ts";
import type { StudentOptions } from "../train/student.ts";
import { createTransferObjective } from "../train/transfer-objective.ts";
import { beginAdapter, partOf, readNewParts, type Trainable } from "./adapter-parts.ts";
import { usageError } from "./arguments.ts";
import { chooseContexts } from "./gate-context.ts";
import type { GateRecipe, GateRequest, GateTraining } from "./gate-recipe.ts";
import { adapterInTraining, readInitialAdapter } from "./initial-adapter.ts";
import { parseWhole } from "./training-options.ts";

const mostTokensByDefault = 2048;

/** Is what differs between the recipes. */
interface Lesson {
  readonly trainable: Trainable;
  /** How often the longest documents are as long as one that the teacher reads. */
  readonly longest: number;
  createObjective(student: StudentOptions): Promise<SegmentObjective>;
}

async function prepare(request: GateRequest, lesson: Lesson): Promise<GateTraining> {
  const { base, values, runtime, signal } = request;
  const { family, config, weights } = base;
  const { geometry } = config;
  const { maxPositions } = geometry;
  const initial = values.init === undefined ? undefined : await readInitialAdapter(values.init, signal);
  const { design, frozen, trained, isNew } = beginAdapter(initial, request, lesson.trainable);
  const { slots, length } = values;
  if (design.variant === "paper" && slots !== undefined) throw usageError("--slots is of variant plus");
  const slotTokens = slots === undefined ? (initial?.context.slotTokens ?? 0) : parseWhole("slots", slots, 0);
  const lengthTokens =
    length === undefined ? Math.min(maxPositions, mostTokensByDefault) : parseWhole("length", length, 2);
  const contexts = chooseContexts(values, maxPositions, slotTokens, initial?.context);
  const tensors = new Map([...frozen, ...trained]);
  // Layers learn with as many slots each (docs/adr/0019): that is near enough to how they will share them.
  const alike = design.variant === "plus" ? { ...design, slotShares: undefined } : design;
  const adapter = adapterInTraining(alike, tensors);
  const objective = await lesson.createObjective({
    ...{ family, config, base: weights, frozen, trained, runtime, contexts, lengthTokens },
    makePolicy: (context) => createPolicy(design.variant, { geometry, context, adapter }),
  });
  const [context] = contexts;
  return {
    ...{ design, context, tensors, objective },
    documents: {
      longestTokens: lesson.longest * lengthTokens,
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
      checkStart: (source, aborted) => assertClosedGates(objective, source, startTolerance, aborted),
    }),
  };
}

const shared = {
  variants: ["plus", "paper"],
  memoryRemedy: "Choose a smaller --length, --segment or --window, or --fixed-context.",
} as const;

const distillation: Lesson = {
  trainable: { parts: ["slot-bias", "linear-memory"], writes: true },
  longest: 3,
  createObjective: (student) =>
    createDistillObjective({ ...student, longTokens: distillation.longest * student.lengthTokens }),
};

/** Learns from what full attention predicts. */
export const distillRecipe: GateRecipe = {
  ...shared,
  defaults: { steps: 100, tokensPerStep: 4096, learningRate: 5e-3 },
  takes: ["gate-bias", "slots", "length", "init", "slot-bias", "linear-memory", "features", "write-gate"],
  whyNot: { "bptt-depth": "it detaches the state between segments" },
  prepare: (request) => prepare(request, distillation),
};

const transfer: Lesson = {
  trainable: { parts: ["linear-memory"], writes: false },
  longest: 1,
  createObjective: createTransferObjective,
};

/** Learns from what full attention gives in each layer. */
export const attentionTransferRecipe: GateRecipe = {
  ...shared,
  defaults: { steps: 200, tokensPerStep: 4096, learningRate: 5e-3 },
  takes: ["gate-bias", "slots", "length", "init", "linear-memory"],
  whyNot: {
    "bptt-depth": "the state holds the teacher's keys and values, which nothing that is trained changes",
  },
  prepare: (request) => prepare(request, transfer),
};
