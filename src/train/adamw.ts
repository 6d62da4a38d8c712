/**
 * AdamW: Adam with decoupled weight decay (arXiv 1711.05101, algorithm 2; Adam is arXiv 1412.6980).
 *
 *     m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
 *     p = p - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon) - rate decay p
 *
 * Parameters and moments are float32 and updated in place; each element is computed in float64.
 */

import { InvalidRequestError } from "../errors.ts";
import { assertAlike, type NamedArrays, zerosLike } from "./parameters.ts";

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

/** Chooses how parameters move. */
export interface AdamWOptions {
  /** In [0, 1); default 0.9. */
  readonly beta1?: number;
  /** In [0, 1); default 0.999. */
  readonly beta2?: number;
  /** Positive; default 1e-8. */
  readonly epsilon?: number;
  /** Default: {@link standardGroups} without decay. */
  readonly groups?: readonly ParameterGroup[];
}

/** Is what AdamW remembers between steps. */
export interface AdamWState {
  /** Updates so far. */
  readonly step: number;
  /** m, by parameter. */
  readonly first: NamedArrays;
  /** v, by parameter. */
  readonly second: NamedArrays;
}

/** Is an optimizer: what it remembers comes from `init` and goes through `update`. */
export interface AdamW {
  /** Creates the state before the first step. */
  init(parameters: NamedArrays): AdamWState;
  /**
   * Takes one step, in place: parameters and the arrays of the state change.
   * @param learningRate - of this step, before a group's factor.
   * @returns the state with its step counted; its arrays are those that were given.
   * @throws {@link InvalidRequestError} when names or lengths differ.
   */
  update(
    parameters: NamedArrays,
    gradients: NamedArrays,
    state: AdamWState,
    learningRate: number,
  ): AdamWState;
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

function checkNumber(name: string, got: number, fits: boolean, expected: string): void {
  if (!fits) throw new InvalidRequestError({ where: `AdamW: ${name}`, what: "out of range", got, expected });
}

function checkOptions(
  beta1: number,
  beta2: number,
  epsilon: number,
  groups: readonly ParameterGroup[],
): void {
  checkNumber("beta1", beta1, beta1 >= 0 && beta1 < 1, "a number in [0, 1)");
  checkNumber("beta2", beta2, beta2 >= 0 && beta2 < 1, "a number in [0, 1)");
  checkNumber("epsilon", epsilon, epsilon > 0 && Number.isFinite(epsilon), "a number > 0");
  for (const { name, weightDecay, rateScale = 1 } of groups) {
    checkNumber(
      `weight decay ${name}`,
      weightDecay,
      weightDecay >= 0 && weightDecay < 1,
      "a number in [0, 1)",
    );
    checkNumber(`rate of ${name}`, rateScale, rateScale >= 0 && Number.isFinite(rateScale), "a number >= 0");
  }
}

interface Step {
  readonly rate: number;
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** 1 - b1^t and 1 - b2^t. */
  readonly correction1: number;
  readonly correction2: number;
}

function stepParameter(
  parameter: Float32Array,
  gradient: Float32Array,
  first: Float32Array,
  second: Float32Array,
  step: Step,
): void {
  const { rate, weightDecay, beta1, beta2, epsilon, correction1, correction2 } = step;
  for (let index = 0; index < parameter.length; index++) {
    const value = parameter[index] ?? 0;
    const slope = gradient[index] ?? 0;
    const m = beta1 * (first[index] ?? 0) + (1 - beta1) * slope;
    const v = beta2 * (second[index] ?? 0) + (1 - beta2) * slope * slope;
    first[index] = m;
    second[index] = v;
    const move = m / correction1 / (Math.sqrt(v / correction2) + epsilon);
    parameter[index] = value - rate * move - rate * weightDecay * value;
  }
}

/**
 * Makes an AdamW.
 * @throws {@link InvalidRequestError} naming the option that is out of range.
 */
export function makeAdamW(options: AdamWOptions = {}): AdamW {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, groups = standardGroups(0) } = options;
  checkOptions(beta1, beta2, epsilon, groups);
  const groupOf = (parameter: string): ParameterGroup => {
    const group = groups.find(({ matches }) => matches(parameter));
    if (group !== undefined) return group;
    throw new InvalidRequestError({
      where: `AdamW: ${parameter}`,
      what: "no group takes the parameter",
      got: groups.map(({ name }) => name),
      remedy: "Let the last group match every name.",
    });
  };
  return {
    init: (parameters) => ({ step: 0, first: zerosLike(parameters), second: zerosLike(parameters) }),
    update(parameters, gradients, state, learningRate) {
      checkNumber(
        "learning rate",
        learningRate,
        learningRate >= 0 && Number.isFinite(learningRate),
        "a number >= 0",
      );
      assertAlike("AdamW: gradients", parameters, gradients);
      assertAlike("AdamW: first moments", parameters, state.first);
      assertAlike("AdamW: second moments", parameters, state.second);
      const step = state.step + 1;
      const corrections = { correction1: 1 - beta1 ** step, correction2: 1 - beta2 ** step };
      for (const [name, parameter] of parameters) {
        const { weightDecay, rateScale = 1 } = groupOf(name);
        const [gradient, first, second] = [gradients, state.first, state.second].map((set) => set.get(name));
        if (gradient === undefined || first === undefined || second === undefined) continue;
        const rate = learningRate * rateScale;
        stepParameter(parameter, gradient, first, second, {
          rate,
          weightDecay,
          beta1,
          beta2,
          epsilon,
          ...corrections,
        });
      }
      return { ...state, step };
    },
  };
}
