/**
 * Gradients of control flow.
 */

import type { ControlAttributes } from "../../graph/graph.ts";
import type { GradientRules } from "../gradient-rule.ts";

/** Gives the gradient rule of each control operator. */
export const controlGradients: GradientRules<ControlAttributes> = {
  If: { reason: "a branch is chosen when the graph runs: specialise the graph first" },
};
