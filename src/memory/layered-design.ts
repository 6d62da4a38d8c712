/**
 * Layers that keep different numbers of slots: which of them go together, and what each holds when.
 *
 * Layers with as many slots are a group with a cache of its own; local tokens are the same in all. Until the first
 * commit every layer holds the same tokens, S + B + W + T at most. That commit brings each group to its own size,
 * S + B_l + W + T: the budgets B_l add up to B a layer, and so do the bytes, before and after. A commit considers the
 * slots that a layer holds and the T oldest local tokens, at first the B + T oldest, and keeps up to B_l of them.
 */

import {
  type AttentionGeometry,
  type ContextSettings,
  kindOfLayer,
  localCapacityTokens,
} from "./geometry.ts";
import { placesKindOf } from "./local-attention.ts";
import type { AttentionScoring } from "./received-attention.ts";
import type { NumberRows } from "./token-numbers.ts";

/** Says what states of a policy are made of. */
export interface LayeredDesign {
  /** Each kind of layers has its own `slotTokens`. */
  readonly geometry: AttentionGeometry;
  /** B is the mean of the layers' slots. */
  readonly context: ContextSettings;
  /** What every token carries. */
  readonly numbers: readonly NumberRows[];
  /** k: new candidates are scored by the mean of so many tokens around them; undefined when each by its own. */
  readonly scoreKernel?: number | undefined;
  /**
   * How the attention that tokens receive scores them, not cumulative: what was received is forgotten at a commit.
   * Undefined when they are scored as they are read.
   */
  readonly scoring: AttentionScoring | undefined;
}

/** Tells whether slots have a bias, so that attention is another one once they are filled. */
export function hasSlotBias({ numbers }: Pick<LayeredDesign, "numbers">): boolean {
  return numbers.some(({ kind }) => kind === "slot-bias");
}

/** Is the layers that keep as many slots. */
export interface LayerGroup {
  /** The kind that they are named by. */
  readonly kind: number;
  /** Ascending. */
  readonly layers: readonly number[];
  /** B_l. */
  readonly slotTokens: number;
}

/** Lists the groups, by their first layers. */
export function groupLayers(geometry: AttentionGeometry): readonly LayerGroup[] {
  const kinds = geometry.layerKinds.map((_, layer) => placesKindOf(geometry, layer));
  return [...new Set(kinds)].map((kind) => ({
    kind,
    layers: kinds.flatMap((other, layer) => (other === kind ? [layer] : [])),
    slotTokens: kindOfLayer(geometry, kinds.indexOf(kind)).slotTokens ?? 0,
  }));
}

/** Returns the most tokens that a layer of a group ever holds, before the first commit or after it. */
export function groupCapacityTokens(
  context: ContextSettings,
  { slotTokens }: LayerGroup,
  commitCount: number,
): number {
  return localCapacityTokens(commitCount === 0 ? context : { ...context, slotTokens });
}

/** Returns the slots that a layer of a group holds after so many commits. */
export function heldSlotTokens(
  { slotTokens: B, segmentTokens: T }: ContextSettings,
  { slotTokens }: LayerGroup,
  commitCount: number,
): number {
  return commitCount === 0 ? 0 : Math.min(slotTokens, B + commitCount * T);
}

/** Returns the tokens that a layer of a group holds of a stream. */
export function heldTokens(
  context: ContextSettings,
  group: LayerGroup,
  commitCount: number,
  lengthTokens: number,
): number {
  if (commitCount === 0) return lengthTokens;
  const { slotTokens: B, segmentTokens: T } = context;
  return lengthTokens - B - commitCount * T + heldSlotTokens(context, group, commitCount);
}

/** Is what a commit does in one group: rows count sinks too. */
export interface GroupStep {
  readonly group: LayerGroup;
  /** Sinks and the places behind them that are considered besides the T oldest local tokens. */
  readonly heldRows: number;
  /** Sinks and slots afterwards. */
  readonly keptRows: number;
}

/** Returns what the commit after `commitCount` others does in a group. */
export function stepOf(context: ContextSettings, group: LayerGroup, commitCount: number): GroupStep {
  const { sinkTokens: S, slotTokens: B } = context;
  const held = commitCount === 0 ? B : heldSlotTokens(context, group, commitCount);
  return {
    group,
    heldRows: S + held,
    keptRows: S + heldSlotTokens(context, group, commitCount + 1),
  };
}
