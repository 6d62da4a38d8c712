/**
 * AdamW: Adam with decoupled weight decay (arXiv 1711.05101, algorithm 2; Adam is arXiv 1412.6980).
 *
 *     m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
 *     p = p - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon) - rate decay p
 *
 * Parameters and moments are float32 and updated in place; each element is computed in float64.
 */

import {
  checkGroups,
  checkLearningRate,
  checkSetting,
  groupOf,
  type Optimizer,
  type ParameterGroup,
  standardGroups,
} from "./optimizer.ts";
import { assertAlike, zerosLike } from "./parameters.ts";

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

function checkOptions({ beta1, beta2, epsilon, groups }: Required<AdamWOptions>): void {
  checkSetting("AdamW: beta1", beta1, beta1 >= 0 && beta1 < 1, "a number in [0, 1)");
  checkSetting("AdamW: beta2", beta2, beta2 >= 0 && beta2 < 1, "a number in [0, 1)");
  checkSetting("AdamW: epsilon", epsilon, epsilon > 0 && Number.isFinite(epsilon), "a number > 0");
  checkGroups("AdamW", groups);
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
export function makeAdamW(options: AdamWOptions = {}): Optimizer {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, groups = standardGroups(0) } = options;
  checkOptions({ beta1, beta2, epsilon, groups });
  return {
    init: (parameters) => ({ step: 0, first: zerosLike(parameters), second: zerosLike(parameters) }),
    async update(parameters, gradients, state, learningRate) {
      checkLearningRate("AdamW", learningRate);
      assertAlike("AdamW: gradients", parameters, gradients);
      assertAlike("AdamW: first moments", parameters, state.first);
      assertAlike("AdamW: second moments", parameters, state.second);
      const step = state.step + 1;
      const corrections = { correction1: 1 - beta1 ** step, correction2: 1 - beta2 ** step };
      for (const [name, parameter] of parameters) {
        const { weightDecay, rateScale = 1 } = groupOf("AdamW", groups, name);
        const [gradient, first, second] = [gradients, state.first, state.second].map((set) => set.get(name));
        if (gradient === undefined || first === undefined || second === undefined) continue;
        const rate = learningRate * rateScale;
        const settings = { rate, weightDecay, beta1, beta2, epsilon, ...corrections };
        stepParameter(parameter, gradient, first, second, settings);
      }
      return { ...state, step };
    },
  };
}
