/**
 * Lowers a graph to an ONNX model: names, attributes as ONNX wants them, constants inline or external.
 *
 * What is an attribute here and an input there (axes, shapes, ranges) becomes an int64 constant.
 */

import { InternalError, ShapeError } from "../errors.ts";
import { tensorDataTypes } from "../onnx/codes.ts";
import {
  externalTensor,
  floatAttribute,
  graphAttribute,
  inlineTensor,
  intAttribute,
  intsAttribute,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxNode,
  type OnnxTensor,
  stringAttribute,
  valueInfo,
  writeModel,
} from "../onnx/model-writer.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { formatShape } from "../tensor/shape.ts";
import type { Shape } from "./dim.ts";
import type { ExternalData, Graph, Node, OpName } from "./graph.ts";

/** Is the version of the standard operators that the lowering writes, unless it is told otherwise. */
export const onnxOpset = 24;

/** Is an old version that toolchains know, for graphs that `toPortableGraph` made. */
export const portableOpset = 17;

/** Chooses how a model is written. */
export interface OnnxOptions {
  /** Version of the standard operators; {@link onnxOpset} by default. */
  readonly opset?: typeof onnxOpset | typeof portableOpset;
  /** Whether the types of all values are written down, for tools that do not derive them. */
  readonly withTypes?: boolean;
}

/** Is the domain of ONNX Runtime's own operators. */
const contribDomain = "com.microsoft";

/** Says how one node is written. */
interface OnnxForm {
  /** The operator's domain; the standard one when absent. */
  readonly domain?: string;
  readonly attributes?: readonly OnnxAttribute[];
  /** Constant int64 inputs that follow the node's own, `undefined` for an absent optional one. */
  readonly constants?: readonly (readonly number[] | undefined)[];
}

type FormOf<Op extends OpName> = (node: Node<Op>, lowering: Lowering) => OnnxForm;

const plain = (): OnnxForm => ({});

const reduceSum = ({ attributes: { axes, keepDims } }: Node<"ReduceSum">): OnnxForm => ({
  attributes: [
    intAttribute("keepdims", keepDims ? 1 : 0),
    // Without it, no axes would mean all.
    intAttribute("noop_with_empty_axes", 1),
  ],
  constants: [axes],
});

/** Before opset 18 only ReduceSum takes its axes as an input. */
function reduce(node: Node<"ReduceMean" | "ReduceMax">, { opset }: Lowering): OnnxForm {
  const { op, attributes } = node;
  const { axes, keepDims } = attributes;
  if (opset >= 18) return reduceSum({ ...node, op: "ReduceSum", attributes });
  if (axes.length === 0) {
    const expected = "at least one axis before opset 18";
    throw new ShapeError({ where: op, what: "nothing is reduced", got: "no axes", expected });
  }
  return { attributes: [intAttribute("keepdims", keepDims ? 1 : 0), intsAttribute("axes", axes)] };
}

/**
 * Writes a target shape: 0 keeps the input's extent at that axis, -1 is the one that is inferred. With
 * `allowzero` a 0 is an extent of zero, and nothing can be kept or inferred.
 */
function reshape({ inputs, attributes: { shape } }: Node<"Reshape">): OnnxForm {
  const input: Shape = inputs[0]?.shape ?? [];
  const fail = (what: string, expected: string): never => {
    const got = `${formatShape(input)} to ${formatShape(shape)}`;
    throw new ShapeError({ where: "Reshape", what, got, expected });
  };
  const extents = shape.map((dim, axis) => (typeof dim === "number" ? dim : dim === input[axis] ? 0 : -1));
  if (extents.filter((extent) => extent === -1).length > 1)
    fail("more than one symbolic extent moves", "at most one");
  const isEmpty = shape.some((dim, axis) => dim === 0 && input[axis] !== 0);
  if (isEmpty && shape.some((dim) => typeof dim === "string"))
    fail("an extent of zero moves beside a symbolic one", "static extents");
  return { ...(isEmpty && { attributes: [intAttribute("allowzero", 1)] }), constants: [extents] };
}

