/**
 * Cases of the gradients of every operator. The table is typed by the operators' names: one without a row does not
 * compile.
 */

import type { OpAttributes } from "../../../src/graph/graph.ts";
import { attentionGradientCases } from "./attention.ts";
import { elementwiseGradientCases } from "./elementwise.ts";
import type { GradientCases } from "./gradient-case.ts";
import { linearGradientCases } from "./linear.ts";
import { movementGradientCases } from "./movement.ts";
import { quantizedGradientCases } from "./quantized.ts";
import { reductionGradientCases } from "./reduction.ts";

/** Lists the cases of every operator. */
export const gradientCases: GradientCases<OpAttributes> = {
  ...elementwiseGradientCases,
  ...linearGradientCases,
  ...movementGradientCases,
  ...reductionGradientCases,
  ...attentionGradientCases,
  ...quantizedGradientCases,
  If: /specialise the graph first/,
};
