/**
 * Kernels of attention: rotary embedding.
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

/** Gives the kernel of each attention operator. */
export const attentionKernels: Kernels<AttentionAttributes> = {
  RotaryEmbedding: (inputs) => [rotate(inputAt(inputs, 0), inputAt(inputs, 1), inputAt(inputs, 2))],
};