const forms: { readonly [Op in OpName]: FormOf<Op> } = {
  Identity: plain,
  Add: plain,
  Sub: plain,
  Mul: plain,
  Div: plain,
  Max: plain,
  Min: plain,
  Greater: plain,
  Neg: plain,
  Exp: plain,
  Log: plain,
  Sqrt: plain,
  Sigmoid: plain,
  Tanh: plain,
  Erf: plain,
  Elu: ({ attributes }) => ({ attributes: [floatAttribute("alpha", attributes.alpha)] }),
  Gelu: ({ attributes }) => ({ attributes: [stringAttribute("approximate", attributes.approximate)] }),
  Where: plain,
  Cast: ({ attributes }) => ({ attributes: [intAttribute("to", tensorDataTypes[attributes.to])] }),
  MatMul: plain,
  Gemm: ({ attributes: { transposeA, transposeB } }) => ({
    attributes: [
      ...(transposeA ? [intAttribute("transA", 1)] : []),
      intAttribute("transB", transposeB ? 1 : 0),
    ],
  }),
  Reshape: reshape,
  Transpose: ({ attributes }) => ({ attributes: [intsAttribute("perm", attributes.permutation)] }),
  Concat: ({ attributes }) => ({ attributes: [intAttribute("axis", attributes.axis)] }),
  Slice: ({ attributes: { axis, start, end } }) => ({ constants: [[start], [end], [axis]] }),
  Split: ({ inputs, attributes: { axis, sizes } }) => ({
    attributes: [intAttribute("axis", axis)],
    ...(inputs.length === 1 && { constants: [sizes.map(Number)] }),
  }),
  Gather: plain,
  GatherElements: ({ attributes }) => ({ attributes: [intAttribute("axis", attributes.axis)] }),
  ScatterElements: ({ attributes: { axis, reduction } }) => ({
    attributes: [intAttribute("axis", axis), stringAttribute("reduction", reduction)],
  }),
  Expand: ({ inputs, attributes: { shape } }) =>
    inputs.length === 1 ? { constants: [shape.map(Number)] } : {},
  Shape: plain,
  ReduceSum: reduceSum,
  ReduceMean: reduce,
  ReduceMax: reduce,
  Softmax: ({ attributes }) => ({ attributes: [intAttribute("axis", attributes.axis)] }),
  LogSoftmax: ({ attributes }) => ({ attributes: [intAttribute("axis", attributes.axis)] }),
  RMSNormalization: ({ attributes }) => ({
    attributes: [intAttribute("axis", -1), floatAttribute("epsilon", attributes.epsilon)],
  }),
  LayerNormalization: ({ attributes }) => ({
    attributes: [intAttribute("axis", -1), floatAttribute("epsilon", attributes.epsilon)],
  }),
  RotaryEmbedding: ({ inputs: [x, cos] }) => {
    const rotated = 2 * Number(cos?.shape[2] ?? 0);
    // The attribute is for parts of heads only: runtimes want other shapes when it is there.
    return rotated === x?.shape[3] ? {} : { attributes: [intAttribute("rotary_embedding_dim", rotated)] };
  },
  Attention: ({ attributes }) => ({ attributes: [floatAttribute("scale", attributes.scale)] }),
  MatMulNBits: ({ inputs, attributes: { bits, blockSize, innerSize, accuracyLevel } }) => ({
    domain: contribDomain,
    attributes: [
      intAttribute("K", innerSize),
      intAttribute("N", Number(inputs[1]?.shape[0] ?? 0)),
      intAttribute("bits", bits),
      intAttribute("block_size", blockSize),
      intAttribute("accuracy_level", accuracyLevel),
    ],
  }),
  GatherBlockQuantized: ({ attributes: { bits, blockSize } }) => ({
    domain: contribDomain,
    attributes: [
      intAttribute("bits", bits),
      intAttribute("block_size", blockSize),
      intAttribute("gather_axis", 0),
      intAttribute("quantize_axis", 1),
    ],
  }),
  If: ({ attributes }, lowering) => ({
    attributes: [
      graphAttribute("then_branch", lowering.lowerBranch(attributes.thenBranch)),
      graphAttribute("else_branch", lowering.lowerBranch(attributes.elseBranch)),
    ],
  }),
};

