/**
 * Changes of shape that gradients go through on their way back.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import { type Dim, multiplyDims, type Shape } from "../graph/dim.ts";
import type { Value } from "../graph/graph.ts";
import { sameShape } from "../tensor/shape.ts";

const isSymbolic = (dim: Dim): boolean => typeof dim === "string";

/** Broadcasts x to the shape of another value. */
export function expandLike(b: GraphBuilder, x: Value, like: Value): Value {
  if (sameShape(x.shape, like.shape)) return x;
  return b.expand(x, like.shape, like.shape.some(isSymbolic) ? b.shapeOf(like) : undefined);
}

/** Gives the extents of values along an axis, int64 `[n]`; undefined when all are known beforehand. */
export function extentsAlong(b: GraphBuilder, values: readonly Value[], axis: number): Value | undefined {
  if (!values.some(({ shape }) => isSymbolic(shape[axis] ?? 0))) return undefined;
  return b.concat(
    values.map((value) => b.slice(b.shapeOf(value), 0, axis, axis + 1)),
    0,
  );
}

/** Sums a gradient over the axes along which its value was broadcast; the opposite of broadcasting to its shape. */
export function unbroadcast(b: GraphBuilder, gradient: Value, shape: Shape): Value {
  const added = gradient.shape.length - shape.length;
  const leading = Array.from({ length: added }, (_, axis) => axis);
  const whole = added === 0 ? gradient : b.reduceSum(gradient, leading, false);
  const stretched = shape.flatMap((dim, axis) => (dim === 1 && whole.shape[axis] !== 1 ? [axis] : []));
  return stretched.length === 0 ? whole : b.reduceSum(whole, stretched, true);
}

/** Tells whether a reshape can be written: a runtime infers one symbolic extent that moves, and no more. */
export function canReshape(from: Shape, to: Shape): boolean {
  return to.filter((dim, axis) => isSymbolic(dim) && dim !== from[axis]).length <= 1;
}

/** Multiplies extents; undefined when two are symbolic, and their product has no name. */
export function productOf(dims: readonly Dim[]): Dim | undefined {
  return dims.filter(isSymbolic).length > 1 ? undefined : multiplyDims(...dims);
}

/** Swaps the last two axes. */
export function transposeMatrices(b: GraphBuilder, x: Value): Value {
  const rank = x.shape.length;
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  return b.transpose(x, [...axes.slice(0, -2), rank - 1, rank - 2]);
}
