/**
 * Products with weights held in blocks of small integers (ONNX Runtime's `com.microsoft` operators).
 *
 * A weight of row r, element i in block c = i / blockSize is (q[r, i] - 2^(bits-1)) * scale[r, c], or
 * (q - zero[r, c]) * scale with zero points. Elements of 4 bits lie two to a byte, the first in the low half.
 * The last block of a row is padded.
 */

import type { BlockFormat } from "../../tensor/block-quantization.ts";
import type { Dim } from "../dim.ts";
import {
  assertDType,
  assertRank,
  assertSameDim,
  inputAt,
  type ShapeRule,
  type ValueType,
} from "../shape-rule.ts";

/** Lists the attributes of each operator on quantised weights. */
export interface QuantizedAttributes {
  /**
   * `x [n, k]` times the transpose of weights `[m, k]`: data uint8 `[m, k / blockSize, blockSize * bits / 8]`,
   * scales `[m, k / blockSize]`, optional float zero points of the scales' shape -> `[n, m]`.
   */
  MatMulNBits: BlockFormat & {
    readonly innerSize: number;
    /** How the runtime may round x on the way: 1 not at all, 4 to 8 bits a block (the fast kernels). */
    readonly accuracyLevel: 1 | 4;
  };
  /** Rows of a quantised table by int64 indices `[n]`: data uint8 `[v, k * bits / 8]`, scales -> `[n, k]`. */
  GatherBlockQuantized: BlockFormat & { readonly innerSize: number };
}

function blockCount({ blockSize, innerSize }: QuantizedAttributes["GatherBlockQuantized"]): number {
  return Math.ceil(innerSize / blockSize);
}

function assertScales(op: string, scales: ValueType, rows: Dim, blocks: number): void {
  assertDType(op, scales, "float32");
  assertRank(op, scales.shape, 2);
  assertSameDim(op, "the scales' rows", scales.shape[0] ?? 0, rows);
  assertSameDim(op, "the scales' blocks", scales.shape[1] ?? 0, blocks);
}

/** Gives the shape rule of each operator on quantised weights. */
export const quantizedShapes: {
  readonly [Op in keyof QuantizedAttributes]: ShapeRule<QuantizedAttributes[Op]>;
} = {
  MatMulNBits: (inputs, attributes) => {
    const op = "MatMulNBits";
    const [x, data, scales] = [inputAt(op, inputs, 0), inputAt(op, inputs, 1), inputAt(op, inputs, 2)];
    const { bits, blockSize, innerSize } = attributes;
    assertDType(op, x, "float32");
    assertDType(op, data, "uint8");
    assertRank(op, x.shape, 2);
    assertRank(op, data.shape, 3);
    const [rows = 0, blocks = 0, bytes = 0] = data.shape;
    assertSameDim(op, "inner extents differ", x.shape[1] ?? 0, innerSize);
    assertSameDim(op, "the data's blocks", blocks, blockCount(attributes));
    assertSameDim(op, "the data's bytes a block", bytes, (blockSize * bits) / 8);
    assertScales(op, scales, rows, blockCount(attributes));
    const zeroPoints = inputs[3];
    if (zeroPoints !== undefined) assertScales(op, zeroPoints, rows, blockCount(attributes));
    return [{ dtype: x.dtype, shape: [x.shape[0] ?? 0, rows] }];
  },
  GatherBlockQuantized: (inputs, attributes) => {
    const op = "GatherBlockQuantized";
    const [data, indices, scales] = [inputAt(op, inputs, 0), inputAt(op, inputs, 1), inputAt(op, inputs, 2)];
    assertDType(op, data, "uint8");
    assertDType(op, indices, "int64", "int32");
    assertRank(op, data.shape, 2);
    assertRank(op, indices.shape, 1);
    assertSameDim(op, "the data's width", data.shape[1] ?? 0, (attributes.innerSize * attributes.bits) / 8);
    assertScales(op, scales, data.shape[0] ?? 0, blockCount(attributes));
    return [{ dtype: "float32", shape: [indices.shape[0] ?? 0, attributes.innerSize] }];
  },
};
