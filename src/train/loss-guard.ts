/**
 * The guard against losses that are no numbers: such a step is skipped, and a run of them ends the training.
 */

import { InvalidRequestError } from "../errors.ts";

/** Counts skipped steps; plain data, saved with a checkpoint. */
export interface SkippedSteps {
  /** Since the last step that was taken. */
  readonly inARow: number;
  readonly total: number;
}

/** Is the count before the first step. */
export const noSkippedSteps: SkippedSteps = { inARow: 0, total: 0 };

/** Says what is to be done with a step. */
export interface GuardedStep {
  readonly action: "take" | "skip";
  readonly skipped: SkippedSteps;
}

/**
 * Decides about a step by its loss and the norm of its gradients.
 * @param limit - skipped steps in a row at which training ends, from 1.
 * @throws {@link InvalidRequestError} at the limit.
 */
export function guardStep(
  loss: number,
  gradientNorm: number,
  skipped: SkippedSteps,
  limit: number,
): GuardedStep {
  if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) {
    return { action: "take", skipped: { inARow: 0, total: skipped.total } };
  }
  const inARow = skipped.inARow + 1;
  if (inARow >= limit) {
    throw new InvalidRequestError({
      where: "training",
      what: `the loss or its gradients were no numbers ${inARow} steps in a row`,
      got: `loss ${loss}, gradient norm ${gradientNorm}`,
      expected: "finite numbers",
      remedy: "Begin anew with a lower learning rate or a longer warm-up.",
    });
  }
  return { action: "skip", skipped: { inARow, total: skipped.total + 1 } };
}
