/**
 * Kernels of attention: rotary embedding, and attention itself.
 */

import type { AttentionAttributes } from "../../graph/ops/attention.ts";
import { inputAt, type Kernels } from "./kernel.ts";
import { element, numbersOf, type ReferenceTensor, tabulate } from "./reference-tensor.ts";

/** Computes, for halves a, b of the first 2n elements of a head: `[a cos - b sin, b cos + a sin]`. */
function rotate(x: ReferenceTensor, cosines: ReferenceTensor, sines: ReferenceTensor): ReferenceTensor {
  const [, headCount = 0, tokenCount = 0, width = 0] = x.shape;
  const half = cosines.shape[2] ?? 0;
  const [data, cos, sin] = [numbersOf(x), numbersOf(cosines), numbersOf(sines)];
  return tabulate(x.dtype, x.shape, (index) => {
    const place = index % width;
    if (place >= 2 * half) return element(data, index);
    const token = Math.floor(index / width) % tokenCount;
    const batch = Math.floor(index / (width * tokenCount * headCount));
    const angle = (batch * tokenCount + token) * half + (place % half);
    const partner = place < half ? -element(data, index + half) : element(data, index - half);
    return element(data, index) * element(cos, angle) + partner * element(sin, angle);
  });
}

/** Computes `softmax(scale q k^T + mask) v`, one query after another. */
function attend(inputs: readonly ReferenceTensor[], scale: number): ReferenceTensor {
  const [query, key] = [inputAt(inputs, 0), inputAt(inputs, 1)];
  const [value, mask] = [inputAt(inputs, 2), inputAt(inputs, 3)];
  const [q, k, v, bias] = [numbersOf(query), numbersOf(key), numbersOf(value), numbersOf(mask)];
  const [, headCount = 1, tokenCount = 1, width = 1] = query.shape;
  const [, keyHeadCount = 1, placeCount = 1] = key.shape;
  const group = headCount / keyHeadCount;
  const weightsOf = (row: number, firstKey: number): number[] => {
    const scores = Array.from({ length: placeCount }, (_, place) => {
      let product = 0;
      for (let d = 0; d < width; d++)
        product += element(q, row * width + d) * element(k, (firstKey + place) * width + d);
      return scale * product + element(bias, (row % tokenCount) * placeCount + place);
    });
    const peak = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - peak));
    const total = powers.reduce((sum, power) => sum + power, 0);
    return powers.map((power) => power / total);
  };
  let known = { row: -1, firstKey: 0, weights: [] as number[] };
  const valueWidth = value.shape[3] ?? 1;
  return tabulate(query.dtype, query.shape.with(3, valueWidth), (index) => {
    const row = Math.floor(index / valueWidth);
    if (row !== known.row) {
      const head = Math.floor(row / tokenCount);
      const [batch, inBatch] = [Math.floor(head / headCount), head % headCount];
      const firstKey = (batch * keyHeadCount + Math.floor(inBatch / group)) * placeCount;
      known = { row, firstKey, weights: weightsOf(row, firstKey) };
    }
    return known.weights.reduce(
      (sum, weight, place) =>
        sum + weight * element(v, (known.firstKey + place) * valueWidth + (index % valueWidth)),
      0,
    );
  });
}

/** Gives the kernel of each attention operator. */
export const attentionKernels: Kernels<AttentionAttributes> = {
  RotaryEmbedding: (inputs) => [rotate(inputAt(inputs, 0), inputAt(inputs, 1), inputAt(inputs, 2))],
  Attention: (inputs, { scale }) => [attend(inputs, scale)],
};
