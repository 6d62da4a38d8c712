/** Cases of the gradients of the operators that move elements. */

import fc from "fast-check";
import { multiplyDims } from "../../../src/graph/dim.ts";
import type { MovementAttributes } from "../../../src/graph/ops/movement.ts";
import { elementCount } from "../../../src/tensor/shape.ts";
import { i64 } from "../runtime-conformance/example.ts";
import {
  broadcastableTo,
  type GradientCase,
  type GradientCases,
  indicesBelow,
  shapes,
  shapesWithAxis,
} from "./gradient-case.ts";

const tall = shapesWithAxis().filter(({ shape, axis }) => (shape[axis] ?? 0) > 0);

const concatenated: GradientCase = {
  title: "of one to four parts along each axis, an empty one too",
  examples: fc
    .tuple(shapesWithAxis(), fc.array(fc.nat(3), { minLength: 1, maxLength: 4 }))
    .map(([{ shape, axis, given }, sizes]) => ({
      inputs: sizes.map((size) => shape.with(axis, size)),
      write: (b, ...parts) => {
        const whole = b.concat(parts, given);
        return [b.mul(whole, whole)];
      },
    })),
};

const sliced: GradientCase = {
  title: "of ranges within each axis, whole and empty ones too",
  examples: tall.chain(({ shape, axis, given }) =>
    fc.tuple(fc.nat(shape[axis] ?? 0), fc.nat(shape[axis] ?? 0)).map(([a, z]) => ({
      inputs: [shape],
      write: (b, x) => [b.slice(x, given, Math.min(a, z), Math.max(a, z))],
    })),
  ),
};

/** Cuts what was joined, so that the parts may be symbolic. */
const split: GradientCase = {
  title: "of parts of which one, two or all are used",
  examples: fc
    .tuple(shapesWithAxis(), fc.array(fc.nat(2), { minLength: 1, maxLength: 3 }), fc.nat(2))
    .map(([{ shape, axis, given }, sizes, last]) => ({
      inputs: sizes.map((size) => shape.with(axis, size)),
      write: (b, ...inputs) => {
        const dims = inputs.map((input) => input.shape[axis] ?? 0);
        const values = b.constant("sizes", i64([sizes.length], sizes));
        const parts = b.split(b.concat(inputs, axis), given, dims, values);
        return parts.slice(-1 - last).map((part) => b.mul(part, part));
      },
    })),
};

/** Cases of the operators that move elements. */
export const movementGradientCases: GradientCases<MovementAttributes> = {
  Reshape: [
    {
      title: "to one axis and back, and beside an axis of its own",
      examples: shapes(0, 3).map((shape) => ({
        inputs: [shape],
        // A runtime infers one extent that moves, and no more.
        symbolic: [shape.map((extent, axis) => (axis === 0 ? "T" : extent))],
        write: (b, x) => [b.reshape(x, x.shape), b.reshape(x, [1, ...x.shape])],
      })),
    },
    {
      title: "of a symbolic axis that takes others in, and gives them off",
      examples: fc.integer({ min: 1, max: 3 }).map((extent) => ({
        inputs: [[extent, 1]],
        write: (b, x) => {
          const rows = b.reshape(b.expand(x, [x.shape[0] ?? 1, 4], b.shapeOf(b.concat([x, x, x, x], 1))), [
            multiplyDims(4, x.shape[0] ?? 1),
          ]);
          return [b.mul(rows, rows)];
        },
      })),
    },
  ],
  Transpose: [
    {
      title: "by every permutation",
      examples: shapes(0, 4).chain((shape) =>
        fc
          .shuffledSubarray(
            shape.map((_, axis) => axis),
            { minLength: shape.length },
          )
          .map((permutation) => ({ inputs: [shape], write: (b, x) => [b.transpose(x, permutation)] })),
      ),
    },
  ],
  Concat: [concatenated],
  Slice: [sliced],
  Split: [split],
  Gather: [
    {
      title: "of rows taken never, once and more often, by indices of ranks 0 to 2",
      examples: fc
        .tuple(shapes(1, 3), shapes(0, 2))
        .filter(([[rows = 0]]) => rows > 0)
        .chain(([shape, indices]) =>
          indicesBelow(shape[0] ?? 1, elementCount(indices)).map((taken) => ({
            inputs: [shape],
            write: (b, x) => [b.gather(x, b.constant("i", i64(indices, taken)))],
          })),
        ),
    },
    {
      title: "of a table that is used otherwise too, as tied embeddings are, by negative indices",
      examples: fc.array(fc.integer({ min: -4, max: 3 }), { maxLength: 6 }).map((taken) => ({
        inputs: [[4, 3]],
        write: (b, x) => [b.linear(b.gather(x, b.constant("i", i64([taken.length], taken))), x)],
      })),
    },
  ],
  GatherElements: [
    {
      title: "along each axis",
      examples: tall.chain(({ shape, axis, given }) =>
        fc.nat(3).chain((count) => {
          const taken = shape.with(axis, count);
          return indicesBelow(shape[axis] ?? 1, elementCount(taken)).map((indices) => ({
            inputs: [shape],
            symbolic: [shape],
            write: (b, x) => [b.gatherElements(x, b.constant("i", i64(taken, indices)), given)],
          }));
        }),
      ),
    },
    {
      title: "of one element a row, of symbolic rows",
      examples: fc.tuple(fc.nat(3), fc.nat(3)).map(([rows, taken]) => ({
        inputs: [[rows, 4]],
        symbolic: [["T", 4]],
        write: (b, x) => {
          const column = b.reduceSum(x, [1], true);
          const indices = b.expand(b.constant("i", i64([], [taken])), column.shape, b.shapeOf(column));
          return [b.gatherElements(x, indices, -1)];
        },
      })),
    },
  ],
  ScatterElements: [
    {
      title: "along each axis, with equal indices",
      examples: tall.chain(({ shape, axis, given }) =>
        fc.nat(3).chain((count) => {
          const updates = shape.with(axis, count);
          return indicesBelow(shape[axis] ?? 1, elementCount(updates)).map((indices) => ({
            inputs: [shape, updates],
            symbolic: [shape, updates],
            write: (b, x, added) => [b.scatterAdd(x, b.constant("i", i64(updates, indices)), added, given)],
          }));
        }),
      ),
    },
  ],
  Expand: [
    {
      title: "to the shape of another tensor",
      examples: shapes(0, 3).chain((shape) =>
        broadcastableTo(shape).map((from) => ({
          inputs: [from, shape],
          differentiable: [0],
          write: (b, x, like) => [b.expand(x, like.shape, b.shapeOf(like))],
        })),
      ),
    },
  ],
  Shape: /whole numbers/,
};
