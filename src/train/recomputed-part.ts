/**
 * Parts of an adapter that make numbers of a token when it is read, used many segments later: the bias of a slot, what
 * is written into the linear memory. A state is detached between segments, so that the graph of a segment tells but the
 * gradient of the numbers; a part computes them again from what the token was read as, and hands the gradient on to its
 * weights. Weights do not change within a document, so this is the gradient of numbers made in the segment.
 */

import type { ContextSettings } from "../memory/geometry.ts";
import type { NamedArrays } from "./parameters.ts";
import type { RunOutputs } from "./read-segments.ts";
import type { TokenOutput } from "./token-outputs.ts";

/** Follows one document. */
export interface PartFollower {
  /** Takes in what a run gave for its tokens. */
  onRun(outputs: RunOutputs, count: number): void;
  /** Takes in what a commit keeps, `[N, K, B]`: indices into the candidates of each layer and head. */
  onCommit(chosen: Int32Array): void;
  /** Takes in what a run gave that learns, the gradients of {@link RecomputedPart.wanted} among it. */
  onLearned(outputs: RunOutputs): Promise<void>;
  /** Ends the document. */
  finish(): Promise<void>;
}

/** Is such a part of an adapter. */
export interface RecomputedPart extends AsyncDisposable {
  /** Tells whether a trained tensor is one of its own. */
  owns(tensor: string): boolean;
  /** What it has to know of tokens. */
  readonly tokenOutputs: readonly TokenOutput[];
  /** Names the inputs of a segment's graph whose gradients it has to know. */
  readonly wanted: readonly string[];
  /** Begins a document. @param sums take in the gradients of its tensors. */
  follow(context: ContextSettings, sums: NamedArrays): PartFollower;
}
