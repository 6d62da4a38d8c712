/** Cases of the gradients of reductions, softmax and normalisation. */

import fc from "fast-check";
import type { ReductionAttributes } from "../../../src/graph/ops/reduction.ts";
import { i64 } from "../runtime-conformance/example.ts";
import { type GradientCase, type GradientCases, shapes, shapesWithAxis } from "./gradient-case.ts";

function reduction(op: "ReduceSum" | "ReduceMean" | "ReduceMax"): GradientCase[] {
  const examples: GradientCase["examples"] = shapes(0, 3)
    // There is no mean of nothing, and no largest.
    .filter((shape) => op === "ReduceSum" || !shape.includes(0))
    .chain((shape) =>
      fc
        .tuple(fc.subarray(shape.map((_, axis) => axis)), fc.boolean(), fc.boolean())
        .map(([axes, keepDims, fromEnd]) => ({
          inputs: [shape],
          write: (b, x) => {
            const given = axes.map((axis) => (fromEnd ? axis - shape.length : axis));
            return b.apply(op, [b.mul(x, x)], { axes: given, keepDims });
          },
        })),
    );
  return [{ title: "over no, some and all axes, kept or not", examples }];
}

function alongAxis(op: "Softmax" | "LogSoftmax"): GradientCase[] {
  return [
    {
      title: "along each axis",
      examples: shapesWithAxis().map(({ shape, given }) => ({
        inputs: [shape],
        write: (b, x) => b.apply(op, [x], { axis: given }),
      })),
    },
  ];
}

/** The logits of labels, alone and beside a use of all: what cross entropy and distillation are made of. */
const labels: GradientCase = {
  title: "of which one element a row is taken, along the axis or across it, alone or beside others",
  examples: fc
    .tuple(fc.array(fc.nat(3), { minLength: 1, maxLength: 3 }), fc.boolean(), fc.nat(1))
    .map(([taken, isAlone, axis]) => ({
      inputs: [axis === 1 ? [taken.length, 4] : [4, taken.length]],
      symbolic: [axis === 1 ? [taken.length, 4] : [4, taken.length]],
      write: (b, x) => {
        const shape = axis === 1 ? [taken.length, 1] : [1, taken.length];
        const indices = b.constant("labels", i64(shape, taken));
        const y = b.logSoftmax(x, 1);
        const picked = b.gatherElements(y, indices, axis);
        return isAlone ? [picked] : [picked, b.gatherElements(y, indices, axis), b.mul(y, y)];
      },
    })),
};

const rows = shapes(1, 3).filter((shape) => (shape.at(-1) ?? 0) > 0);
const epsilon = fc.constantFrom(1e-5, 0.5);

/** Cases of the reductions. */
export const reductionGradientCases: GradientCases<ReductionAttributes> = {
  ReduceSum: reduction("ReduceSum"),
  ReduceMean: reduction("ReduceMean"),
  ReduceMax: reduction("ReduceMax"),
  Softmax: alongAxis("Softmax"),
  LogSoftmax: [...alongAxis("LogSoftmax"), labels],
  RMSNormalization: [
    {
      title: "of ranks 1 to 3",
      examples: fc.tuple(rows, epsilon).map(([shape, small]) => ({
        inputs: [shape, shape.slice(-1)],
        range: [0.5, 2],
        write: (b, x, weight) => [b.rmsNorm(x, weight, small)],
      })),
    },
  ],
  LayerNormalization: [
    {
      title: "of ranks 1 to 3",
      examples: fc.tuple(rows, fc.constantFrom(0.1, 0.5)).map(([shape, small]) => ({
        inputs: [shape, shape.slice(-1), shape.slice(-1)],
        write: (b, x, weight, bias) => [b.layerNorm(x, weight, bias, small)],
      })),
    },
  ],
};
