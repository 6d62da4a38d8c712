/**
 * The policies with retained slots: B tokens a layer and key/value head stay exact, chosen at each commit.
 *
 * `plus` chooses by a trained retention score, and what leaves may go into a linear memory. `keydiff` chooses by
 * KeyDiff (Park et al., arXiv 2504.15364), which nothing has to be trained for, and forgets what leaves; so do those
 * that choose by the attention that tokens receive (h2o.ts, snapkv.ts).
 * Learned scores of what to keep: Locret (arXiv 2410.01805), TRIM-KV (arXiv 2512.03324).
 */

import { InvalidModelError, InvalidRequestError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import { WeightReader } from "../graph/weights.ts";
import { type Adapter, designOf, type LinearMemoryDesign } from "./adapter.ts";
import {
  type AttentionGeometry,
  type ContextSettings,
  localCapacityTokens,
  memoryLayers,
} from "./geometry.ts";
import { movedLayers } from "./kept-keys.ts";
import { KeySums, writeKeyDifference } from "./key-difference.ts";
import { createLayeredSlotPolicy } from "./layered-slots.ts";
import { featureWeightName, makeLearnedFeatures } from "./learned-features.ts";
import { writeElu1Features } from "./linear-memory.ts";
import { localSwitches } from "./local-feeds.ts";
import { beginPlusAttention } from "./plus-attention.ts";
import type { AttentionWriter, MemoryPolicy, PolicyName } from "./policy.ts";
import { type AttentionScoring, beginReceivedAttention } from "./received-attention.ts";
import { beginLocalAttention, beginWithAdapter } from "./segmented-policies.ts";
import { commitCountAt, memorySwitch } from "./segmented-state.ts";
import { applyBudgets, mostSlotTokens, shareSlots } from "./slot-budgets.ts";
import { buildSlotCommit, type KeyMaps, type SlotMemory } from "./slot-commit.ts";
import { hasGatedPath, numbersDType, type SlotDesign, SlotState, tokenNumbersName } from "./slot-state.ts";
import { type ArraySize, countArrayBytes } from "./state-arrays.ts";
import { rowsOfNetworks, type TokenNetwork, TokenNetworksWriter } from "./token-networks.ts";
import { countNumbers } from "./token-numbers.ts";

/** Is what gives the new tokens their numbers. */
interface NumberSource {
  note(layer: number, inputs: { readonly key: Value; readonly hidden: Value }): void;
  /** Gives the numbers `[N, numbers, T]`, and what else the state takes in. */
  finish(): { readonly numbers: Value; readonly others: readonly Value[] };
}

/** Adds to a writer that every token gets its numbers. */
function withNumbers(
  b: GraphBuilder,
  geometry: AttentionGeometry,
  writer: AttentionWriter,
  source: NumberSource,
): AttentionWriter {
  const withSlots = new Set(memoryLayers(geometry));
  return {
    positions: writer.positions,
    attend(layer, inputs) {
      if (withSlots.has(layer)) source.note(layer, inputs);
      return writer.attend(layer, inputs);
    },
    finish() {
      const { numbers, others } = source.finish();
      return [...writer.finish(), b.named(tokenNumbersName, numbers), ...others];
    },
  };
}

/** Lists the arrays of a state whose cache holds so many tokens. */
function arraySizesOf(
  { geometry, context, ...design }: SlotDesign,
  usedTokens: number,
): readonly ArraySize[] {
  const { layerCount: L, keyValueHeadCount: K, headSize: D } = geometry;
  const N = memoryLayers(geometry).length;
  const features = design.memory?.featureCount ?? 0;
  const keptRows = movedLayers(geometry, context).reduce((sum, { rows }) => sum + rows, 0);
  const [float32, float64] = ["float32" as const, "float64" as const];
  const sizes: readonly ArraySize[] = [
    { name: "keys", length: L * K * usedTokens * D, dtype: float32 },
    { name: "values", length: L * K * usedTokens * D, dtype: float32 },
    { name: "kept_keys", length: keptRows * K * D, dtype: float32 },
    {
      name: "token_numbers",
      length: N * countNumbers(design.numbers, K) * usedTokens,
      dtype: numbersDType(design),
    },
    {
      name: "gate_sums",
      length: design.memory === undefined ? 0 : N * geometry.queryHeadCount,
      dtype: float64,
    },
  ];
  const sums = [{ name: "key_sums", length: KeySums.lengthFor(geometry), dtype: float64 }];
  const memory = [
    { name: "memory_matrix", length: N * K * features * D, dtype: float32 },
    { name: "memory_normalizer", length: N * K * features, dtype: float32 },
  ];
  return [
    ...sizes,
    ...(design.createKeySums === undefined ? [] : sums),
    ...(design.memory === undefined ? [] : memory),
  ];
}

function createSlotPolicy(
  name: PolicyName,
  design: SlotDesign,
  beginAttention: MemoryPolicy["beginAttention"],
): MemoryPolicy {
  const { geometry, context, memory: linearMemory } = design;
  const isGated = hasGatedPath(design);
  const usedAt = (length: number): number => length - commitCountAt(context, length) * context.segmentTokens;
  const bytes = countArrayBytes(arraySizesOf(design, localCapacityTokens(context)));
  return {
    name,
    maxLengthTokens: Number.POSITIVE_INFINITY,
    stateBytesAt: () => bytes,
    beginAttention,
    switches: (tokenCount, path) => ({ ...localSwitches(tokenCount), ...(isGated && memorySwitch(path)) }),
    buildCommitGraph: () => buildSlotCommit(geometry, context, linearMemory),
    createState: (memory) => SlotState.create(design, memory),
    arraySizes: (lengthTokens) => arraySizesOf(design, usedAt(lengthTokens)),
    restoreState: (lengthTokens, arrays, memory) =>
      SlotState.restore(design, { lengthTokens, usedTokens: usedAt(lengthTokens) }, arrays, memory),
  };
}

function optionalNetwork(
  kind: TokenNetwork["kind"],
  name: string,
  rank: number | undefined,
  end: TokenNetwork["end"],
): readonly TokenNetwork[] {
  return rank === undefined ? [] : [{ kind, name, rank, end }];
}

function slotMemoryOf(
  geometry: AttentionGeometry,
  adapter: Adapter,
  { featureCount }: LinearMemoryDesign,
): SlotMemory {
  if (featureCount === undefined)
    return { featureCount: geometry.headSize, beginKeyMaps: () => () => writeElu1Features };
  const beginKeyMaps = (): KeyMaps => {
    const weights = new WeightReader(`adapter ${adapter.name}`, adapter.tensors);
    return (layer) => makeLearnedFeatures(geometry, weights, layer, "key", featureCount);
  };
  return { featureCount, beginKeyMaps };
}

/** Adds to a writer that every token gets the numbers of an adapter's networks. */
function withNetworks(
  b: GraphBuilder,
  geometry: AttentionGeometry,
  writer: AttentionWriter,
  weights: WeightReader,
  networks: readonly TokenNetwork[],
): AttentionWriter {
  const source = new TokenNetworksWriter(b, geometry, weights, networks);
  return withNumbers(b, geometry, writer, {
    note: (layer, { hidden }) => source.note(layer, hidden),
    finish: () => ({ numbers: source.finish(), others: [] }),
  });
}

/** Gives layers the slots that an adapter says. @throws as {@link applyBudgets} does. */
function shareAmongLayers(
  geometry: AttentionGeometry,
  context: ContextSettings,
  { name }: Adapter,
  slotShares: readonly number[],
): AttentionGeometry {
  if (slotShares.length !== geometry.layerCount) {
    throw new InvalidModelError({
      where: `adapter ${name}`,
      what: "field slot_shares: the model has another number of layers",
      got: `${slotShares.length} numbers`,
      expected: String(geometry.layerCount),
      remedy: "Is this the adapter of another model?",
    });
  }
  const budgets = shareSlots(slotShares, context.slotTokens, mostSlotTokens(geometry, context));
  return applyBudgets(geometry, context, budgets, {
    what: `the adapter ${name}`,
    remedy: "Train one without slot shares.",
  });
}

/**
 * Creates the policy of trained slots.
 * @throws {@link InvalidRequestError} for an adapter of another variant, or when nothing would be remembered.
 */
export function createPlusPolicy(
  geometry: AttentionGeometry,
  context: ContextSettings,
  adapter: Adapter,
): MemoryPolicy {
  const { retentionRank, scoreKernel, slotBiasRank, slotShares, linearMemory } = designOf(adapter, "plus");
  if (linearMemory === undefined && context.slotTokens === 0) {
    throw new InvalidRequestError({
      where: "context.slotTokens",
      what: `the adapter ${adapter.name} has no linear memory, so that without slots nothing would be remembered`,
      got: 0,
      expected: "at least 1",
      remedy: 'Choose policy "streaming" to remember nothing.',
    });
  }
  const networks: readonly TokenNetwork[] = [
    { kind: "retention", name: "retention", rank: retentionRank, end: "plain" },
    ...optionalNetwork("slot-bias", "slot_bias", slotBiasRank, "per-query-head"),
    ...optionalNetwork("write-share", "write_gate", linearMemory?.writeGateRank, "sigmoid"),
  ];
  const numbers = rowsOfNetworks(networks, geometry);
  if (slotShares !== undefined) {
    const shared = shareAmongLayers(geometry, context, adapter, slotShares);
    const layered = { geometry: shared, context, numbers, scoreKernel, scoring: undefined };
    return createLayeredSlotPolicy("plus", layered, (b) =>
      beginWithAdapter(adapter, (weights) => {
        const hasBias = slotBiasRank !== undefined;
        const writer = hasBias
          ? beginPlusAttention(b, shared, weights, { hasSlotBias: true, linearMemory: undefined })
          : beginLocalAttention(b, shared);
        return withNetworks(b, shared, writer, weights, networks);
      }),
    );
  }
  const design: SlotDesign = {
    geometry,
    context,
    numbers,
    scoreKernel,
    memory: linearMemory && slotMemoryOf(geometry, adapter, linearMemory),
    hasLogSum: linearMemory?.fusion === "shared-normalizer",
    createKeySums: undefined,
    attentionScoring: undefined,
  };
  const ofKeys =
    linearMemory?.featureCount === undefined
      ? []
      : memoryLayers(geometry).map((layer) => featureWeightName(layer, "key"));
  return createSlotPolicy("plus", design, (b) =>
    beginWithAdapter(
      adapter,
      (weights) => {
        const hasSlotBias = slotBiasRank !== undefined;
        const writer =
          hasSlotBias || linearMemory !== undefined
            ? beginPlusAttention(b, geometry, weights, { hasSlotBias, linearMemory })
            : beginLocalAttention(b, geometry);
        return withNetworks(b, geometry, writer, weights, networks);
      },
      ofKeys,
    ),
  );
}

/** Refuses to remember nothing. */
export function assertSlots(name: PolicyName, { slotTokens }: ContextSettings): void {
  if (slotTokens > 0) return;
  throw new InvalidRequestError({
    where: "context.slotTokens",
    what: `${name} remembers in slots alone`,
    got: 0,
    expected: "at least 1",
    remedy: 'Choose a number of slots, or policy "streaming".',
  });
}

/** Describes slots with a score and nothing besides. */
function scoredAlone(
  geometry: AttentionGeometry,
  context: ContextSettings,
): Omit<SlotDesign, "createKeySums" | "attentionScoring"> {
  const numbers: SlotDesign["numbers"] = [{ kind: "retention", rowsPerHead: 1 }];
  return { geometry, context, numbers, memory: undefined, hasLogSum: false };
}

/**
 * Creates the policy of slots that nothing was trained for.
 * @throws {@link InvalidRequestError} without slots.
 */
export function createKeyDifferencePolicy(
  geometry: AttentionGeometry,
  context: ContextSettings,
): MemoryPolicy {
  assertSlots("keydiff", context);
  const design: SlotDesign = {
    ...scoredAlone(geometry, context),
    createKeySums: () => new KeySums(geometry),
    attentionScoring: undefined,
  };
  return createSlotPolicy("keydiff", design, (b) => {
    const keys: Value[] = [];
    return withNumbers(b, geometry, beginLocalAttention(b, geometry), {
      note: (_, { key }) => keys.push(key),
      finish() {
        const { scores, newSums } = writeKeyDifference(b, geometry, keys);
        return { numbers: scores, others: [newSums] };
      },
    });
  });
}

/**
 * Creates a policy of slots that are chosen by the attention that tokens receive.
 * @throws {@link InvalidRequestError} without slots.
 */
export function createAttentionPolicy(
  name: PolicyName,
  geometry: AttentionGeometry,
  context: ContextSettings,
  attentionScoring: AttentionScoring,
): MemoryPolicy {
  assertSlots(name, context);
  const design: SlotDesign = {
    ...scoredAlone(geometry, context),
    createKeySums: undefined,
    attentionScoring,
  };
  return createSlotPolicy(name, design, (b) => beginReceivedAttention(b, geometry));
}
