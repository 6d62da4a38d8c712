/**
 * What training minimises: objectives give the loss of a document and its gradients, and know no optimizer.
 */

import type { TrainingDocument } from "./data/document-source.ts";
import type { NamedArrays } from "./parameters.ts";

/** Is the loss of one document. */
export interface DocumentLoss {
  /** Sum of the losses of its tokens, each times its weight; nats for likelihoods. */
  readonly loss: number;
  /** Sum of the weights. */
  readonly weight: number;
  /** Tokens that were read for it. */
  readonly tokenCount: number;
}

/** Minimises something over documents. */
export interface Objective extends AsyncDisposable {
  /** What is trained; the optimizer changes the arrays in place, and the next document sees it. */
  readonly parameters: NamedArrays;
  /** Returns the length of the documents of a step, tokens; the same for the same step. */
  lengthTokens(step: number): number;
  /**
   * Computes the loss of a document and adds its gradient, undivided, to the sums.
   * @param document of the length that {@link lengthTokens} gives.
   * @param sums arrays named and sized as the parameters.
   * @throws the signal's reason on abort; the sums are then worth nothing.
   */
  accumulate(
    document: TrainingDocument,
    sums: NamedArrays,
    step: number,
    signal?: AbortSignal,
  ): Promise<DocumentLoss>;
  /**
   * Does the same for all documents of a step at once, where that is faster; it begins before it first waits.
   * @returns a loss for each.
   * @throws as `accumulate` does.
   */
  accumulateAll?(
    documents: readonly TrainingDocument[],
    sums: NamedArrays,
    step: number,
    signal?: AbortSignal,
  ): Promise<readonly DocumentLoss[]>;
}
