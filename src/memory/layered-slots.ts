/**
 * Makes policies whose layers keep different numbers of slots (layered-design.ts).
 */

import type { TensorMemory } from "../runtime/tensor-memory.ts";
import { movedLayers } from "./kept-keys.ts";
import { buildLayeredCommit } from "./layered-commit.ts";
import {
  groupCapacityTokens,
  groupLayers,
  hasSlotBias,
  heldTokens,
  type LayeredDesign,
} from "./layered-design.ts";
import { LayeredSlotState } from "./layered-state.ts";
import { localSwitches } from "./local-feeds.ts";
import type { MemoryPolicy, PolicyName } from "./policy.ts";
import { commitCountAt, memorySwitch } from "./segmented-state.ts";
import { type ArraySize, countArrayBytes } from "./state-arrays.ts";
import { countNumbers } from "./token-numbers.ts";

/** Counts the elements of a state's arrays, whose layers hold so many tokens each, group by group. */
function arraySizesOf(
  { geometry, context, numbers }: LayeredDesign,
  heldByGroup: readonly number[],
): readonly ArraySize[] {
  const { keyValueHeadCount: K, headSize: D } = geometry;
  const groups = groupLayers(geometry);
  const held = groups.reduce((sum, { layers }, index) => sum + layers.length * (heldByGroup[index] ?? 0), 0);
  const kept = movedLayers(geometry, context).reduce((sum, { rows }) => sum + rows, 0);
  return [
    { name: "keys", length: held * K * D, dtype: "float32" },
    { name: "values", length: held * K * D, dtype: "float32" },
    { name: "kept_keys", length: kept * K * D, dtype: "float32" },
    { name: "token_numbers", length: held * countNumbers(numbers, K), dtype: "float32" },
  ];
}

/** Creates a policy whose layers keep as many slots as their kind says. */
export function createLayeredSlotPolicy(
  name: PolicyName,
  design: LayeredDesign,
  beginAttention: MemoryPolicy["beginAttention"],
): MemoryPolicy {
  const { geometry, context } = design;
  const groups = groupLayers(geometry);
  const full = groups.map((group) => groupCapacityTokens(context, group, 1));
  const bytes = countArrayBytes(arraySizesOf(design, full));
  return {
    name,
    maxLengthTokens: Number.POSITIVE_INFINITY,
    stateBytesAt: () => bytes,
    beginAttention,
    switches: (tokenCount, path) => ({
      ...localSwitches(tokenCount),
      ...(hasSlotBias(design) && memorySwitch(path)),
    }),
    buildCommitGraph: () => buildLayeredCommit(geometry, context),
    createState: (memory) => LayeredSlotState.create(design, memory),
    arraySizes(lengthTokens) {
      const commits = commitCountAt(context, lengthTokens);
      return arraySizesOf(
        design,
        groups.map((group) => heldTokens(context, group, commits, lengthTokens)),
      );
    },
    restoreState(length, arrays, memory?: TensorMemory) {
      const commits = commitCountAt(context, length);
      return LayeredSlotState.restore(design, { length, commits }, arrays, memory);
    },
  };
}
