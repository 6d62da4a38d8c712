/** Cases of the gradients of the operators on quantised weights. */

import fc from "fast-check";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import type { QuantizedAttributes } from "../../../src/graph/ops/quantized.ts";
import { hostTensor } from "../../../src/tensor/host-tensor.ts";
import { elementCount, type StaticShape } from "../../../src/tensor/shape.ts";
import { random } from "../runtime-conformance/example.ts";
import type { GradientCases } from "./gradient-case.ts";

function randomBytes(shape: StaticShape) {
  const generator = xoroshiro128plus(7);
  return hostTensor(
    "uint8",
    shape,
    Uint8Array.from({ length: elementCount(shape) }, () => uniformInt(generator, 0, 255)),
  );
}

/** Cases of the operators on quantised weights. */
export const quantizedGradientCases: GradientCases<QuantizedAttributes> = {
  MatMulNBits: [
    {
      title: "of 4 and 8 bits, the last block whole or padded",
      examples: fc
        .tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom<(4 | 8)[]>(4, 8), fc.constantFrom(16, 32, 40))
        .map(([rows, bits, innerSize]) => ({
          inputs: [[rows, innerSize]],
          symbolic: [["T", innerSize]],
          write: (b, x) => {
            const blocks = Math.ceil(innerSize / 16);
            const data = b.constant("data", randomBytes([5, blocks, 2 * bits]));
            const scales = b.constant("scales", random(3, [5, blocks], [0.01, 0.1]));
            return [b.matMulNBits(x, [data, scales], { bits, blockSize: 16, innerSize, accuracyLevel: 1 })];
          },
        })),
    },
  ],
  GatherBlockQuantized: /not trained/,
};
