/**
 * What a recipe makes of an adapter to begin with, or of none: the design with its new parts, and which of its tensors
 * are trained.
 */

import { type AdapterDesign, type LinearMemoryDesign, mostRank } from "../memory/adapter.ts";
import type { AttentionGeometry } from "../memory/geometry.ts";
import { drawInitialGates } from "../train/initial-gates.ts";
import { drawInitialFeatures } from "../train/initial-memory.ts";
import { drawInitialSlotBias, drawInitialWriteGate } from "../train/initial-networks.ts";
import { isMemoryWriteTensor } from "../train/memory-write-gradient.ts";
import type { WeightTensors } from "../train/weight-tensors.ts";
import { parseNumber, usageError } from "./arguments.ts";
import type { GateValues } from "./gate-options.ts";
import type { GateRequest } from "./gate-recipe.ts";
import type { InitialAdapter } from "./initial-adapter.ts";
import { parseWhole } from "./training-options.ts";

/** Is a part of an adapter that can be asked for. */
export type AdapterPart = "slot-bias" | "linear-memory";

/** Says what a recipe can train. */
export interface Trainable {
  readonly parts: readonly AdapterPart[];
  /** Whether it trains how tokens are written into a linear memory, too: features of keys, and the write gate. */
  readonly writes: boolean;
}

/** Says how new parts begin. */
interface NewParts {
  readonly biasRank: number;
  readonly gateRank: number;
  readonly gateBias: number;
  /** Dphi of learned features; those of the paper where it is left out. */
  readonly featureCount?: number;
  /** Where there is to be a gate of what is written. */
  readonly writeGateRank?: number;
}

/** Reads how new parts begin. @throws {@link InvalidRequestError} */
export function readNewParts(values: GateValues): NewParts {
  const { rank, "gate-bias": bias, features, "write-gate": hasWriteGate } = values;
  const given = rank === undefined ? undefined : parseWhole("rank", rank, 1, mostRank);
  const gateBias = bias === undefined ? -4 : parseNumber("gate-bias", bias);
  const gateRank = given ?? 16;
  return {
    ...{ biasRank: given ?? 8, gateRank, gateBias },
    ...(features !== undefined && { featureCount: parseWhole("features", features, 1, mostRank) }),
    ...(hasWriteGate && { writeGateRank: gateRank }),
  };
}

const newMemory = ({ gateRank, featureCount, writeGateRank }: NewParts): LinearMemoryDesign => ({
  readGateRank: gateRank,
  fusion: "convex",
  writeGateRank,
  featureCount,
});

/** Adds the parts that were asked for to a design of `plus`, and says which are to be trained. */
function extendPlus(
  design: Extract<AdapterDesign, { variant: "plus" }>,
  values: GateValues,
  news: NewParts,
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
  const isNewMemory = design.linearMemory === undefined && parts.includes("linear-memory");
  if (!isNewMemory && (values.features !== undefined || values["write-gate"])) {
    throw usageError("--features and --write-gate say how a new linear memory begins", {
      expected: "--linear-memory, and an adapter that has none yet",
    });
  }
  return {
    design: {
      ...design,
      slotBiasRank: design.slotBiasRank ?? (parts.includes("slot-bias") ? news.biasRank : undefined),
      linearMemory: design.linearMemory ?? (isNewMemory ? newMemory(news) : undefined),
    },
    parts,
  };
}

/** Tells which part a tensor belongs to; undefined for those that are never trained here. */
export const partOf = (tensor: string): AdapterPart | undefined => {
  if (tensor.includes(".slot_bias.")) return "slot-bias";
  return /\.(read_gate|write_gate|feature_map)\./.test(tensor) ? "linear-memory" : undefined;
};

/** Is an adapter with the parts of it that are trained. */
export interface AdapterBeginning {
  readonly design: AdapterDesign;
  readonly frozen: WeightTensors;
  readonly trained: WeightTensors;
  /** Whether all that is trained is new, so that training begins at the frozen model. */
  readonly isNew: boolean;
}

/** Draws all tensors of a new linear memory. */
function drawLinearMemory(geometry: AttentionGeometry, news: NewParts, seed: number): WeightTensors {
  const { gateRank: rank, gateBias: bias, featureCount, writeGateRank } = news;
  return new Map([
    ...drawInitialGates(geometry, { rank, seed, bias }),
    ...(featureCount === undefined ? [] : drawInitialFeatures(geometry, featureCount, seed)),
    ...(writeGateRank === undefined ? [] : drawInitialWriteGate(geometry, writeGateRank, seed)),
  ]);
}

/**
 * Chooses what is trained.
 * @param trainable - what the recipe can train.
 * @throws {@link InvalidRequestError} when options and adapter do not fit each other, or nothing is left to train.
 */
export function beginAdapter(
  initial: InitialAdapter | undefined,
  { base, values, seed }: GateRequest,
  trainable: Trainable,
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
  const ofPlus = ["slot-bias", "linear-memory", "features", "write-gate"] as const;
  const [refused] = isPlus ? [] : ofPlus.filter((option) => values[option]);
  if (refused !== undefined) throw usageError(`--${refused} is of variant plus`, { got: variant });
  const { design, parts } =
    initial?.design.variant === "plus"
      ? extendPlus(initial.design, values, news, trainable.parts)
      : {
          design: initial?.design ?? {
            variant: "paper" as const,
            linearMemory: newMemory(news),
          },
          parts: ["linear-memory" as const],
        };
  const given = initial?.tensors ?? new Map();
  const has = (part: AdapterPart): boolean => [...given.keys()].some((name) => partOf(name) === part);
  const missing = parts.filter((part) => !has(part));
  const all: WeightTensors = new Map([
    ...given,
    ...(missing.includes("slot-bias") ? drawInitialSlotBias(geometry, news.biasRank, seed) : []),
    ...(missing.includes("linear-memory") ? drawLinearMemory(geometry, news, seed) : []),
  ]);
  const isTrained = (name: string): boolean => {
    const part = partOf(name);
    return part !== undefined && parts.includes(part) && (trainable.writes || !isMemoryWriteTensor(name));
  };
  return {
    design,
    frozen: new Map([...all].filter(([name]) => !isTrained(name))),
    trained: new Map([...all].filter(([name]) => isTrained(name))),
    isNew: missing.length === parts.length,
  };
}
