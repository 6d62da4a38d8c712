/**
 * Gradients of the operators that move elements: they move back.
 *
 * What was taken by index stays sparse until someone needs it whole: the rows of an embedding, the logits of labels.
 */

import type { GraphBuilder } from "../../graph/builder.ts";
import { multiplyDims } from "../../graph/dim.ts";
import type { Value } from "../../graph/graph.ts";
import type { MovementAttributes } from "../../graph/ops/movement.ts";
import { hostTensor } from "../../tensor/host-tensor.ts";
import type { GradientContext, GradientRules, InputGradient, Summand } from "../gradient-rule.ts";
import { expandLike, extentsAlong } from "../shape-changes.ts";

function positive(axis: number, { shape }: Value): number {
  return axis < 0 ? axis + shape.length : axis;
}

/** Cuts the gradient into those of the parts. */
function splitBack(
  { b, attributes, gradient }: GradientContext<"Concat">,
  parts: readonly Value[],
): InputGradient[] {
  let known: readonly Value[] | undefined;
  const split = (): readonly Value[] => {
    const axis = positive(attributes.axis, gradient());
    known ??= b.split(
      gradient(),
      axis,
      parts.map(({ shape }) => shape[axis] ?? 0),
      extentsAlong(b, parts, axis),
    );
    return known;
  };
  return parts.map((_, index) => () => split()[index] ?? []);
}

function zeros({ b, scalar }: GradientContext<"Slice">, like: Value, axis: number, extent: number): Value[] {
  return extent === 0 ? [] : [b.expand(scalar(0), like.shape.with(axis, extent))];
}

/** Puts the slice back among zeros; where the shape is not known beforehand, by index. */
function sliceBack(context: GradientContext<"Slice">): Summand {
  const { b, attributes, gradient, input } = context;
  const { start, end } = attributes;
  const [x, g] = [input(0), gradient()];
  const axis = positive(attributes.axis, x);
  const extents = x.shape.map(Number);
  if (!extents.some(Number.isNaN)) {
    const after = (extents[axis] ?? 0) - end;
    return b.concat([...zeros(context, x, axis, start), g, ...zeros(context, x, axis, after)], axis);
  }
  const places = BigInt64Array.from({ length: end - start }, (_, place) => BigInt(start + place));
  const shape = x.shape.map((_, index) => (index === axis ? end - start : 1));
  return {
    axis,
    indices: expandLike(b, b.constant("places", hostTensor("int64", shape, places)), g),
    updates: g,
  };
}

/** Gives rows `[n, ..]` to the indices that they were taken by. */
function gatherBack(b: GraphBuilder, x: Value, indices: Value, gradient: Value): Summand {
  const row = x.shape.slice(1);
  const count = multiplyDims(1, ...indices.shape);
  const updates = indices.shape.length === 1 ? gradient : b.reshape(gradient, [count, ...row]);
  const column = b.reshape(indices, [count, ...row.map(() => 1)]);
  return { axis: 0, indices: expandLike(b, column, updates), updates };
}

/** Gives the gradient rule of each movement operator. */
export const movementGradients: GradientRules<MovementAttributes> = {
  Reshape: ({ b, gradient, input }) => [() => b.reshape(gradient(), input(0).shape)],
  Transpose: ({ b, attributes: { permutation }, gradient }) => [
    () =>
      b.transpose(
        gradient(),
        permutation.map((_, axis) => permutation.indexOf(axis)),
      ),
  ],
  Concat: (context) => splitBack(context, context.inputs),
  Slice: (context) => [() => sliceBack(context)],
  Split: ({ b, attributes: { axis, sizes }, gradient }) => [
    () =>
      b.concat(
        sizes.map((_, index) => gradient(index)),
        axis,
      ),
    undefined,
  ],
  Gather: ({ b, gradient, input }) => [() => gatherBack(b, input(0), input(1), gradient()), undefined],
  GatherElements: ({ attributes: { axis }, gradient, input }) => [
    () => ({ axis: positive(axis, input(0)), indices: input(1), updates: gradient() }),
    undefined,
  ],
  ScatterElements: ({ b, attributes: { axis }, gradient, input }) => [
    () => gradient(),
    undefined,
    () => b.gatherElements(gradient(), input(1), axis),
  ],
  Expand: ({ gradient }) => [() => gradient(), undefined],
  Shape: { reason: "extents are whole numbers" },
};
