/**
 * Kernels of operators on quantised weights: the weights are widened first, then used as such.
 */

import type { QuantizedAttributes } from "../../graph/ops/quantized.ts";
import type { BlockFormat } from "../../tensor/block-quantization.ts";
import { inputAt, type Kernels } from "./kernel.ts";
import { element, numbersOf, type ReferenceTensor, tabulate } from "./reference-tensor.ts";

/** Returns a function that gives weight `[row, inner]`. */
function readWeights(
  data: ReferenceTensor,
  scales: ReferenceTensor,
  zeroPoints: ReferenceTensor | undefined,
  { bits, blockSize }: BlockFormat,
  rowBytes: number,
): (row: number, inner: number) => number {
  const [bytes, factors] = [numbersOf(data), numbersOf(scales)];
  const zeros = zeroPoints === undefined ? undefined : numbersOf(zeroPoints);
  const blocks = element(scales.shape, 1);
  return (row, inner) => {
    const byte = element(bytes, row * rowBytes + (bits === 8 ? inner : inner >> 1));
    const quantum = bits === 8 ? byte : inner % 2 === 0 ? byte & 15 : byte >> 4;
    const block = row * blocks + Math.floor(inner / blockSize);
    const zero = zeros === undefined ? 2 ** (bits - 1) : element(zeros, block);
    return (quantum - zero) * element(factors, block);
  };
}

/** Gives the kernel of each operator on quantised weights. */
export const quantizedKernels: Kernels<QuantizedAttributes> = {
  MatMulNBits: (inputs, attributes) => {
    const [x, data, scales] = [inputAt(inputs, 0), inputAt(inputs, 1), inputAt(inputs, 2)];
    const rowBytes = element(data.shape, 1) * element(data.shape, 2);
    const weight = readWeights(data, scales, inputs[3], attributes, rowBytes);
    const { innerSize } = attributes;
    const [rows, columns] = [element(x.shape, 0), element(data.shape, 0)];
    const left = numbersOf(x);
    return [
      tabulate(x.dtype, [rows, columns], (index) => {
        const [row, column] = [Math.floor(index / columns), index % columns];
        let sum = 0;
        for (let k = 0; k < innerSize; k++) sum += element(left, row * innerSize + k) * weight(column, k);
        return sum;
      }),
    ];
  },
  GatherBlockQuantized: (inputs, attributes) => {
    const [data, indices, scales] = [inputAt(inputs, 0), inputAt(inputs, 1), inputAt(inputs, 2)];
    const weight = readWeights(data, scales, undefined, attributes, element(data.shape, 1));
    const { innerSize } = attributes;
    const count = element(indices.shape, 0);
    return [
      tabulate("float32", [count, innerSize], (index) => {
        const row = Number(indices.data[Math.floor(index / innerSize)]);
        return weight(row, index % innerSize);
      }),
    ];
  },
};
