/**
 * Matrix products.
 */

import { broadcastShapes } from "../dim.ts";
import {
  assertDType,
  assertRank,
  assertSameDim,
  assertSameDType,
  inputAt,
  type ShapeRule,
} from "../shape-rule.ts";

/** Lists the attributes of each matrix product. */
export interface LinearAttributes {
  /** `[..., n, k] x [..., k, m] -> [..., n, m]`, batch extents broadcast. */
  MatMul: Readonly<Record<string, never>>;
  /** `x [n, k] (or [k, n] with transposeA), w [k, m] (or [m, k] with transposeB), optional bias [m] -> [n, m]`. */
  Gemm: { readonly transposeA: boolean; readonly transposeB: boolean };
}

/** Gives the shape rule of each matrix product. */
export const linearShapes: { readonly [Op in keyof LinearAttributes]: ShapeRule<LinearAttributes[Op]> } = {
  MatMul: (inputs) => {
    const a = inputAt("MatMul", inputs, 0);
    const b = inputAt("MatMul", inputs, 1);
    assertSameDType("MatMul", [a, b]);
    assertDType("MatMul", a, "float32", "float64", "float16");
    const [rows, inner] = a.shape.slice(-2);
    const [innerB, columns] = b.shape.slice(-2);
    if (rows === undefined || inner === undefined || innerB === undefined || columns === undefined) {
      assertRank("MatMul", inner === undefined ? a.shape : b.shape, 2);
      return [];
    }
    assertSameDim("MatMul", "inner extents differ", innerB, inner);
    const batch = broadcastShapes("MatMul", a.shape.slice(0, -2), b.shape.slice(0, -2));
    return [{ dtype: a.dtype, shape: [...batch, rows, columns] }];
  },
  Gemm: (inputs, { transposeA, transposeB }) => {
    const x = inputAt("Gemm", inputs, 0);
    const w = inputAt("Gemm", inputs, 1);
    const bias = inputs[2];
    assertSameDType("Gemm", inputs);
    assertDType("Gemm", x, "float32", "float64", "float16");
    assertRank("Gemm", x.shape, 2);
    assertRank("Gemm", w.shape, 2);
    const [rows = 0, inner = 0] = transposeA ? x.shape.toReversed() : x.shape;
    const [outer = 0, last = 0] = w.shape;
    assertSameDim("Gemm", "inner extents differ", transposeB ? last : outer, inner);
    const columns = transposeB ? outer : last;
    if (bias !== undefined) {
      assertRank("Gemm", bias.shape, 1);
      assertSameDim("Gemm", "the bias does not fit", bias.shape[0] ?? 0, columns);
    }
    return [{ dtype: x.dtype, shape: [rows, columns] }];
  },
};
