/**
 * Layers that share their slots unequally: whole budgets that add up to as many a layer as each would have alike.
 */

import { InvalidRequestError, UnsupportedError } from "../errors.ts";
import {
  type AttentionGeometry,
  type AttentionKind,
  type ContextSettings,
  localCapacityTokens,
  memoryLayers,
} from "./geometry.ts";

/**
 * Rounds budgets to whole numbers with the same sum: down, and what is left to those that it took most from, the first
 * of them where it took as much.
 */
export function roundBudgets(exact: readonly number[], total: number): readonly number[] {
  const whole = exact.map((share) => Math.floor(share));
  let left = total - whole.reduce((sum, share) => sum + share, 0);
  const fractionOf = (layer: number): number => (exact[layer] ?? 0) - (whole[layer] ?? 0);
  for (const layer of [...whole.keys()].sort((a, b) => fractionOf(b) - fractionOf(a) || a - b))
    if (left-- > 0) whole[layer] = (whole[layer] ?? 0) + 1;
  return whole;
}

/**
 * Shares `slotTokens` a layer among layers: one slot each, and of the rest as the shares say.
 * @param shares - positive, one a layer; only how they relate counts.
 * @returns B_l: whole numbers, at least 1, that add up to `slotTokens` a layer.
 */
export function shareSlots(shares: readonly number[], slotTokens: number): readonly number[] {
  const sum = shares.reduce((all, share) => all + share, 0);
  const layerCount = shares.length;
  const exact = shares.map((share) => 1 + ((slotTokens - 1) * layerCount * share) / sum);
  return roundBudgets(exact, layerCount * slotTokens);
}

/** Gives a geometry whose layers are of another kind where they have other budgets. */
function withBudgets(geometry: AttentionGeometry, budgets: readonly number[]): AttentionGeometry {
  const kinds: AttentionKind[] = [];
  const layerKinds = geometry.layerKinds.map((kind, layer) => {
    const slotTokens = budgets[layer] ?? 0;
    const given = geometry.kinds[kind];
    const known = kinds.findIndex(
      (one) => one.slotTokens === slotTokens && one.inverseFrequencies === given?.inverseFrequencies,
    );
    if (known >= 0 || given === undefined) return known;
    return kinds.push({ ...given, slotTokens }) - 1;
  });
  return { ...geometry, kinds, layerKinds };
}

/**
 * Gives every layer its budget.
 * @param what names what shares the slots, such as a policy.
 * @param remedy says what runs instead where some layers attend within a window.
 * @throws {@link InvalidRequestError} where the slots of a layer exceed the trained positions;
 * {@link UnsupportedError} for a model with layers that attend within a window.
 */
export function applyBudgets(
  geometry: AttentionGeometry,
  context: ContextSettings,
  budgets: readonly number[],
  { what, remedy }: { readonly what: string; readonly remedy: string },
): AttentionGeometry {
  if (memoryLayers(geometry).length < geometry.layerCount) {
    throw new UnsupportedError({
      where: "policy",
      what: `${what} shares slots among all layers, and some attend within a window`,
      got: `${memoryLayers(geometry).length} of ${geometry.layerCount} layers that attend to all before`,
      expected: "all",
      remedy,
    });
  }
  const most = Math.max(...budgets);
  const longest = localCapacityTokens({ ...context, slotTokens: most });
  if (longest > geometry.maxPositions) {
    throw new InvalidRequestError({
      where: "context.slotTokens",
      what: `layer ${budgets.indexOf(most)} has ${most} slots of its own: with sinks, window and segment more than the model was trained on`,
      got: longest,
      expected: `at most ${geometry.maxPositions}`,
      remedy: "Choose fewer slots or a smaller window.",
    });
  }
  return withBudgets(geometry, budgets);
}
