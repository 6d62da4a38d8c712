/**
 * The gradient rules of all operators: the families in one table, mirroring those of src/graph/ops.
 */

import type { OpName } from "../graph/graph.ts";
import type { GradientRule } from "./gradient-rule.ts";
import { attentionGradients } from "./rules/attention.ts";
import { controlGradients } from "./rules/control.ts";
import { elementwiseGradients } from "./rules/elementwise.ts";
import { linearGradients } from "./rules/linear.ts";
import { movementGradients } from "./rules/movement.ts";
import { quantizedGradients } from "./rules/quantized.ts";
import { reductionGradients } from "./rules/reduction.ts";

/** Gives the gradient rule of every operator. */
export const gradientRules: { readonly [Op in OpName]: GradientRule<Op> } = {
  ...elementwiseGradients,
  ...linearGradients,
  ...movementGradients,
  ...reductionGradients,
  ...attentionGradients,
  ...quantizedGradients,
  ...controlGradients,
};
