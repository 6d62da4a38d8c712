/**
 * Operators that move elements without computing: reshape, transpose, concatenate, slice, gather, scatter.
 */

import { ShapeError } from "../../errors.ts";
import { formatShape, sameShape } from "../../tensor/shape.ts";
import { addDims, broadcastShapes, type Dim, type Shape, sameElementCount } from "../dim.ts";
import {
  assertDType,
  assertRank,
  assertSameDim,
  assertSameDType,
  inputAt,
  resolveAxis,
  type ShapeRule,
  type ValueType,
} from "../shape-rule.ts";

/** Lists the attributes of each movement operator. */
export interface MovementAttributes {
  /** At most one extent that is not the input's own at that axis may be symbolic. */
  Reshape: { readonly shape: Shape };
  Transpose: { readonly permutation: readonly number[] };
  Concat: { readonly axis: number };
  /** Takes elements `start <= i < end` of a static axis. */
  Slice: { readonly axis: number; readonly start: number; readonly end: number };
  /**
   * Cuts an axis into parts of the given extents. With symbolic extents a second input, int64 `[parts]`,
   * gives their values at run time.
   */
  Split: { readonly axis: number; readonly sizes: readonly Dim[] };
  /** Takes the rows of axis 0 that an integer tensor names: `x [n, ...], indices [...i] -> [...i, ...]`. */
  Gather: Readonly<Record<string, never>>;
  /** Takes one element of an axis for each index: `x [.., n, ..], indices [.., m, ..] -> [.., m, ..]`. */
  GatherElements: { readonly axis: number };
  /** Adds updates where indices say: `x [.., n, ..], indices [.., m, ..], updates [.., m, ..] -> [.., n, ..]`. */
  ScatterElements: { readonly axis: number; readonly reduction: "add" };
  /**
   * Broadcasts to a shape. With symbolic extents a second input, int64 `[rank]`, gives their values at run time.
   */
  Expand: { readonly shape: Shape };
  /** Gives the extents, int64 `[rank]`. */
  Shape: Readonly<Record<string, never>>;
}

const splitShapes: ShapeRule<MovementAttributes["Split"]> = (inputs, attributes) => {
  const input = inputAt("Split", inputs, 0);
  const axis = resolveAxis("Split", input.shape, attributes.axis);
  assertSameDim("Split", "the parts do not add up", addDims(...attributes.sizes), input.shape[axis] ?? 0);
  if (attributes.sizes.some((size) => typeof size === "string")) {
    const sizes = inputAt("Split with symbolic sizes", inputs, 1);
    assertDType("Split", sizes, "int64");
    assertSameDim("Split", "the number of sizes", sizes.shape[0] ?? 0, attributes.sizes.length);
  }
  return attributes.sizes.map((size) => ({
    dtype: input.dtype,
    shape: input.shape.with(axis, addDims(size)),
  }));
};

/** Refuses indices that do not lie along `axis` of x, other extents being the same. */
function assertAlong(op: string, inputs: readonly ValueType[], givenAxis: number): ValueType {
  const [x, indices] = [inputAt(op, inputs, 0), inputAt(op, inputs, 1)];
  const axis = resolveAxis(op, x.shape, givenAxis);
  assertDType(op, indices, "int64", "int32");
  assertRank(op, indices.shape, x.shape.length);
  indices.shape.forEach((dim, index) => {
    if (index !== axis) assertSameDim(op, `extents differ at axis ${index}`, dim, x.shape[index] ?? 0);
  });
  return indices;
}

function scatterShapes(inputs: readonly ValueType[], { axis }: MovementAttributes["ScatterElements"]) {
  const op = "ScatterElements";
  const [x, updates] = [inputAt(op, inputs, 0), inputAt(op, inputs, 2)];
  const indices = assertAlong(op, inputs, axis);
  assertSameDType(op, [x, updates]);
  assertDType(op, x, "float32", "float64");
  assertRank(op, updates.shape, indices.shape.length);
  updates.shape.forEach((dim, index) => {
    assertSameDim(op, "updates and indices differ", dim, indices.shape[index] ?? 0);
  });
  return [x];
}

