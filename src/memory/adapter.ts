/**
 * Adapters: the trained memory-gating networks, in a folder as PEFT users expect.
 *
 * `adapter_config.json` says what they are, `adapter_model.safetensors` holds the tensors. Whether they fit a
 * checkpoint shows when the policy writes its graphs.
 */

import { z } from "zod";
import { InvalidModelError, InvalidRequestError, UnsupportedError } from "../errors.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { parseSafetensorsHeader, type TensorEntry } from "../files/safetensors.ts";
import type { ContextSettings } from "./geometry.ts";
import type { UpdateRule } from "./linear-memory.ts";

const size = z.number().int().nonnegative();
/** The largest inner width and the most learned features that adapters have. */
export const mostRank = 65536;

/** The most tokens that the score of one is pooled over. */
export const mostKernel = 255;

const rank = z.number().int().positive().max(mostRank);

const configSchema = z.looseObject({
  peft_type: z.literal("EDGEINFINITE"),
  variant: z.string(),
  base_model_name_or_path: z.string().optional(),
  read_gate_rank: rank.optional(),
  retention_rank: rank.default(32),
  score_kernel: z
    .number()
    .int()
    .positive()
    .max(mostKernel)
    .refine((size) => size % 2 === 1, "is even")
    .optional(),
  slot_shares: z.array(z.number().positive()).nonempty().optional(),
  slot_bias: z.boolean().default(false),
  slot_bias_rank: rank.default(8),
  linear_memory: z.boolean().default(true),
  write_gate: z.boolean().default(false),
  write_gate_rank: rank.default(16),
  feature_count: rank.optional(),
  feature_map: z.string().default("elu1"),
  fusion: z.string().default("convex"),
  update_rule: z.string().default("linear"),
  sink_tokens: size.optional(),
  slot_tokens: size.optional(),
  window_tokens: size.optional(),
  segment_tokens: size.optional(),
});

/** Describes a trained linear memory. */
export interface LinearMemoryDesign {
  /** R of the gate that weighs it. */
  readonly readGateRank: number;
  /** R of the gate that weighs what is written; undefined when all is written whole. */
  readonly writeGateRank: number | undefined;
  /** Dphi of a learned feature map, exp(W x); undefined for elu(x) + 1. */
  readonly featureCount: number | undefined;
  /** How it joins: by a gate alone, or as part of the softmax's denominator that the gate scales. */
  readonly fusion: "convex" | "shared-normalizer";
}

/** Says which networks an adapter has, and their ranks (R). */
export type AdapterDesign =
  | { readonly variant: "paper"; readonly linearMemory: LinearMemoryDesign }
  /** A number a query head is its gate. */
  | { readonly variant: "infini"; readonly linearMemory: { readonly updateRule: UpdateRule } }
  | {
      readonly variant: "plus";
      /** R of the retention score. */
      readonly retentionRank: number;
      /** Tokens, odd, whose mean score is the score of the middle one; undefined when each has its own. */
      readonly scoreKernel?: number | undefined;
      /** R of the bias of slots; undefined when there is none. */
      readonly slotBiasRank: number | undefined;
      /** How layers share the slots, positive numbers one a layer; undefined when all have as many. */
      readonly slotShares?: readonly number[] | undefined;
      /** Undefined when nothing is remembered but in slots. */
      readonly linearMemory: LinearMemoryDesign | undefined;
    };

/** Is an opened adapter. */
export interface Adapter {
  readonly name: string;
  /** The checkpoint it was trained for, as its maker wrote it. */
  readonly baseModel: string | undefined;
  readonly design: AdapterDesign;
  /** The settings it was trained with, as far as it says. */
  readonly context: Partial<ContextSettings>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  close(): Promise<void>;
}

type Config = z.infer<typeof configSchema>;

function parseConfig(where: string, json: unknown): Config {
  const parsed = configSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new InvalidModelError({
      where,
      what: `field ${issue?.path.join(".") || "(root)"}: ${issue?.message ?? "does not fit"}`,
      remedy: "Is this an EdgeInfinite adapter?",
      cause: parsed.error,
    });
  }
  return parsed.data;
}

function refuseUnknown(where: string, field: string, got: string, known: readonly string[]): void {
  if (known.includes(got)) return;
  throw new UnsupportedError({
    where,
    what: `this version does not run ${field}`,
    got,
    expected: known.join(" or "),
  });
}

function missing(where: string, field: string, expected: string): never {
  throw new InvalidModelError({ where, what: `field ${field}: is missing`, expected });
}

function readLinearMemory(where: string, config: Config): LinearMemoryDesign {
  const { read_gate_rank, write_gate, write_gate_rank, feature_count } = config;
  const isLearned = config.feature_map === "learned";
  return {
    readGateRank: read_gate_rank ?? missing(where, "read_gate_rank", "the inner width of the memory's gate"),
    writeGateRank: write_gate ? write_gate_rank : undefined,
    featureCount: isLearned
      ? (feature_count ?? missing(where, "feature_count", "the number of learned features"))
      : undefined,
    fusion: config.fusion === "convex" ? "convex" : "shared-normalizer",
  };
}

function readSlotShares(
  where: string,
  { slot_shares, linear_memory }: Config,
): readonly number[] | undefined {
  if (slot_shares === undefined || !linear_memory) return slot_shares;
  throw new UnsupportedError({
    where,
    what: "this version does not run slot_shares beside a linear memory",
    got: "linear_memory: true",
    expected: "linear_memory: false",
  });
}

