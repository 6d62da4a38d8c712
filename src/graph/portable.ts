/**
 * Rewrites a graph in operators that ONNX has had for long (opset 17): newer ones are taken apart.
 *
 * For toolchains that lag behind the standard. ONNX Runtime itself runs the newer ones faster.
 */

import { InternalError } from "../errors.ts";
import type { GraphBuilder } from "./builder.ts";
import type { Graph, OpAttributes, OpName, Value } from "./graph.ts";
import { rewriteGraph } from "./rewrite.ts";

/** Writes an operator in older ones. */
type Parts<Op extends OpName> = (
  b: GraphBuilder,
  inputs: readonly Value[],
  attributes: OpAttributes[Op],
) => Value;

const old = "old enough";
/** Is an operator of ONNX Runtime's own: nothing in the standard does the same. */
const contrib = "of ONNX Runtime";

function inputOf(op: OpName, inputs: readonly Value[], index: number): Value {
  const input = inputs[index];
  if (input === undefined) throw new InternalError({ where: op, what: "an input is missing" });
  return input;
}

/** Rotates x1 by cos - x2 sin, x2 by cos + x1 sin; what is beyond the rotated pairs stays. */
function rotate(b: GraphBuilder, inputs: readonly Value[]): Value {
  const op = "RotaryEmbedding";
  const [x, cosines, sines] = [inputOf(op, inputs, 0), inputOf(op, inputs, 1), inputOf(op, inputs, 2)];
  const pairs = Number(cosines.shape[2] ?? 0);
  const rest = Number(x.shape[3] ?? 0) - 2 * pairs;
  const [batch = 1, tokens = 1] = cosines.shape;
  const table = (values: Value): Value => b.reshape(values, [batch, 1, tokens, pairs]);
  const [cos, sin] = [table(cosines), table(sines)];
  const [first = x, second = x, ...others] = b.split(x, 3, rest > 0 ? [pairs, pairs, rest] : [pairs, pairs]);
  const turned = [b.sub(b.mul(first, cos), b.mul(second, sin)), b.add(b.mul(second, cos), b.mul(first, sin))];
  return b.concat([...turned, ...others], 3);
}

function normalize(b: GraphBuilder, inputs: readonly Value[], epsilon: number): Value {
  const op = "RMSNormalization";
  const [x, weight] = [inputOf(op, inputs, 0), inputOf(op, inputs, 1)];
  const meanSquare = b.reduceMean(b.mul(x, x), [-1], true);
  return b.mul(b.div(x, b.sqrt(b.add(meanSquare, b.scalar(epsilon)))), weight);
}

/** Query heads of a group multiply their shared keys and values by broadcasting. */
function attend(b: GraphBuilder, inputs: readonly Value[], scale: number): Value {
  const op = "Attention";
  const [query, key] = [inputOf(op, inputs, 0), inputOf(op, inputs, 1)];
  const [value, mask] = [inputOf(op, inputs, 2), inputOf(op, inputs, 3)];
  const [batch = 1, heads = 1, tokens = 1, width = 1] = query.shape;
  const [, keyHeads = 1, places = 1] = key.shape;
  const groups = Number(heads) / Number(keyHeads);
  const shared = (x: Value): Value => b.reshape(x, [batch, keyHeads, 1, places, x.shape[3] ?? 1]);
  const grouped = b.reshape(b.mul(query, b.scalar(scale)), [batch, keyHeads, groups, tokens, width]);
  const scores = b.add(b.matMul(grouped, b.transpose(shared(key), [0, 1, 2, 4, 3])), mask);
  const attended = b.matMul(b.softmax(scores, 4), shared(value));
  return b.reshape(attended, query.shape.with(3, value.shape[3] ?? 1));
}

const gelus: {
  readonly [Form in OpAttributes["Gelu"]["approximate"]]: (b: GraphBuilder, x: Value) => Value;
} = {
  none: (b, x) => b.erf(b.mul(x, b.scalar(Math.SQRT1_2))),
  tanh: (b, x) => {
    const cube = b.mul(b.scalar(0.044715), b.mul(x, b.mul(x, x)));
    return b.tanh(b.mul(b.scalar(Math.sqrt(2 / Math.PI)), b.add(x, cube)));
  },
};

const forms: { readonly [Op in OpName]: typeof old | typeof contrib | Parts<Op> } = {
  Identity: old,
  Add: old,
  Sub: old,
  Mul: old,
  Div: old,
  Max: old,
  Min: old,
  Greater: old,
  Neg: old,
  Exp: old,
  Log: old,
  Sqrt: old,
  Sigmoid: old,
  Tanh: old,
  Erf: old,
  Elu: old,
  Gelu: (b, inputs, { approximate }) => {
    const x = inputOf("Gelu", inputs, 0);
    return b.mul(b.mul(x, b.scalar(0.5)), b.add(gelus[approximate](b, x), b.scalar(1)));
  },
  Where: old,
  Cast: old,
  MatMul: old,
  Gemm: old,
  Reshape: old,
  Transpose: old,
  Concat: old,
  Slice: old,
  Split: old,
  Gather: old,
  GatherElements: old,
  ScatterElements: old,
  Expand: old,
  Shape: old,
  ReduceSum: old,
  ReduceMean: old,
  ReduceMax: old,
  Softmax: old,
  LogSoftmax: old,
  RMSNormalization: (b, inputs, { epsilon }) => normalize(b, inputs, epsilon),
  LayerNormalization: old,
  RotaryEmbedding: rotate,
  Attention: (b, inputs, { scale }) => attend(b, inputs, scale),
  MatMulNBits: contrib,
  GatherBlockQuantized: contrib,
  If: old,
};

function writeParts<Op extends OpName>(
  b: GraphBuilder,
  op: Op,
  inputs: readonly Value[],
  attributes: OpAttributes[Op],
): Value | undefined {
  const form: typeof old | typeof contrib | Parts<Op> = forms[op];
  return typeof form === "function" ? form(b, inputs, attributes) : undefined;
}

/**
 * Rewrites a graph in operators of opset 17, and those of ONNX Runtime that it has for quantised weights.
 * Branches of `If` stay as they are: specialise the graph first.
 */
export function toPortableGraph(graph: Graph): Graph {
  return rewriteGraph(graph, {
    node({ builder }, { op, attributes }, inputs) {
      const value = writeParts(builder, op, inputs, attributes);
      return value === undefined ? undefined : [value];
    },
  });
}
