import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { memoryByteSource } from "../files/byte-source.ts";
import { type AttributeProto, type GraphProto, ModelProtoSchema } from "../onnx/generated/onnx_pb.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { GraphBuilder } from "./builder.ts";
import type { Dim } from "./dim.ts";
import type { Graph, Value } from "./graph.ts";
import { graphToOnnx, onnxOpset } from "./to-onnx.ts";

function lower(graph: Graph): GraphProto {
  const model = fromBinary(
    ModelProtoSchema,
    graphToOnnx(graph, ({ source }) => `file of ${source.name}`),
  );
  expect(model.opsetImport).toMatchObject([{ domain: "", version: BigInt(onnxOpset) }]);
  if (model.graph === undefined) throw new Error("no graph");
  return model.graph;
}

/** Prints an attribute as `name=value`. */
function attributeText({ name, i, f, s, ints, type }: AttributeProto): string {
  if (type === 3) return `${name}=${new TextDecoder().decode(s)}`;
  if (type === 7) return `${name}=[${ints}]`;
  return `${name}=${type === 1 ? f : i}`;
}

/** Prints the nodes of a graph; int64 constants by their values. */
function nodesText(graph: GraphProto): string[] {
  return graph.node.map(({ opType, input, output, attribute }) =>
    `${output} = ${opType}(${input.join("; ")}) ${attribute.map(attributeText).join(" ")}`.trim(),
  );
}

const x = (b: GraphBuilder, ...shape: Dim[]): Value => b.input("x", "float32", shape);