const variants: {
  readonly [Name in AdapterDesign["variant"]]: {
    readonly featureMaps: readonly string[];
    readonly fusions: readonly string[];
    readonly updateRules: readonly string[];
    readonly read: (where: string, config: Config) => AdapterDesign;
  };
} = {
  paper: {
    featureMaps: ["elu1"],
    fusions: ["convex"],
    updateRules: ["linear"],
    read: (where, config) => ({
      variant: "paper",
      linearMemory: readLinearMemory(where, { ...config, write_gate: false }),
    }),
  },
  infini: {
    featureMaps: ["elu1"],
    fusions: ["convex"],
    updateRules: ["linear", "delta"],
    read: (_, config) => ({
      variant: "infini",
      linearMemory: { updateRule: config.update_rule === "delta" ? "delta" : "linear" },
    }),
  },
  plus: {
    featureMaps: ["elu1", "learned"],
    fusions: ["convex", "shared-normalizer"],
    updateRules: ["linear"],
    read: (where, config) => ({
      variant: "plus",
      slotShares: readSlotShares(where, config),
      retentionRank: config.retention_rank,
      scoreKernel: config.score_kernel === 1 ? undefined : config.score_kernel,
      slotBiasRank: config.slot_bias ? config.slot_bias_rank : undefined,
      linearMemory: config.linear_memory ? readLinearMemory(where, config) : undefined,
    }),
  },
};

function readDesign(where: string, config: Config): AdapterDesign {
  refuseUnknown(where, "variant", config.variant, Object.keys(variants));
  const { featureMaps, fusions, updateRules, read } = variants[config.variant as AdapterDesign["variant"]];
  refuseUnknown(where, "feature_map", config.feature_map, featureMaps);
  refuseUnknown(where, "fusion", config.fusion, fusions);
  refuseUnknown(where, "update_rule", config.update_rule, updateRules);
  return read(where, config);
}

function trainedContext(config: Config): Partial<ContextSettings> {
  return {
    ...(config.sink_tokens !== undefined && { sinkTokens: config.sink_tokens }),
    ...(config.slot_tokens !== undefined && { slotTokens: config.slot_tokens }),
    ...(config.window_tokens !== undefined && { windowTokens: config.window_tokens }),
    ...(config.segment_tokens !== undefined && { segmentTokens: config.segment_tokens }),
  };
}

/** Writes a design as the fields of `adapter_config.json` that {@link openAdapter} reads it from. */
export function describeDesign(design: AdapterDesign): Record<string, unknown> {
  if (design.variant === "infini")
    return { variant: "infini", feature_map: "elu1", update_rule: design.linearMemory.updateRule };
  const { variant, linearMemory } = design;
  const memory = linearMemory && {
    read_gate_rank: linearMemory.readGateRank,
    feature_map: linearMemory.featureCount === undefined ? "elu1" : "learned",
    ...(linearMemory.featureCount !== undefined && { feature_count: linearMemory.featureCount }),
    fusion: linearMemory.fusion,
  };
  if (design.variant === "paper") return { variant, ...memory };
  const { retentionRank, scoreKernel, slotBiasRank, slotShares } = design;
  return {
    variant,
    retention_rank: retentionRank,
    ...(scoreKernel !== undefined && { score_kernel: scoreKernel }),
    ...(slotShares !== undefined && { slot_shares: slotShares }),
    slot_bias: slotBiasRank !== undefined,
    ...(slotBiasRank !== undefined && { slot_bias_rank: slotBiasRank }),
    linear_memory: linearMemory !== undefined,
    ...memory,
    ...(linearMemory && { write_gate: linearMemory.writeGateRank !== undefined }),
    ...(linearMemory?.writeGateRank !== undefined && { write_gate_rank: linearMemory.writeGateRank }),
  };
}

/**
 * Returns the design of an adapter of that variant.
 * @throws {@link InvalidRequestError} when it is of another one.
 */
export function designOf<Variant extends AdapterDesign["variant"]>(
  { name, design }: Adapter,
  variant: Variant,
): Extract<AdapterDesign, { readonly variant: Variant }> {
  if (design.variant === variant) return design as Extract<AdapterDesign, { readonly variant: Variant }>;
  throw new InvalidRequestError({
    where: "policy",
    what: `the adapter ${name} was not trained for it`,
    got: variant,
    expected: design.variant,
    remedy: "Leave the policy out, or pass another adapter.",
  });
}

/**
 * Opens an adapter; its tensors are not read yet.
 * @throws {@link FileError} when a file is missing.
 * @throws {@link InvalidModelError} when a file is damaged.
 * @throws {@link UnsupportedError} for a variant that this version does not run.
 */
export async function openAdapter(folder: ModelFolder, signal?: AbortSignal): Promise<Adapter> {
  const where = `${folder.name}/adapter_config.json`;
  const config = parseConfig(where, await folder.readJson("adapter_config.json", signal));
  const design = readDesign(where, config);
  const source = await folder.open("adapter_model.safetensors", signal);
  const { tensors } = await parseSafetensorsHeader(source, signal);
  return {
    name: folder.name,
    baseModel: config.base_model_name_or_path,
    design,
    context: trainedContext(config),
    tensors,
    close: () => source.close(),
  };
}
