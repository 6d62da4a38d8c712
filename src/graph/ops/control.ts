/**
 * Control flow: one of two branches.
 */

import { ShapeError } from "../../errors.ts";
import { formatShape, sameShape } from "../../tensor/shape.ts";
import type { ControlAttributes } from "../graph.ts";
import { assertDType, assertRank, inputAt, type ShapeRule } from "../shape-rule.ts";

/** Gives the shape rule of each control operator. */
export const controlShapes: { readonly [Op in keyof ControlAttributes]: ShapeRule<ControlAttributes[Op]> } = {
  If: (inputs, { thenBranch, elseBranch }) => {
    const condition = inputAt("If", inputs, 0);
    assertDType("If", condition, "bool");
    assertRank("If", condition.shape, 0);
    const { outputs } = thenBranch;
    const others = elseBranch.outputs;
    const agree =
      outputs.length === others.length &&
      outputs.every((output, index) => {
        const other = others[index];
        return other !== undefined && other.dtype === output.dtype && sameShape(other.shape, output.shape);
      });
    if (!agree) {
      throw new ShapeError({
        where: "If",
        what: "the branches' outputs differ",
        got: others.map((value) => `${value.dtype} ${formatShape(value.shape)}`),
        expected: outputs.map((value) => `${value.dtype} ${formatShape(value.shape)}`).join(", "),
      });
    }
    return outputs.map(({ dtype, shape }) => ({ dtype, shape }));
  },
};
