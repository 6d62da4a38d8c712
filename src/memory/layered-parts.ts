/**
 * What a group of layers holds that keep as many slots, and how it is made.
 */

import type { TensorMemory } from "../runtime/tensor-memory.ts";
import { type KeptKeys, type MovedLayer, movedLayers } from "./kept-keys.ts";
import { groupCapacityTokens, type LayeredDesign, type LayerGroup } from "./layered-design.ts";
import { LocalCache } from "./local-cache.ts";
import { TokenNumbers } from "./token-numbers.ts";

/** Is what the layers of a group hold. */
export interface GroupParts {
  readonly group: LayerGroup;
  readonly cache: LocalCache;
  /** From the first commit on. */
  readonly kept: KeptKeys;
  /** What every token carries, or has received since the last commit. */
  readonly numbers: TokenNumbers;
}

/** Lists the layers of a group whose keys are rotated anew at a commit. */
export const movedLayersOf = (
  { geometry, context }: LayeredDesign,
  { layers }: LayerGroup,
): readonly MovedLayer[] => movedLayers(geometry, context).filter(({ layer }) => layers.includes(layer));

/** Makes the empty cache and numbers of a group, of the size that it has after so many commits. */
export function createSized(
  { geometry, context, numbers: kinds }: LayeredDesign,
  group: LayerGroup,
  commitCount: number,
  memory: TensorMemory,
): Pick<GroupParts, "cache" | "numbers"> {
  const capacityTokens = groupCapacityTokens(context, group, commitCount);
  const settledTokens = capacityTokens - context.segmentTokens;
  const { layers } = group;
  return {
    cache: new LocalCache(geometry, { capacityTokens, settledTokens, layers }, memory),
    numbers: new TokenNumbers({
      layerCount: layers.length,
      headCount: geometry.keyValueHeadCount,
      kinds,
      capacityTokens,
      dtype: "float32",
    }),
  };
}
