/**
 * The graph: typed values, nodes in order of evaluation, constants. Plain data.
 *
 * Operator names and meanings are those of ONNX (opset 24); what ONNX passes as constant inputs (axes,
 * shapes, slices) is an attribute here. Who builds, verifies, prints, lowers or runs it lives elsewhere.
 */

import type { ByteSource } from "../files/byte-source.ts";
import type { DType } from "../tensor/dtype.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { Shape } from "./dim.ts";
import type { AttentionAttributes } from "./ops/attention.ts";
import type { ElementwiseAttributes } from "./ops/elementwise.ts";
import type { LinearAttributes } from "./ops/linear.ts";
import type { MovementAttributes } from "./ops/movement.ts";
import type { QuantizedAttributes } from "./ops/quantized.ts";
import type { ReductionAttributes } from "./ops/reduction.ts";

/** Lists the attributes of each control operator. They are here, and not with the others, because graphs nest. */
export interface ControlAttributes {
  /** Evaluates one branch, by a bool scalar. Branches have no inputs and may use outer values. */
  If: { readonly thenBranch: Graph; readonly elseBranch: Graph };
}

/** Maps each operator to its attributes. */
export interface OpAttributes
  extends ElementwiseAttributes,
    LinearAttributes,
    MovementAttributes,
    ReductionAttributes,
    AttentionAttributes,
    QuantizedAttributes,
    ControlAttributes {}

/** Names an operator. */
export type OpName = keyof OpAttributes;

/** Is a tensor in a graph, before it has data. */
export interface Value {
  /** Is unique within a graph and its branches. */
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Applies one operator. */
export interface Node<Op extends OpName = OpName> {
  readonly op: Op;
  readonly inputs: readonly Value[];
  readonly attributes: OpAttributes[Op];
  readonly outputs: readonly Value[];
}

/** Is a constant whose bytes stay in a file (little-endian, row-major) until the runtime reads or maps them. */
export interface ExternalData {
  readonly source: ByteSource;
  /** Bytes from the beginning of the file. */
  readonly offset: number;
  readonly lengthBytes: number;
}

/** Gives the elements of a constant. */
export type InitializerData =
  | { readonly kind: "inline"; readonly tensor: HostTensor }
  | { readonly kind: "external"; readonly external: ExternalData };

/** Is a constant of a graph: a weight, a bias, a mask. */
export interface Initializer {
  readonly value: Value;
  readonly data: InitializerData;
}

/** Is a whole computation. A branch of `If` is a graph without inputs that may use the outer graph's values. */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly initializers: readonly Initializer[];
  readonly nodes: readonly Node[];
}
