/**
 * Reductions over axes, softmax and normalisation.
 */

import {
  assertDType,
  assertRank,
  assertSameDim,
  assertSameDType,
  inputAt,
  resolveAxis,
  type ShapeRule,
} from "../shape-rule.ts";

interface ReduceAttributes {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

/** Lists the attributes of each reduction. */
export interface ReductionAttributes {
  ReduceSum: ReduceAttributes;
  ReduceMean: ReduceAttributes;
  ReduceMax: ReduceAttributes;
  Softmax: { readonly axis: number };
  /** The logarithm of the softmax. */
  LogSoftmax: { readonly axis: number };
  /** `x / sqrt(mean(x^2) + epsilon) * weight` over the last axis; inputs are x `[..., n]` and weight `[n]`. */
  RMSNormalization: { readonly epsilon: number };
  /**
   * `(x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias` over the last axis; inputs are x `[..., n]`,
   * weight `[n]` and bias `[n]`.
   */
  LayerNormalization: { readonly epsilon: number };
}

const reduce =
  (op: string): ShapeRule<ReduceAttributes> =>
  (inputs, { axes, keepDims }) => {
    const input = inputAt(op, inputs, 0);
    assertDType(op, input, "float32", "float64", "float16", "int64", "int32");
    const reduced = new Set(axes.map((axis) => resolveAxis(op, input.shape, axis)));
    const shape = keepDims
      ? input.shape.map((dim, axis) => (reduced.has(axis) ? 1 : dim))
      : input.shape.filter((_, axis) => !reduced.has(axis));
    return [{ dtype: input.dtype, shape }];
  };

const alongAxis =
  (op: string): ShapeRule<ReductionAttributes["Softmax"]> =>
  (inputs, { axis }) => {
    const input = inputAt(op, inputs, 0);
    assertDType(op, input, "float32", "float64", "float16");
    resolveAxis(op, input.shape, axis);
    return [input];
  };

/** Keeps the type of x `[..., n]`; the other inputs are `[n]`. */
const normalization =
  (op: string, vectors: readonly string[]): ShapeRule<unknown> =>
  (inputs) => {
    const input = inputAt(op, inputs, 0);
    const others = vectors.map((_, index) => inputAt(op, inputs, index + 1));
    assertSameDType(op, [input, ...others]);
    assertDType(op, input, "float32", "float64", "float16");
    for (const { shape } of others) assertRank(op, shape, 1);
    const extent = input.shape[resolveAxis(op, input.shape, -1)] ?? 0;
    others.forEach(({ shape }, index) => {
      assertSameDim(op, `the ${vectors[index]} does not fit`, shape[0] ?? 0, extent);
    });
    return [input];
  };

/** Gives the shape rule of each reduction. */
export const reductionShapes: {
  readonly [Op in keyof ReductionAttributes]: ShapeRule<ReductionAttributes[Op]>;
} = {
  ReduceSum: reduce("ReduceSum"),
  ReduceMean: reduce("ReduceMean"),
  ReduceMax: reduce("ReduceMax"),
  Softmax: alongAxis("Softmax"),
  LogSoftmax: alongAxis("LogSoftmax"),
  RMSNormalization: normalization("RMSNormalization", ["weight"]),
  LayerNormalization: normalization("LayerNormalization", ["weight", "bias"]),
};
