/**
 * Kernels of matrix products, as sums over the inner extent; an empty sum is 0.
 */

import { broadcastShapes } from "../../graph/dim.ts";
import type { LinearAttributes } from "../../graph/ops/linear.ts";
import { inputAt, type Kernels } from "./kernel.ts";
import { broadcastIndex, element, numbersOf, type ReferenceTensor, tabulate } from "./reference-tensor.ts";

type Round = (sum: number) => number;

function matMul(a: ReferenceTensor, b: ReferenceTensor, round: Round): ReferenceTensor {
  const [rows, inner] = [element(a.shape, a.shape.length - 2), element(a.shape, a.shape.length - 1)];
  const columns = element(b.shape, b.shape.length - 1);
  const [batchA, batchB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const batch = broadcastShapes("reference", batchA, batchB).map(Number);
  const indexA = broadcastIndex(batchA, batch);
  const indexB = broadcastIndex(batchB, batch);
  const [left, right] = [numbersOf(a), numbersOf(b)];
  return tabulate(a.dtype, [...batch, rows, columns], (index) => {
    const column = index % columns;
    const row = Math.floor(index / columns) % rows;
    const at = Math.floor(index / (rows * columns));
    const startA = (indexA(at) * rows + row) * inner;
    const startB = indexB(at) * inner * columns + column;
    let sum = 0;
    for (let k = 0; k < inner; k++)
      sum = round(sum + element(left, startA + k) * element(right, startB + k * columns));
    return sum;
  });
}

function gemm(
  x: ReferenceTensor,
  weight: ReferenceTensor,
  bias: ReferenceTensor | undefined,
  { transposeA, transposeB }: LinearAttributes["Gemm"],
  round: Round,
): ReferenceTensor {
  const [rows, inner] = [element(x.shape, transposeA ? 1 : 0), element(x.shape, transposeA ? 0 : 1)];
  const columns = element(weight.shape, transposeB ? 0 : 1);
  const [strideRow, strideInnerX] = transposeA ? [1, rows] : [inner, 1];
  const [strideColumn, strideInner] = transposeB ? [inner, 1] : [1, columns];
  const [left, right] = [numbersOf(x), numbersOf(weight)];
  const offsets = bias === undefined ? undefined : numbersOf(bias);
  return tabulate(x.dtype, [rows, columns], (index) => {
    const [row, column] = [Math.floor(index / columns), index % columns];
    let sum = 0;
    for (let k = 0; k < inner; k++) {
      const a = element(left, row * strideRow + k * strideInnerX);
      sum = round(sum + a * element(right, column * strideColumn + k * strideInner));
    }
    return offsets === undefined ? sum : sum + element(offsets, column);
  });
}

/** Gives the kernel of each matrix product. */
export const linearKernels: Kernels<LinearAttributes> = {
  MatMul(inputs, _, { roundPartialSum }) {
    const [a, b] = [inputAt(inputs, 0), inputAt(inputs, 1)];
    return [matMul(a, b, roundPartialSum(a.dtype))];
  },
  Gemm(inputs, attributes, { roundPartialSum }) {
    const [x, weight] = [inputAt(inputs, 0), inputAt(inputs, 1)];
    return [gemm(x, weight, inputs[2], attributes, roundPartialSum(x.dtype))];
  },
};
