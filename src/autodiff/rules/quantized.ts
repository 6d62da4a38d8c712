/**
 * Gradients of the operators on quantised weights: activations have one, so that a quantised base can be frozen
 * under what is trained. The weights have none.
 */

import type { GraphBuilder } from "../../graph/builder.ts";
import type { Value } from "../../graph/graph.ts";
import type { QuantizedAttributes } from "../../graph/ops/quantized.ts";
import { hostTensor } from "../../tensor/host-tensor.ts";
import type { GradientContext, GradientRules } from "../gradient-rule.ts";

const frozen = { reason: "quantised weights are not trained" };

/** Widens weights `[m, k]` to float32: reads all rows of the blocks as a table. */
function widen(
  b: GraphBuilder,
  data: Value,
  scales: Value,
  { bits, blockSize }: QuantizedAttributes["MatMulNBits"],
): Value {
  const [rows = 0, blocks = 0, blockBytes = 0] = data.shape.map(Number);
  const table = b.reshape(data, [rows, blocks * blockBytes]);
  const every = BigInt64Array.from({ length: rows }, (_, row) => BigInt(row));
  const indices = b.constant("rows", hostTensor("int64", [rows], every));
  return b.gatherBlockQuantized(table, indices, scales, { bits, blockSize, innerSize: blocks * blockSize });
}

/** Computes dx = g w; the last block of a row may be padded. */
function activationBack({ b, attributes, gradient, input }: GradientContext<"MatMulNBits">): Value {
  const product = b.gemm([gradient(), widen(b, input(1), input(2), attributes)], false, false);
  return product.shape[1] === attributes.innerSize ? product : b.slice(product, 1, 0, attributes.innerSize);
}

/** Gives the gradient rule of each operator on quantised weights. */
export const quantizedGradients: GradientRules<QuantizedAttributes> = {
  MatMulNBits: (context) => [
    context.inputs.length === 3
      ? () => activationBack(context)
      : { reason: "weights with zero points are not widened: hold them with offsets" },
    undefined,
    frozen,
    frozen,
  ],
  GatherBlockQuantized: frozen,
};
