/**
 * Gradients of reductions, softmax and normalisation. g is the gradient of the result y.
 */

import type { GraphBuilder } from "../../graph/builder.ts";
import type { Shape } from "../../graph/dim.ts";
import type { Value } from "../../graph/graph.ts";
import type { ReductionAttributes } from "../../graph/ops/reduction.ts";
import type { GradientContext, GradientRules, Summand } from "../gradient-rule.ts";
import { expandLike, extentsAlong, productOf } from "../shape-changes.ts";

type Reduction = "ReduceSum" | "ReduceMean" | "ReduceMax";

function reducedAxes({ attributes, input }: GradientContext<Reduction>): ReadonlySet<number> {
  const rank = input(0).shape.length;
  return new Set(attributes.axes.map((axis) => (axis < 0 ? axis + rank : axis)));
}

/** Gives a reduced value extents of 1 where its axes were; leading ones come by broadcasting. */
function alignReduced(context: GradientContext<Reduction>, reduced: Value): Value {
  if (context.attributes.keepDims) return reduced;
  const axes = reducedAxes(context);
  const { shape } = context.input(0);
  const first = shape.findIndex((_, axis) => !axes.has(axis));
  const aligned: Shape = first < 0 ? [] : shape.map((dim, axis) => (axes.has(axis) ? 1 : dim)).slice(first);
  return aligned.length === reduced.shape.length ? reduced : context.b.reshape(reduced, aligned);
}

/** Gives the number of elements behind each mean, as a constant or, of symbolic extents, computed. */
function countReduced(context: GradientContext<"ReduceMean">): Value {
  const { b, input, scalar } = context;
  const x = input(0);
  const axes = [...reducedAxes(context)];
  const count = productOf(axes.map((axis) => x.shape[axis] ?? 1));
  if (typeof count === "number") return scalar(count);
  const factors = axes.map((axis) => {
    const extent = extentsAlong(b, [x], axis);
    return extent === undefined ? scalar(Number(x.shape[axis] ?? 1)) : b.cast(b.reshape(extent, []), x.dtype);
  });
  return factors.reduce((product, factor) => b.mul(product, factor));
}

/** Shares the gradient of a maximum evenly among the elements that are equal to it. */
function shareAmongLargest(context: GradientContext<"ReduceMax">): Value {
  const { b, gradient, input, output, scalar } = context;
  const isLess = b.greater(alignReduced(context, output()), input(0));
  const count = b.reduceSum(b.where(isLess, scalar(0), scalar(1)), context.attributes.axes, true);
  const aligned = alignReduced(context, gradient());
  return b.where(isLess, scalar(0), b.div(aligned, count));
}

/**
 * Computes dx = g - e^y sum g. Of logits that were taken by index, g has one element a row: the sum is over those
 * alone, and they are handed on as they are.
 */
function logSoftmaxBack({
  b,
  attributes,
  gradient,
  output,
  summands,
}: GradientContext<"LogSoftmax">): Summand[] {
  const axis = attributes.axis < 0 ? attributes.axis + output().shape.length : attributes.axis;
  const { dense, sparse } = summands();
  const isAlong = sparse.every((part) => part.axis === axis);
  const whole = isAlong ? dense : gradient();
  const parts = isAlong ? sparse : [];
  const totals = [...(whole === undefined ? [] : [whole]), ...parts.map(({ updates }) => updates)].map(
    (part) => (part.shape[axis] === 1 ? part : b.reduceSum(part, [axis], true)),
  );
  const total = totals.reduce((sum, part) => b.add(sum, part));
  const spread = b.mul(b.exp(output()), b.neg(total));
  return [whole === undefined ? spread : b.add(whole, spread), ...parts];
}

const mean = (b: GraphBuilder, x: Value): Value => b.reduceMean(x, [-1], true);

/** Computes 1 / sqrt(mean(x^2) + epsilon), `[.., 1]`. */
function inverseDeviation({ b, scalar }: GradientContext, x: Value, epsilon: number): Value {
  return b.div(scalar(1), b.sqrt(b.add(mean(b, b.mul(x, x)), scalar(epsilon))));
}

/** Gives the gradient rule of each reduction. */
export const reductionGradients: GradientRules<ReductionAttributes> = {
  ReduceSum: (context) => [
    () => expandLike(context.b, alignReduced(context, context.gradient()), context.input(0)),
  ],
  ReduceMean: (context) => [
    () => {
      const share = context.b.div(context.gradient(), countReduced(context));
      return expandLike(context.b, alignReduced(context, share), context.input(0));
    },
  ],
  ReduceMax: (context) => [() => shareAmongLargest(context)],
  // dx = t - y sum t,  t = g y
  Softmax: ({ b, attributes: { axis }, gradient, output }) => [
    () => {
      const t = b.mul(gradient(), output());
      return b.sub(t, b.mul(output(), b.reduceSum(t, [axis], true)));
    },
  ],
  LogSoftmax: (context) => [() => logSoftmaxBack(context)],
  // r = 1 / sqrt(mean(x^2) + epsilon), y = x r w:  dx = g w r - x r^2 mean(g y),  dw = sum g x r
  RMSNormalization: (context) => {
    const { b, attributes, gradient, input, output } = context;
    const r = inverseDeviation(context, input(0), attributes.epsilon);
    return [
      () => {
        const along = b.mul(mean(b, b.mul(gradient(), output())), b.mul(r, r));
        return b.sub(b.mul(b.mul(gradient(), input(1)), r), b.mul(input(0), along));
      },
      () => b.mul(gradient(), b.mul(input(0), r)),
    ];
  },
  // n = (x - mean(x)) r, y = n w + bias:  dx = r (g w - mean(g w) - n mean(g w n)),  dw = sum g n,  dbias = sum g
  LayerNormalization: (context) => {
    const { b, attributes, gradient, input } = context;
    const centered = b.sub(input(0), mean(b, input(0)));
    const r = inverseDeviation(context, centered, attributes.epsilon);
    const n = b.mul(centered, r);
    return [
      () => {
        const weighted = b.mul(gradient(), input(1));
        const along = b.mul(n, mean(b, b.mul(weighted, n)));
        return b.mul(b.sub(b.sub(weighted, mean(b, weighted)), along), r);
      },
      () => b.mul(gradient(), n),
      () => gradient(),
    ];
  },
};