/** Names a file of external data as the runtime will be told of it. */
export type NameLocation = (external: ExternalData) => string;

class Lowering {
  readonly #constants = new Map<string, OnnxTensor>();
  readonly #opsets: Record<string, number>;
  readonly #locate: NameLocation;
  readonly #withTypes: boolean;
  readonly opset: number;

  constructor(locate: NameLocation, { opset = onnxOpset, withTypes = false }: OnnxOptions) {
    this.#locate = locate;
    this.#withTypes = withTypes;
    this.#opsets = { "": opset };
    this.opset = opset;
  }

  #int64Constant(values: readonly number[]): string {
    const name = `int64:${values.join(",")}`;
    if (!this.#constants.has(name)) {
      const data = BigInt64Array.from(values.map(BigInt));
      this.#constants.set(name, inlineTensor(name, hostTensor("int64", [values.length], data)));
    }
    return name;
  }

  #lowerNode<Op extends OpName>(node: Node<Op>): OnnxNode {
    const form: OnnxForm = forms[node.op](node, this);
    if (form.domain !== undefined) this.#opsets[form.domain] = 1;
    const constants = (form.constants ?? []).map((values) =>
      values === undefined ? "" : this.#int64Constant(values),
    );
    return {
      name: node.outputs[0]?.name ?? node.op,
      opType: node.op,
      domain: form.domain ?? "",
      input: [...node.inputs.map((value) => value.name), ...constants],
      output: node.outputs.map((value) => value.name),
      attribute: [...(form.attributes ?? [])],
    };
  }

  lowerBranch(graph: Graph): OnnxGraph {
    if (graph.inputs.length > 0 || graph.initializers.length > 0) {
      throw new InternalError({ where: graph.name, what: "a branch has inputs or constants of its own" });
    }
    const node = graph.nodes.map((item) => this.#lowerNode(item));
    const own = new Set(node.flatMap(({ output }) => output ?? []));
    const output = graph.outputs.map(({ name, dtype, shape }, index) => {
      if (own.delete(name)) return valueInfo(name, dtype, shape);
      // ONNX wants each output to be a value of the branch itself, and to be given once.
      const copy = `${graph.name}:${index}`;
      node.push({ name: copy, opType: "Identity", input: [name], output: [copy] });
      return valueInfo(copy, dtype, shape);
    });
    return { name: graph.name, node, output };
  }

  /** The version of every domain that nodes lowered so far are of. */
  get opsets(): Readonly<Record<string, number>> {
    return this.#opsets;
  }

  lowerGraph(graph: Graph): OnnxGraph {
    const node = graph.nodes.map((item) => this.#lowerNode(item));
    const own = graph.initializers.map(({ value, data }) =>
      data.kind === "inline"
        ? inlineTensor(value.name, data.tensor)
        : externalTensor(value.name, value.dtype, value.shape.map(Number), {
            location: this.#locate(data.external),
            offset: data.external.offset,
            lengthBytes: data.external.lengthBytes,
          }),
    );
    const outputs = new Set(graph.outputs.map(({ name }) => name));
    const inner = graph.nodes.flatMap((item) => item.outputs).filter(({ name }) => !outputs.has(name));
    return {
      name: graph.name,
      node,
      ...(this.#withTypes && {
        valueInfo: inner.map(({ name, dtype, shape }) => valueInfo(name, dtype, shape)),
      }),
      input: graph.inputs.map(({ name, dtype, shape }) => valueInfo(name, dtype, shape)),
      output: graph.outputs.map(({ name, dtype, shape }) => valueInfo(name, dtype, shape)),
      initializer: [...own, ...this.#constants.values()],
    };
  }
}

/**
 * Lowers a graph to the bytes of an ONNX model.
 * @param locate names the file of an external constant; constants keep their offsets.
 */
export function graphToOnnx(graph: Graph, locate: NameLocation, options: OnnxOptions = {}): Uint8Array {
  const lowering = new Lowering(locate, options);
  const lowered = lowering.lowerGraph(graph);
  return writeModel(lowered, lowering.opsets, lowering.opset >= 18 ? 10 : 8);
}