const expandShapes: ShapeRule<MovementAttributes["Expand"]> = (inputs, { shape }) => {
  const input = inputAt("Expand", inputs, 0);
  const target = shape.map((dim) => addDims(dim));
  if (!sameShape(broadcastShapes("Expand", input.shape, target), target)) {
    throw new ShapeError({
      where: "Expand",
      what: "the input does not broadcast to the shape",
      got: formatShape(input.shape),
      expected: `one that does to ${formatShape(target)}`,
    });
  }
  if (target.some((dim) => typeof dim === "string")) {
    const extents = inputAt("Expand to symbolic extents", inputs, 1);
    assertDType("Expand", extents, "int64");
    assertRank("Expand", extents.shape, 1);
    assertSameDim("Expand", "the number of extents", extents.shape[0] ?? 0, target.length);
  }
  return [{ dtype: input.dtype, shape: target }];
};

/** Gives the shape rule of each movement operator. */
export const movementShapes: {
  readonly [Op in keyof MovementAttributes]: ShapeRule<MovementAttributes[Op]>;
} = {
  Reshape: (inputs, { shape }) => {
    const input = inputAt("Reshape", inputs, 0);
    if (!sameElementCount(input.shape, shape)) {
      throw new ShapeError({
        where: "Reshape",
        what: "the shapes hold different numbers of elements",
        got: formatShape(shape),
        expected: `as many as ${formatShape(input.shape)}`,
      });
    }
    return [{ dtype: input.dtype, shape: shape.map((dim) => addDims(dim)) }];
  },
  Transpose: (inputs, { permutation }) => {
    const input = inputAt("Transpose", inputs, 0);
    const sorted = [...permutation].sort((a, b) => a - b);
    if (permutation.length !== input.shape.length || sorted.some((axis, index) => axis !== index)) {
      throw new ShapeError({
        where: "Transpose",
        what: "not a permutation of the axes",
        got: permutation,
        expected: `the axes of ${formatShape(input.shape)}`,
      });
    }
    return [{ dtype: input.dtype, shape: permutation.map((axis) => input.shape[axis] ?? 0) }];
  },
  Concat: (inputs, attributes) => {
    const first = inputAt("Concat", inputs, 0);
    const axis = resolveAxis("Concat", first.shape, attributes.axis);
    assertSameDType("Concat", inputs);
    for (const { shape } of inputs) {
      assertSameDim("Concat", "ranks differ", shape.length, first.shape.length);
      shape.forEach((dim, index) => {
        if (index !== axis)
          assertSameDim("Concat", `extents differ at axis ${index}`, dim, first.shape[index] ?? 0);
      });
    }
    const total = addDims(...inputs.map(({ shape }) => shape[axis] ?? 0));
    return [{ dtype: first.dtype, shape: first.shape.with(axis, total) }];
  },
  Slice: (inputs, { axis: givenAxis, start, end }) => {
    const input = inputAt("Slice", inputs, 0);
    const axis = resolveAxis("Slice", input.shape, givenAxis);
    const extent = input.shape[axis] ?? 0;
    if (start < 0 || end < start || (typeof extent === "number" && end > extent)) {
      throw new ShapeError({
        where: "Slice",
        what: `the range does not fit axis ${axis}`,
        got: `${start}..${end}`,
        expected: `a range within ${formatShape(input.shape)}`,
      });
    }
    return [{ dtype: input.dtype, shape: input.shape.with(axis, end - start) }];
  },
  Split: splitShapes,
  Gather: (inputs) => {
    const input = inputAt("Gather", inputs, 0);
    const indices = inputAt("Gather", inputs, 1);
    assertDType("Gather", indices, "int64", "int32");
    resolveAxis("Gather", input.shape, 0);
    return [{ dtype: input.dtype, shape: [...indices.shape, ...input.shape.slice(1)] }];
  },
  GatherElements: (inputs, { axis }) => {
    const { shape } = assertAlong("GatherElements", inputs, axis);
    return [{ dtype: inputAt("GatherElements", inputs, 0).dtype, shape }];
  },
  ScatterElements: scatterShapes,
  Expand: expandShapes,
  Shape: (inputs) => [{ dtype: "int64", shape: [inputAt("Shape", inputs, 0).shape.length] }],
};
