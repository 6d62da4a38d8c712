/** Cases of the gradients of matrix products. */

import fc from "fast-check";
import type { LinearAttributes } from "../../../src/graph/ops/linear.ts";
import { broadcastableTo, type GradientCases, shapes } from "./gradient-case.ts";

const extents = fc.tuple(...Array.from({ length: 3 }, () => fc.integer({ min: 1, max: 4 })));

/** Cases of the matrix products. */
export const linearGradientCases: GradientCases<LinearAttributes> = {
  MatMul: [
    {
      title: "of batches that broadcast, either way or both",
      examples: fc.tuple(extents, shapes(0, 3)).chain(([[n = 1, k = 1, m = 1], batch]) =>
        fc
          .oneof(
            fc.tuple(fc.constant(batch), broadcastableTo(batch)),
            fc.tuple(broadcastableTo(batch), fc.constant(batch)),
            fc.tuple(broadcastableTo(batch), broadcastableTo(batch)),
          )
          .map(([left, right]) => ({
            inputs: [
              [...left, n, k],
              [...right, k, m],
            ],
            write: (b, x, y) => [b.matMul(x, y)],
          })),
      ),
    },
    {
      title: "of groups of rows with one matrix a group",
      examples: extents.map(([n = 1, k = 1, m = 1]) => ({
        inputs: [
          [2, 3, n, k],
          [2, 1, k, m],
        ],
        write: (b, x, y) => [b.matMul(x, y)],
      })),
    },
  ],
  Gemm: [
    {
      title: "of matrices stored either way, with and without a bias",
      examples: fc
        .tuple(extents, fc.boolean(), fc.boolean(), fc.boolean())
        .map(([[n = 1, k = 1, m = 1], transposeA, transposeB, hasBias]) => ({
          inputs: [transposeA ? [k, n] : [n, k], transposeB ? [m, k] : [k, m], ...(hasBias ? [[m]] : [])],
          write: (b, ...inputs) => [b.gemm(inputs, transposeA, transposeB)],
        })),
    },
  ],
};
