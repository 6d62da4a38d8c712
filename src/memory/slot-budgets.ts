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
 * Shares `slotTokens` a layer among layers: one slot each, and of the rest as the shares say. A layer that would have
 * more than `mostTokens` has so many, and the others share what it leaves.
 * @param shares - positive, one a layer; only how they relate counts.
 * @param mostTokens - at least `slotTokens`; by default all there are.
 * @returns B_l: whole numbers, at least 1, that add up to `slotTokens` a layer.
 */
export function shareSlots(
  shares: readonly number[],
  slotTokens: number,
  mostTokens: number = shares.length * slotTokens,
): readonly number[] {
  const total = shares.length * slotTokens;
  // As parts of the largest, so that no sum of them is too large a number.
  const largest = Math.max(...shares);
  const full = new Set<number>();
  for (;;) {
    const free = shares.map((share, layer) => (full.has(layer) ? 0 : share / largest));
    const sum = free.reduce((all, share) => all + share, 0);
    const left = total - full.size * mostTokens - (shares.length - full.size);
    const exact = free.map((share, layer) => (full.has(layer) ? mostTokens : 1 + (left * share) / sum));
    const over = [...exact.keys()].filter((layer) => (exact[layer] ?? 0) > mostTokens);
    if (over.length === 0) return roundBudgets(exact, total);
    for (const layer of over) full.add(layer);
  }
}

/** Returns the most slots that a layer of the model can have beside sinks, window and segment. */
export function mostSlotTokens({ maxPositions }: AttentionGeometry, context: ContextSettings): number {
  return maxPositions - localCapacityTokens({ ...context, slotTokens: 0 });
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
