/**
 * Elementwise operators: what each needs and the shapes it gives. Shapes broadcast as in numpy.
 */

import type { DType } from "../../tensor/dtype.ts";
import { broadcastShapes } from "../dim.ts";
import { assertDType, assertSameDType, inputAt, type ShapeRule } from "../shape-rule.ts";

type None = Readonly<Record<string, never>>;

/** Lists the attributes of each elementwise operator. */
export interface ElementwiseAttributes {
  Identity: None;
  Add: None;
  Sub: None;
  Mul: None;
  Div: None;
  Max: None;
  Min: None;
  /** Tells, element by element, whether the first input is the larger one: a bool. */
  Greater: None;
  Neg: None;
  Exp: None;
  Log: None;
  Sqrt: None;
  Sigmoid: None;
  Tanh: None;
  /** `2/sqrt(pi)` times the integral of `e^(-t^2)` from 0 to x. */
  Erf: None;
  Elu: { readonly alpha: number };
  /**
   * `x * P(X <= x)` for a standard normal X (arXiv 1606.08415), by the error function or by
   * `x/2 * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
   */
  Gelu: { readonly approximate: "none" | "tanh" };
  /** Chooses by a bool condition: inputs are condition, value if true, value if false. */
  Where: None;
  Cast: { readonly to: DType };
}

const unary =
  (op: string): ShapeRule<unknown> =>
  (inputs) => {
    const input = inputAt(op, inputs, 0);
    assertDType(op, input, "float32", "float64", "float16");
    return [input];
  };

const binary =
  (op: string): ShapeRule<unknown> =>
  (inputs) => {
    const left = inputAt(op, inputs, 0);
    const right = inputAt(op, inputs, 1);
    assertSameDType(op, [left, right]);
    assertDType(op, left, "float32", "float64", "float16", "int64", "int32", "int8", "uint8");
    return [{ dtype: left.dtype, shape: broadcastShapes(op, left.shape, right.shape) }];
  };

const compare: ShapeRule<unknown> = (inputs, attributes) =>
  binary("Greater")(inputs, attributes).map(({ shape }) => ({ dtype: "bool", shape }));

/** Gives the shape rule of each elementwise operator. */
export const elementwiseShapes: {
  readonly [Op in keyof ElementwiseAttributes]: ShapeRule<ElementwiseAttributes[Op]>;
} = {
  Identity: (inputs) => [inputAt("Identity", inputs, 0)],
  Add: binary("Add"),
  Sub: binary("Sub"),
  Mul: binary("Mul"),
  Div: binary("Div"),
  Max: binary("Max"),
  Min: binary("Min"),
  Greater: compare,
  Neg: unary("Neg"),
  Exp: unary("Exp"),
  Log: unary("Log"),
  Sqrt: unary("Sqrt"),
  Sigmoid: unary("Sigmoid"),
  Tanh: unary("Tanh"),
  Erf: unary("Erf"),
  Elu: unary("Elu"),
  Gelu: unary("Gelu"),
  Where: (inputs) => {
    const condition = inputAt("Where", inputs, 0);
    const yes = inputAt("Where", inputs, 1);
    const no = inputAt("Where", inputs, 2);
    assertDType("Where", condition, "bool");
    assertSameDType("Where", [yes, no]);
    return [{ dtype: yes.dtype, shape: broadcastShapes("Where", condition.shape, yes.shape, no.shape) }];
  },
  Cast: (inputs, { to }) => [{ dtype: to, shape: inputAt("Cast", inputs, 0).shape }],
};
