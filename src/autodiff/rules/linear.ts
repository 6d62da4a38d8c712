/**
 * Gradients of matrix products: products again, of whole matrices wherever axes can be folded into rows.
 *
 * Products with transposed matrices are written so that runtimes read them in place.
 */

import type { GraphBuilder } from "../../graph/builder.ts";
import type { Dim, Shape } from "../../graph/dim.ts";
import type { Value } from "../../graph/graph.ts";
import type { LinearAttributes } from "../../graph/ops/linear.ts";
import type { GradientRules } from "../gradient-rule.ts";
import { canReshape, productOf, transposeMatrices } from "../shape-changes.ts";

/** Makes rows of the last `count` batch axes; undefined when the shape cannot be written. */
function foldIntoRows(x: Value, batchRank: number, count: number): Shape | undefined {
  const missing = new Array<Dim>(Math.max(0, batchRank - (x.shape.length - 2))).fill(1);
  const shape = [...missing, ...x.shape];
  const [columns = 1] = shape.slice(-1);
  const kept = batchRank - count;
  const rows = productOf(shape.slice(kept, -1));
  if (rows === undefined) return undefined;
  const folded = [...shape.slice(0, kept), rows, columns];
  return canReshape(x.shape, folded) ? folded : undefined;
}

/** Counts the last batch axes of the product along which the second matrix is one and the same. */
function sharedAxes(second: Value, batchRank: number): number {
  const batch = second.shape.slice(0, -2);
  let count = 0;
  while (count < batchRank && (batch[batch.length - 1 - count] ?? 1) === 1) count++;
  return count;
}

/** Writes a^T g `[.., k, m]`; where one c served many batches, their rows follow one another in one product. */
function writeSecond(b: GraphBuilder, a: Value, c: Value, gradient: Value): Value {
  const batchRank = gradient.shape.length - 2;
  const count = sharedAxes(c, batchRank);
  const [rowsA, rowsG] = [foldIntoRows(a, batchRank, count), foldIntoRows(gradient, batchRank, count)];
  if (count === 0 || rowsA === undefined || rowsG === undefined)
    return b.matMul(transposeMatrices(b, a), gradient);
  const [left, right] = [b.reshape(a, rowsA), b.reshape(gradient, rowsG)];
  if (count === batchRank) return b.reshape(b.gemm([left, right], true, false), c.shape);
  const product = b.matMul(transposeMatrices(b, left), right);
  const matrix = product.shape.slice(-2);
  const unfolded = [...product.shape.slice(0, -2), ...new Array<Dim>(count).fill(1), ...matrix];
  return b.reshape(product, unfolded);
}

/** Gives the gradient rule of each matrix product. */
export const linearGradients: GradientRules<LinearAttributes> = {
  // y = a c:  da = g c^T,  dc = a^T g
  MatMul: ({ b, gradient, input }) => [
    () =>
      gradient().shape.length === 2
        ? b.gemm([gradient(), input(1)], false, true)
        : b.matMul(gradient(), transposeMatrices(b, input(1))),
    () =>
      gradient().shape.length === 2
        ? b.gemm([input(0), gradient()], true, false)
        : writeSecond(b, input(0), input(1), gradient()),
  ],
  // y = a c + bias, a or c perhaps stored transposed:  da = g c^T,  dc = a^T g, transposed as they are stored
  Gemm: ({ b, attributes: { transposeA, transposeB }, gradient, input }) => [
    () =>
      transposeA
        ? b.gemm([input(1), gradient()], transposeB, true)
        : b.gemm([gradient(), input(1)], false, !transposeB),
    () =>
      transposeB
        ? b.gemm([gradient(), input(0)], true, transposeA)
        : b.gemm([input(0), gradient()], !transposeA, false),
    () => b.reduceSum(gradient(), [0], false),
  ],
};
