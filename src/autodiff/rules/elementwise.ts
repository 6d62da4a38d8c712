/**
 * Gradients of the elementwise operators: that of the result times the derivative at each element.
 *
 * Where an operator broadcast, whoever takes the gradient in sums it back. g is the gradient of the result y.
 */

import type { OpName, Value } from "../../graph/graph.ts";
import type { ElementwiseAttributes } from "../../graph/ops/elementwise.ts";
import type { GradientContext, GradientRule, GradientRules } from "../gradient-rule.ts";

/** Makes the rule of an operator on one tensor. */
const unary =
  <Op extends OpName>(derive: (context: GradientContext<Op>) => Value): GradientRule<Op> =>
  (context) => [() => derive(context)];

/** Makes the rule of an operator on two tensors. */
const binary =
  <Op extends OpName>(
    left: (context: GradientContext<Op>) => Value,
    right: (context: GradientContext<Op>) => Value,
  ): GradientRule<Op> =>
  (context) => [() => left(context), () => right(context)];

/** Gives g where the condition holds, else 0; or the other way round. */
function choose({ b, gradient, scalar }: GradientContext, condition: Value, holds: boolean): Value {
  return holds ? b.where(condition, gradient(), scalar(0)) : b.where(condition, scalar(0), gradient());
}

const gelus: {
  readonly [Form in ElementwiseAttributes["Gelu"]["approximate"]]: (
    context: GradientContext<"Gelu">,
    x: Value,
  ) => Value;
} = {
  // y = x P(x):  P(x) + x e^(-x^2/2) / sqrt(2 pi),  P(x) = (1 + erf(x / sqrt 2)) / 2
  none: ({ b, scalar }, x) => {
    const below = b.mul(b.add(b.erf(b.mul(x, scalar(Math.SQRT1_2))), scalar(1)), scalar(0.5));
    const density = b.mul(b.exp(b.mul(b.mul(x, x), scalar(-0.5))), scalar(1 / Math.sqrt(2 * Math.PI)));
    return b.add(below, b.mul(x, density));
  },
  // y = x/2 (1 + t), t = tanh(c (x + a x^3)):  (1 + t)/2 + x/2 (1 - t^2) c (1 + 3 a x^2)
  tanh: ({ b, scalar }, x) => {
    const [a, c] = [0.044715, Math.sqrt(2 / Math.PI)];
    const square = b.mul(x, x);
    const t = b.tanh(b.mul(x, b.add(b.mul(square, scalar(a * c)), scalar(c))));
    const slope = b.add(b.mul(square, scalar(1.5 * a * c)), scalar(c / 2));
    const steep = b.mul(b.mul(x, slope), b.sub(scalar(1), b.mul(t, t)));
    return b.add(b.mul(b.add(t, scalar(1)), scalar(0.5)), steep);
  },
};

/** Gives the gradient rule of each elementwise operator. */
export const elementwiseGradients: GradientRules<ElementwiseAttributes> = {
  Identity: unary(({ gradient }) => gradient()),
  Add: binary(
    ({ gradient }) => gradient(),
    ({ gradient }) => gradient(),
  ),
  Sub: binary(
    ({ gradient }) => gradient(),
    ({ b, gradient }) => b.neg(gradient()),
  ),
  // d(a c) = g c, g a
  Mul: binary(
    ({ b, gradient, input }) => b.mul(gradient(), input(1)),
    ({ b, gradient, input }) => b.mul(gradient(), input(0)),
  ),
  // d(a / c) = g / c, -g y / c
  Div: binary(
    ({ b, gradient, input }) => b.div(gradient(), input(1)),
    ({ b, gradient, input, output }) => b.neg(b.div(b.mul(gradient(), output()), input(1))),
  ),
  // Of two equal elements the first is taken.
  Max: binary(
    (context) => choose(context, context.b.greater(context.input(1), context.input(0)), false),
    (context) => choose(context, context.b.greater(context.input(1), context.input(0)), true),
  ),
  Min: binary(
    (context) => choose(context, context.b.greater(context.input(0), context.input(1)), false),
    (context) => choose(context, context.b.greater(context.input(0), context.input(1)), true),
  ),
  Greater: { reason: "a comparison does not change but in jumps" },
  Neg: unary(({ b, gradient }) => b.neg(gradient())),
  // d e^x = g y
  Exp: unary(({ b, gradient, output }) => b.mul(gradient(), output())),
  // d log x = g / x
  Log: unary(({ b, gradient, input }) => b.div(gradient(), input(0))),
  // d sqrt x = g / (2 y)
  Sqrt: unary(({ b, gradient, output, scalar }) => b.div(b.mul(gradient(), scalar(0.5)), output())),
  // d sigmoid x = g (y - y^2)
  Sigmoid: unary(({ b, gradient, output }) => b.mul(gradient(), b.sub(output(), b.mul(output(), output())))),
  // d tanh x = g (1 - y^2)
  Tanh: unary(({ b, gradient, output, scalar }) =>
    b.mul(gradient(), b.sub(scalar(1), b.mul(output(), output()))),
  ),
  // d erf x = g e^(-x^2) 2 / sqrt(pi)
  Erf: unary(({ b, gradient, input, scalar }) => {
    const bell = b.exp(b.neg(b.mul(input(0), input(0))));
    return b.mul(gradient(), b.mul(bell, scalar(2 / Math.sqrt(Math.PI))));
  }),
  // d elu x = g, or g alpha e^x = g (y + alpha) where x is not positive
  Elu: unary(({ b, attributes, gradient, input, output, scalar }) => {
    const slope = b.add(output(), scalar(attributes.alpha));
    return b.where(b.greater(input(0), scalar(0)), gradient(), b.mul(gradient(), slope));
  }),
  Gelu: unary((context) =>
    context.b.mul(context.gradient(), gelus[context.attributes.approximate](context, context.input(0))),
  ),
  Where: (context) => [
    undefined,
    () => choose(context, context.input(0), true),
    () => choose(context, context.input(0), false),
  ],
  Cast: unary(({ b, gradient, input }) => b.cast(gradient(), input(0).dtype)),
};
