/**
 * The shape rules of all operators: the families in one table.
 *
 * Whoever handles every operator (lowering, interpreter, gradient) has a table typed by {@link OpName}, so
 * that an operator without a row does not compile.
 */

import type { OpAttributes, OpName } from "./graph.ts";
import { attentionShapes } from "./ops/attention.ts";
import { controlShapes } from "./ops/control.ts";
import { elementwiseShapes } from "./ops/elementwise.ts";
import { linearShapes } from "./ops/linear.ts";
import { movementShapes } from "./ops/movement.ts";
import { quantizedShapes } from "./ops/quantized.ts";
import { reductionShapes } from "./ops/reduction.ts";
import type { ShapeRule } from "./shape-rule.ts";

/** Gives the shape rule of every operator. */
export const shapeRules: { readonly [Op in OpName]: ShapeRule<OpAttributes[Op]> } = {
  ...elementwiseShapes,
  ...linearShapes,
  ...movementShapes,
  ...reductionShapes,
  ...attentionShapes,
  ...quantizedShapes,
  ...controlShapes,
};
