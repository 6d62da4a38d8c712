/**
 * What training loops ask of an optimizer, and what optimizers agree on: groups of parameters, and a state of two
 * moments that checkpoints hold.
 */

import { InvalidRequestError } from "../errors.ts";
import type { NamedArrays } from "./parameters.ts";

/** Is what an optimizer remembers between steps. */
export interface OptimizerState {
  /** Updates so far. */
  readonly step: number;
  /** First moments, by parameter: means or sums of gradients. */
  readonly first: NamedArrays;
  /** Second moments, by parameter: means of squared gradients; zeros where an optimizer has none. */
  readonly second: NamedArrays;
}

/** Is an optimizer: what it remembers comes from `init` and goes through `update`. */
export interface Optimizer {
  /** Creates the state before the first step. */
  init(parameters: NamedArrays): OptimizerState;
  /**
   * Takes one step, in place: parameters and the arrays of the state change. One at a time.
   * @param learningRate - of this step, before a group's factor.
   * @returns the state with its step counted; its arrays are those that were given.
   * @throws {@link InvalidRequestError} when names or lengths differ.
   */
  update(
    parameters: NamedArrays,
    gradients: NamedArrays,
    state: OptimizerState,
    learningRate: number,
  ): Promise<OptimizerState>;
}

/** Says what is particular to some of the parameters. */
export interface ParameterGroup {
  /** Names the group in reports. */
  readonly name: string;
  /** Tells which parameters belong to it; the first group that takes one has it. */
  readonly matches: (parameter: string) => boolean;
  /** Is multiplied by the learning rate and the parameter at each step. */
  readonly weightDecay: number;
  /** Factor on the learning rate; default 1. */
  readonly rateScale?: number;
}

/** Tells whether pulling a parameter towards zero would do harm; for a gate, zero is half open. */
function isSpared(parameter: string): boolean {
  // An adapter's tensors begin with `layers.`, a base model's never do: its gate_proj is a matrix like others.
  if (parameter.startsWith("layers.")) return true;
  return parameter.endsWith(".bias") || parameter.split(".").some((part) => /norm|^ln_/.test(part));
}

/**
 * Returns the usual two groups: a base model's matrices and embeddings with decay; gates and all else of an adapter,
 * norms and biases without.
 * @param weightDecay - of the first group.
 */
export function standardGroups(weightDecay: number): readonly ParameterGroup[] {
  return [
    { name: "without decay", matches: isSpared, weightDecay: 0 },
    { name: "with decay", matches: () => true, weightDecay },
  ];
}

/**
 * Checks a setting of an optimizer.
 * @param where - names the optimizer and the setting.
 * @throws {@link InvalidRequestError} when it does not fit.
 */
export function checkSetting(where: string, got: number, fits: boolean, expected: string): void {
  if (!fits) throw new InvalidRequestError({ where, what: "out of range", got, expected });
}

/** Checks the rate of a step. @throws {@link InvalidRequestError} */
export function checkLearningRate(optimizer: string, rate: number): void {
  checkSetting(`${optimizer}: learning rate`, rate, rate >= 0 && Number.isFinite(rate), "a number >= 0");
}

/** Checks decays and rates of groups. @throws {@link InvalidRequestError} naming the group. */
export function checkGroups(optimizer: string, groups: readonly ParameterGroup[]): void {
  for (const { name, weightDecay, rateScale = 1 } of groups) {
    const fitsDecay = weightDecay >= 0 && weightDecay < 1;
    checkSetting(`${optimizer}: weight decay ${name}`, weightDecay, fitsDecay, "a number in [0, 1)");
    const fitsRate = rateScale >= 0 && Number.isFinite(rateScale);
    checkSetting(`${optimizer}: rate of ${name}`, rateScale, fitsRate, "a number >= 0");
  }
}

/** Finds the group of a parameter. @throws {@link InvalidRequestError} when none takes it. */
export function groupOf(
  optimizer: string,
  groups: readonly ParameterGroup[],
  parameter: string,
): ParameterGroup {
  const group = groups.find(({ matches }) => matches(parameter));
  if (group !== undefined) return group;
  throw new InvalidRequestError({
    where: `${optimizer}: ${parameter}`,
    what: "no group takes the parameter",
    got: groups.map(({ name }) => name),
    remedy: "Let the last group match every name.",
  });
}