describe("graphToOnnx", () => {
  it.each<[string, (b: GraphBuilder) => readonly Value[], string[]]>([
    ["plain operators", (b) => [b.exp(x(b))], ["exp = Exp(x)"]],
    ["floats", (b) => [b.elu(x(b), 0.5)], ["elu = Elu(x) alpha=0.5"]],
    ["words", (b) => [b.gelu(x(b), "tanh")], ["gelu = Gelu(x) approximate=tanh"]],
    ["dtypes by their codes", (b) => [b.cast(x(b), "bfloat16")], ["cast = Cast(x) to=16"]],
    [
      "a stored weight",
      (b) => [b.linear(x(b, "T", 2), b.input("w", "float32", [3, 2]))],
      ["gemm = Gemm(x; w) transB=1"],
    ],
    [
      "a transposed product",
      (b) => [b.gemm([x(b, 2, "T"), b.input("w", "float32", [2, 3])], true, false)],
      ["gemm = Gemm(x; w) transA=1 transB=0"],
    ],
    [
      "an axis of elements that are taken",
      (b) => [b.gatherElements(x(b, 2, 3), b.input("i", "int64", [2, 1]), 1)],
      ["gatherelements = GatherElements(x; i) axis=1"],
    ],
    [
      "an axis along which updates add up",
      (b) => [b.scatterAdd(x(b, 3), b.input("i", "int64", [1]), b.input("u", "float32", [1]), 0)],
      ["scatterelements = ScatterElements(x; i; u) axis=0 reduction=add"],
    ],
    ["static extents", (b) => [b.expand(x(b, 2, 1), [2, 3])], ["expand = Expand(x; int64:2,3)"]],
    [
      "symbolic extents",
      (b) => [b.expand(b.scalar(0), ["T"], b.shapeOf(x(b, "T")))],
      ["shape = Shape(x)", "expand = Expand(scalar; shape)"],
    ],
    ["the axis of log-softmax", (b) => [b.logSoftmax(x(b, 2, 3), 0)], ["logsoftmax = LogSoftmax(x) axis=0"]],
    ["permutations", (b) => [b.transpose(x(b, 1, 2), [1, 0])], ["transpose = Transpose(x) perm=[1,0]"]],
    ["an axis of concat", (b) => [b.concat([x(b, 1)], -1)], ["concat = Concat(x) axis=-1"]],
    ["a range", (b) => [b.slice(x(b, 9), 0, 2, 5)], ["slice = Slice(x; int64:2; int64:5; int64:0)"]],
    ["static parts", (b) => b.split(x(b, 5), 0, [2, 3]), ["split,split_1 = Split(x; int64:2,3) axis=0"]],
    [
      "symbolic parts",
      (b) => b.split(x(b, "P+T"), 0, ["P", "T"], b.input("sizes", "int64", [2])),
      ["split,split_1 = Split(x; sizes) axis=0"],
    ],
    [
      "axes that are kept",
      (b) => [b.reduceSum(x(b, 2, 3), [1, 0], true)],
      ["reducesum = ReduceSum(x; int64:1,0) keepdims=1 noop_with_empty_axes=1"],
    ],
    [
      "no axes, which are not all axes",
      (b) => [b.reduceMax(x(b, 2, 3), [], false)],
      ["reducemax = ReduceMax(x; int64:) keepdims=0 noop_with_empty_axes=1"],
    ],
    ["the axis of softmax", (b) => [b.softmax(x(b, 2, 3), 0)], ["softmax = Softmax(x) axis=0"]],
    [
      "the axis and epsilon of a norm",
      (b) => [b.rmsNorm(x(b, 2, 3), b.input("w", "float32", [3]), 0.25)],
      ["rmsnormalization = RMSNormalization(x; w) axis=-1 epsilon=0.25"],
    ],
  ])("writes %s", (_, write, nodes) => {
    const b = new GraphBuilder("g");
    expect(nodesText(lower(b.finish(write(b))))).toEqual(nodes);
  });

  it.each<[string, Dim[], Dim[], string]>([
    ["static", [2, 3], [3, 2], "(x; int64:3,2)"],
    ["to a scalar", [1], [], "(x; int64:)"],
    ["an extent that stays", ["T", 6], ["T", 2, 3], "(x; int64:0,2,3)"],
    ["an extent that moves", ["T", 6], [6, "T"], "(x; int64:6,-1)"],
    ["one that moves past one that stays", [1, "P", "T", 1], ["P", 1, "T", 1], "(x; int64:-1,1,0,1)"],
    ["a zero that stays", [0, "T"], [0, 1, "T"], "(x; int64:0,1,-1)"],
    ["a zero that moves", [0, 3], [3, 0], "(x; int64:3,0) allowzero=1"],
  ])("writes a reshape: %s", (_, from, to, text) => {
    const b = new GraphBuilder("g");
    const graph = b.finish([b.reshape(x(b, ...from), to)]);
    expect(nodesText(lower(graph))).toEqual([`reshape = Reshape${text}`]);
  });

  it.each<[string, Dim[], Dim[], RegExp]>([
    ["two extents move", [1, "T", "P"], ["T", "P", 1], /more than one symbolic extent moves/],
    ["a zero moves beside a symbol", ["T", 3, 0], ["T", 0, 3], /an extent of zero moves beside/],
  ])("refuses a reshape where %s", (_, from, to, message) => {
    const b = new GraphBuilder("g");
    const graph = b.finish([b.reshape(x(b, ...from), to)]);
    expect(() => lower(graph)).toThrow(message);
  });

  it("writes types, symbols and constants, inline and external", () => {
    const b = new GraphBuilder("g");
    const input = b.input("x", "float32", ["P+T", 2]);
    const source = memoryByteSource("m", new Uint8Array(16));
    const w = b.external("w", "bfloat16", [2], { source, offset: 8, lengthBytes: 4 });
    const k = b.constant("k", hostTensor("float32", [1], Float32Array.of(1)));
    const graph = lower(b.finish([b.mul(b.add(input, k), b.cast(w, "float32"))]));
    const dim = [{ value: { case: "dimParam", value: "P+T" } }, { value: { case: "dimValue", value: 2n } }];
    const type = { value: { value: { elemType: 1, shape: { dim } } } };
    expect(graph.input).toMatchObject([{ name: "x", type }]);
    expect(graph.output).toMatchObject([{ name: "mul", type }]);
    expect(graph.initializer).toMatchObject([
      {
        name: "w",
        dataType: 16,
        dims: [2n],
        dataLocation: 1,
        externalData: [
          { key: "location", value: "file of m" },
          { key: "offset", value: "8" },
          { key: "length", value: "4" },
        ],
      },
      { name: "k", dataType: 1, dims: [1n], rawData: new Uint8Array(Float32Array.of(1).buffer) },
    ]);
  });

  it("writes equal int64 constants once, those of branches in the outermost graph", () => {
    const b = new GraphBuilder("g");
    const input = x(b, 2, 2);
    const condition = b.input("c", "bool", []);
    const flat = b.reshape(input, [4]);
    const outputs = b.if(
      condition,
      (branch) => [branch.reshape(branch.neg(input), [4])],
      (branch) => [branch.slice(flat, 0, 0, 4)],
    );
    const graph = lower(b.finish(outputs));
    expect(graph.initializer.map(({ name }) => name)).toEqual(["int64:4", "int64:0"]);
    const branches = graph.node.at(-1)?.attribute.map(({ name, g }) => [name, g && nodesText(g)]);
    expect(branches).toEqual([
      ["then_branch", ["neg = Neg(x)", "reshape_1 = Reshape(neg; int64:4)"]],
      ["else_branch", ["slice = Slice(reshape; int64:0; int64:4; int64:0)"]],
    ]);
  });

  it("copies outer values that a branch hands on, and values that it gives twice", () => {
    const b = new GraphBuilder("g");
    const input = x(b, 2);
    const outputs = b.if(
      b.input("c", "bool", []),
      () => [input, input],
      (branch) => {
        const minus = branch.neg(input);
        return [minus, minus];
      },
    );
    const [node] = lower(b.finish(outputs)).node;
    const branches = node?.attribute.map(({ g }) => g && [nodesText(g), g.output.map(({ name }) => name)]);
    expect(branches).toEqual([
      [
        ["g_then:0 = Identity(x)", "g_then:1 = Identity(x)"],
        ["g_then:0", "g_then:1"],
      ],
      [
        ["neg = Neg(x)", "g_else:1 = Identity(neg)"],
        ["neg", "g_else:1"],
      ],
    ]);
  });

  it("refuses a branch with inputs of its own", () => {
    const b = new GraphBuilder("g");
    const outputs = b.if(
      b.input("c", "bool", []),
      (branch) => [branch.input("y", "float32", [])],
      (branch) => [branch.scalar(1)],
    );
    expect(() => lower(b.finish(outputs))).toThrow(/a branch has inputs/);
  });
});
