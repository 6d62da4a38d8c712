/** Cases of the gradients of the elementwise operators. */

import fc from "fast-check";
import type { OpName } from "../../../src/graph/graph.ts";
import type { ElementwiseAttributes } from "../../../src/graph/ops/elementwise.ts";
import { bool } from "../runtime-conformance/example.ts";
import {
  broadcastableTo,
  type GradientCase,
  type GradientCases,
  type GradientExample,
  shapes,
} from "./gradient-case.ts";

type Write = GradientExample["write"];

function one(write: Write, range: readonly [number, number] = [-2, 2]): GradientCase[] {
  const examples = shapes(0, 3).map((shape) => ({ inputs: [shape], range, write }));
  return [{ title: "of ranks 0 to 3", examples }];
}

function two(op: OpName & ("Add" | "Sub" | "Mul" | "Div" | "Max" | "Min")): GradientCase[] {
  const write: Write = (b, x, y) => b.apply(op, [x, y], {});
  const range = [0.5, 2] as const;
  return [
    {
      title: "of shapes that broadcast, either way or both",
      examples: shapes(0, 3).chain((shape) =>
        fc
          .oneof(
            fc.tuple(fc.constant(shape), broadcastableTo(shape)),
            fc.tuple(broadcastableTo(shape), fc.constant(shape)),
            fc.tuple(broadcastableTo(shape), broadcastableTo(shape)),
          )
          .map((inputs) => ({ inputs, range, write })),
      ),
    },
    {
      title: "of one tensor twice",
      examples: shapes(0, 2).map((shape) => ({
        inputs: [shape],
        // An element has no larger one in itself: Max and Min are left as they are.
        write: (b, x) => b.apply(op, [x, b.mul(x, b.scalar(1.5))], {}),
        range,
      })),
    },
  ];
}

/** Cases of the elementwise operators. */
export const elementwiseGradientCases: GradientCases<ElementwiseAttributes> = {
  Identity: one((b, x) => [b.named("z", x)]),
  Add: two("Add"),
  Sub: two("Sub"),
  Mul: two("Mul"),
  Div: two("Div"),
  Max: two("Max"),
  Min: two("Min"),
  Greater: /does not change but in jumps/,
  Neg: one((b, x) => [b.neg(x)]),
  Exp: one((b, x) => [b.exp(x)]),
  Log: one((b, x) => [b.log(x)], [0.5, 2]),
  Sqrt: one((b, x) => [b.sqrt(x)], [0.5, 2]),
  Sigmoid: one((b, x) => [b.sigmoid(x)]),
  Tanh: one((b, x) => [b.tanh(x)]),
  Erf: one((b, x) => [b.erf(x)]),
  Elu: one((b, x) => [b.elu(x), b.elu(x, 0.5)]),
  Gelu: one((b, x) => [b.gelu(x, "none"), b.gelu(x, "tanh")], [-3, 3]),
  Where: [
    {
      title: "of three shapes that broadcast",
      examples: shapes(0, 3).chain((shape) =>
        fc.tuple(broadcastableTo(shape), broadcastableTo(shape)).map((inputs) => ({
          inputs,
          write: (b, x, y) => [
            b.where(b.constant("c", bool([2, ...shape.map(() => 1)], [true, false])), x, y),
          ],
        })),
      ),
    },
  ],
  Cast: one((b, x) => [b.cast(b.mul(b.cast(x, "float64"), b.cast(x, "float64")), "float32")]),
};
