/**
 * What a recipe makes of an adapter to begin with, or of none: the design with its new parts, and which of its tensors
 * are trained.
 */

import type { AdapterDesign, LinearMemoryDesign } from "../memory/adapter.ts";
import { drawInitialGates } from "../train/initial-gates.ts";
import { drawInitialSlotBias } from "../train/initial-networks.ts";
import type { WeightTensors } from "../train/weight-tensors.ts";
import { parseNumber, usageError } from "./arguments.ts";
import type { GateValues } from "./gate-options.ts";
import type { GateRequest } from "./gate-recipe.ts";
import type { InitialAdapter } from "./initial-adapter.ts";
import { parseWhole } from "./training-options.ts";

/** Is a part of an adapter that can be trained. */
export type AdapterPart = "slot-bias" | "linear-memory";

/** Says how new parts begin. */
interface NewParts {
  readonly biasRank: number;
  readonly gateRank: number;
  readonly gateBias: number;
}

/** Reads how new parts begin. @throws {@link InvalidRequestError} */
export function readNewParts({ rank, "gate-bias": bias }: GateValues): NewParts {
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
  trainable: readonly AdapterPart[],
): { readonly design: AdapterDesign; readonly parts: readonly AdapterPart[] } {
  const asked = trainable.filter((part) => values[part]);
  const isKnown: { readonly [Part in AdapterPart]: boolean } = {
    "slot-bias": design.slotBiasRank !== undefined,
    "linear-memory": design.linearMemory !== undefined,
  };
  const parts = asked.length > 0 ? asked : trainable.filter((part) => isKnown[part]);
  if (parts.length === 0) {
    const expected = trainable.map((part) => `--${part}`).join(" or ");
    throw usageError("there is nothing to train", { expected });
  }
  if (design.slotShares !== undefined && parts.includes("linear-memory")) {
    throw usageError("--linear-memory does not go with an adapter whose layers share slots unequally", {
      expected: "an adapter that was trained without --slot-shares",
    });
  }
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

/** Tells which part a tensor belongs to; undefined for those that are never trained here. */
export const partOf = (tensor: string): AdapterPart | undefined => {
  if (tensor.includes(".slot_bias.")) return "slot-bias";
  return tensor.includes(".read_gate.") ? "linear-memory" : undefined;
};

/** Is an adapter with the parts of it that are trained. */
export interface AdapterBeginning {
  readonly design: AdapterDesign;
  readonly frozen: WeightTensors;
  readonly trained: WeightTensors;
  /** Whether all that is trained is new, so that training begins at the frozen model. */
  readonly isNew: boolean;
}

/**
 * Chooses what is trained.
 * @param trainable - the parts that the recipe can train.
 * @throws {@link InvalidRequestError} when options and adapter do not fit each other, or nothing is left to train.
 */
export function beginAdapter(
  initial: InitialAdapter | undefined,
  { base, values, seed }: GateRequest,
  trainable: readonly AdapterPart[],
): AdapterBeginning {
  const { geometry } = base.config;
  const news = readNewParts(values);
  const variant = values.variant ?? initial?.design.variant ?? "paper";
  if (variant === "infini")
    throw usageError("the recipe does not train this variant", { got: variant, expected: "plus or paper" });
  if (initial !== undefined && initial.design.variant !== variant)
    throw usageError("--init is of another variant", { got: initial.design.variant, expected: variant });
  if (initial === undefined && variant === "plus")
    throw usageError("--init is missing", { expected: "an adapter that --recipe retention made" });
  const isPlus = initial?.design.variant === "plus";
  if (!isPlus && (values["slot-bias"] || values["linear-memory"]))
    throw usageError("--slot-bias and --linear-memory are of variant plus", { got: variant });
  const { design, parts } =
    initial?.design.variant === "plus"
      ? extendPlus(initial.design, values, news, trainable)
      : {
          design: initial?.design ?? {
            variant: "paper" as const,
            linearMemory: newMemory(news.gateRank),
          },
          parts: ["linear-memory" as const],
        };
  const given = initial?.tensors ?? new Map();
  const has = (part: AdapterPart): boolean => [...given.keys()].some((name) => partOf(name) === part);
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
