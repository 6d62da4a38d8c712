/**
 * The check before the first step: shut gates must leave the frozen model as it is, or training starts from ruins.
 */

import { InvalidRequestError } from "../errors.ts";
import type { DocumentSource } from "./data/document-source.ts";
import { zerosLike } from "./parameters.ts";
import type { SegmentObjective } from "./segment-objective.ts";

/** Is the loss of a token at the start, in the objective's unit. */
export interface StartLoss {
  readonly loss: number;
  /** Without a memory. */
  readonly frozenLoss: number;
}

/**
 * The most that the loss of a token may differ from the frozen model's where gates begin: nats, or in attention
 * transfer a share of the square of what full attention gives.
 */
export const startTolerance = 0.05;

/** Documents that are tried before giving up on one with a loss past the window. */
const mostTried = 32;

/**
 * Compares the loss of the first document that has one with the frozen model's.
 * @param tolerance - the most that they may differ, a token.
 * @throws {@link InvalidRequestError} when they differ by more, or no document has a loss past the window.
 */
export async function assertClosedGates(
  objective: SegmentObjective,
  source: DocumentSource,
  tolerance: number,
  signal?: AbortSignal,
): Promise<StartLoss> {
  let position = source.start;
  for (let tried = 0; tried < mostTried; tried++) {
    const read = await source.read(position, objective.lengthTokens(0), signal);
    position = read.position;
    const frozen = await objective.measureFrozen(read.document, 0, signal);
    if (frozen.weight === 0) continue;
    const gated = await objective.accumulate(read.document, zerosLike(objective.parameters), 0, signal);
    const [loss, frozenLoss] = [gated.loss / gated.weight, frozen.loss / frozen.weight];
    // Not the other way round: a loss that is no number must not pass.
    if (Math.abs(loss - frozenLoss) <= tolerance) return { loss, frozenLoss };
    throw new InvalidRequestError({
      where: "step 0",
      what: "the gates are not shut: the loss differs from the frozen model's",
      got: `${loss.toFixed(4)} against ${frozenLoss.toFixed(4)}`,
      expected: `at most ${tolerance} apart`,
      remedy: "Begin with a lower --gate-bias.",
    });
  }
  throw new InvalidRequestError({
    where: "training data",
    what: "nothing is to be learned past the window",
    got: `${mostTried} documents without a loss there`,
    expected: "completions or texts that go on behind sinks, window and segment",
    remedy: "Use longer documents, or a smaller --window and --segment.",
  });
}
