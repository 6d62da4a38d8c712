/**
 * PyramidKV: SnapKV with more slots in the first layers than in the last (Cai et al., arXiv 2406.02069, section 4.2).
 *
 *   k_last = k_total / (beta m),   k_first = 2 k_total / m - k_last,   layers between on a line,   beta = 20
 *
 * k_total is m B here, for m layers and B slots: the layers share what `snapkv` gives each alike, so that a state has
 * the bytes of one of `snapkv`. Budgets are whole, at least one slot, and add up to m B.
 * What is kept of a layer is chosen as SnapKV does it, with what that means in a stream (snapkv.ts). Sinks, window and
 * segment are the same in all layers; the paper's last alpha tokens, kept in every layer, are the window.
 * The paper cuts a prompt once, when it is long enough for every budget. Here the first commit comes when a cache of B
 * slots is full, as under `snapkv`: layers with fewer slots drop the rest then, and layers with more fill theirs, T
 * tokens a commit.
 */

import type { AttentionGeometry, ContextSettings } from "./geometry.ts";
import { createLayeredSlotPolicy } from "./layered-slots.ts";
import type { MemoryPolicy } from "./policy.ts";
import { beginReceivedAttention } from "./received-attention.ts";
import { applyBudgets, roundBudgets } from "./slot-budgets.ts";
import { assertSlots } from "./slot-policies.ts";
import { observationScoring } from "./snapkv.ts";

/** How steep the pyramid is: the last layer has the beta-th part of what each would have alike. */
const beta = 20;

/** Shares slots among layers, the first having most: whole numbers that never rise and add up to all. */
export function pyramidBudgets(layerCount: number, slotTokens: number): readonly number[] {
  if (layerCount === 1) return [slotTokens];
  const last = Math.max(1, slotTokens / beta);
  const step = (2 * (slotTokens - last)) / (layerCount - 1);
  const exact = Array.from({ length: layerCount }, (_, layer) => last + step * (layerCount - 1 - layer));
  return roundBudgets(exact, layerCount * slotTokens);
}

/**
 * Creates the policy that shares slots among layers as a pyramid.
 * @throws {@link InvalidRequestError} without slots, or where those of the first layer exceed the trained positions;
 * {@link UnsupportedError} for a model with layers that attend within a window.
 */
export function createPyramidPolicy(geometry: AttentionGeometry, context: ContextSettings): MemoryPolicy {
  assertSlots("pyramidkv", context);
  const budgets = pyramidBudgets(geometry.layerCount, context.slotTokens);
  const names = { what: "pyramidkv", remedy: 'Choose policy "snapkv".' };
  const shared = applyBudgets(geometry, context, budgets, names);
  return createLayeredSlotPolicy(
    "pyramidkv",
    {
      geometry: shared,
      context,
      numbers: [{ kind: "retention", rowsPerHead: 1 }],
      scoring: observationScoring(context),
    },
    (b) => beginReceivedAttention(b, shared),
  );
}
