/**
 * Kernels of reductions, softmax and normalisation.
 */

import type { ReductionAttributes } from "../../graph/ops/reduction.ts";
import { elementCount, rowMajorStrides } from "../../tensor/shape.ts";
import { axisOf, inputAt, type Kernel, type Kernels } from "./kernel.ts";
import {
  coordinates,
  element,
  numbersOf,
  type ReferenceTensor,
  tabulate,
  tabulateInt64,
} from "./reference-tensor.ts";

interface Groups {
  readonly shape: readonly number[];
  /** Lists, for each element of the result, the indices of what it is reduced from. */
  readonly members: readonly (readonly number[])[];
}

function group({ shape }: ReferenceTensor, axes: readonly number[], keepDims: boolean): Groups {
  const reduced = new Set(axes.map((axis) => axisOf(shape, axis)));
  const kept = shape.map((extent, axis) => (reduced.has(axis) ? 1 : extent));
  const strides = rowMajorStrides(kept).map((stride, axis) => (reduced.has(axis) ? 0 : stride));
  const members: number[][] = Array.from({ length: elementCount(kept) }, () => []);
  for (let index = 0; index < elementCount(shape); index++) {
    const target = coordinates(shape, index).reduce((sum, at, axis) => sum + at * element(strides, axis), 0);
    element(members, target).push(index);
  }
  return { shape: keepDims ? kept : kept.filter((_, axis) => !reduced.has(axis)), members };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

const reduce =
  (
    onNumbers: (values: readonly number[]) => number,
    onInt64: (values: readonly bigint[]) => bigint,
  ): Kernel<ReductionAttributes["ReduceSum"]> =>
  (inputs, { axes, keepDims }) => {
    const x = inputAt(inputs, 0);
    const { shape, members } = group(x, axes, keepDims);
    const { data } = x;
    if (data instanceof BigInt64Array) {
      return [tabulateInt64(shape, (to) => onInt64(element(members, to).map((from) => element(data, from))))];
    }
    return [
      tabulate(x.dtype, shape, (to) => onNumbers(element(members, to).map((from) => element(data, from)))),
    ];
  };

const max = (values: readonly number[]): number =>
  values.reduce((best, value) => Math.max(best, value), Number.NEGATIVE_INFINITY);
const sumInt64 = (values: readonly bigint[]): bigint => values.reduce((total, value) => total + value, 0n);
const maxInt64 = (values: readonly bigint[]): bigint =>
  values.reduce(
    (best, value) => {
      if (value > best) return value;
      return best;
    },
    -(2n ** 63n),
  );

/** Computes `x - log sum e^x` along an axis. */
function logSoftmax(x: ReferenceTensor, axis: number): ReferenceTensor {
  const data = numbersOf(x);
  const result = new Float64Array(data.length);
  for (const members of group(x, [axis], true).members) {
    const largest = max(members.map((from) => element(data, from)));
    const total = Math.log(sum(members.map((from) => Math.exp(element(data, from) - largest))));
    for (const from of members) result[from] = element(data, from) - largest - total;
  }
  return { ...x, data: result };
}

function softmax(x: ReferenceTensor, axis: number): ReferenceTensor {
  const logarithms = logSoftmax(x, axis);
  return { ...x, data: numbersOf(logarithms).map(Math.exp) };
}

function rmsNorm(x: ReferenceTensor, weight: ReferenceTensor, epsilon: number): ReferenceTensor {
  const [data, weights] = [numbersOf(x), numbersOf(weight)];
  const width = weights.length;
  const scales = group(x, [-1], false).members.map(
    (members) => 1 / Math.sqrt(sum(members.map((from) => element(data, from) ** 2)) / width + epsilon),
  );
  return tabulate(x.dtype, x.shape, (index) => {
    const scale = element(scales, Math.floor(index / width));
    return element(data, index) * scale * element(weights, index % width);
  });
}

function layerNorm(
  x: ReferenceTensor,
  weight: ReferenceTensor,
  bias: ReferenceTensor,
  epsilon: number,
): ReferenceTensor {
  const [data, weights, biases] = [numbersOf(x), numbersOf(weight), numbersOf(bias)];
  const width = weights.length;
  const rows = group(x, [-1], false).members.map((members) => {
    const values = members.map((from) => element(data, from));
    const mean = sum(values) / width;
    const variance = sum(values.map((value) => (value - mean) ** 2)) / width;
    return { mean, scale: 1 / Math.sqrt(variance + epsilon) };
  });
  return tabulate(x.dtype, x.shape, (index) => {
    const { mean, scale } = element(rows, Math.floor(index / width));
    return (
      (element(data, index) - mean) * scale * element(weights, index % width) + element(biases, index % width)
    );
  });
}

/** Gives the kernel of each reduction. */
export const reductionKernels: Kernels<ReductionAttributes> = {
  ReduceSum: reduce(sum, sumInt64),
  ReduceMean: reduce(
    (values) => sum(values) / values.length,
    (values) => sumInt64(values) / BigInt(values.length),
  ),
  ReduceMax: reduce(max, maxInt64),
  Softmax: (inputs, { axis }) => [softmax(inputAt(inputs, 0), axis)],
  LogSoftmax: (inputs, { axis }) => [logSoftmax(inputAt(inputs, 0), axis)],
  LayerNormalization: (inputs, { epsilon }) => [
    layerNorm(inputAt(inputs, 0), inputAt(inputs, 1), inputAt(inputs, 2), epsilon),
  ],
  RMSNormalization: (inputs, { epsilon }) => [rmsNorm(inputAt(inputs, 0), inputAt(inputs, 1), epsilon)],
};
