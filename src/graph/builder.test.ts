import { describe, expect, it } from "vitest";
import { ShapeError } from "../errors.ts";
import { memoryByteSource } from "../files/byte-source.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { GraphBuilder } from "./builder.ts";
import type { OpAttributes, Value } from "./graph.ts";
import { verifyGraph } from "./verify.ts";

const one = hostTensor("float32", [1], Float32Array.of(1));
const external = { source: memoryByteSource("m", new Uint8Array(8)), offset: 4, lengthBytes: 4 };

describe("GraphBuilder", () => {
  it("makes a graph of inputs, constants, nodes in order and outputs", () => {
    const b = new GraphBuilder("g");
    const x = b.input("x", "float32", ["T", 2]);
    const weight = b.external("w", "float32", [1], external);
    const sum = b.add(x, weight);
    const graph = b.finish([b.named("y", sum)]);
    verifyGraph(graph);
    expect(graph.inputs).toEqual([x]);
    expect(graph.initializers).toEqual([{ value: weight, data: { kind: "external", external } }]);
    expect(graph.nodes.map((node) => node.op)).toEqual(["Add", "Identity"]);
    expect(graph.outputs).toEqual([{ name: "y", dtype: "float32", shape: ["T", 2] }]);
  });

  it("gives every value a name of its own", () => {
    const b = new GraphBuilder("g");
    const x = b.input("add", "float32", [1]);
    const names = [b.add(x, x), b.add(x, x), b.constant("c", one), b.constant("c", one)].map((v) => v.name);
    expect(names).toEqual(["add_1", "add_2", "c", "c_1"]);
  });

  it.each<[string, (b: GraphBuilder) => Value]>([
    ["an input", (b) => b.input("x", "float32", [])],
    ["an external constant", (b) => b.external("x", "float32", [1], external)],
    ["a named value", (b) => b.named("x", b.scalar(1))],
  ])("refuses a taken name for %s", (_, declare) => {
    const b = new GraphBuilder("g");
    b.input("x", "float32", [1]);
    expect(() => declare(b)).toThrow(/graph g: a name is taken, got "x"/);
  });

  it("puts extents of inputs into canonical form, and refuses malformed ones", () => {
    const b = new GraphBuilder("g");
    expect(b.input("x", "float32", ["T+P+T", 2]).shape).toEqual(["P+2*T", 2]);
    expect(() => b.input("y", "float32", ["T-1"])).toThrow(ShapeError);
    expect(() => b.input("z", "float32", [-1])).toThrow(ShapeError);
  });

  it("names the operator and its inputs when they do not fit", () => {
    const b = new GraphBuilder("g");
    const x = b.input("x", "float32", ["T", 2]);
    expect(() => b.matMul(x, x)).toThrow(
      /^graph g, MatMul\(x float32 \[T, 2\]; x float32 \[T, 2\]\): MatMul: inner extents differ/,
    );
  });

  it("shares scalars of one value, in branches too, and keeps 0 and -0 apart", () => {
    const b = new GraphBuilder("g");
    const half = b.scalar(0.5);
    expect(b.scalar(0.5)).toBe(half);
    expect(b.scalar(0)).not.toBe(b.scalar(-0));
    const condition = b.input("c", "bool", []);
    b.if(
      condition,
      (branch) => [branch.neg(branch.scalar(0.5))],
      (branch) => [branch.neg(branch.scalar(0.25))],
    );
    expect(b.finish([]).initializers.map(({ value }) => value.name)).toEqual([
      "scalar",
      "scalar_1",
      "scalar_2",
      "scalar_3",
    ]);
  });

  it("writes branches without inputs or constants of their own, in one space of names", () => {
    const b = new GraphBuilder("g");
    const x = b.input("x", "float32", [1]);
    const outputs = b.if(
      b.input("c", "bool", []),
      (branch) => [branch.add(x, branch.constant("k", one))],
      (branch) => [branch.add(x, x)],
    );
    const graph = b.finish(outputs);
    verifyGraph(graph);
    expect(graph.initializers.map(({ value }) => value.name)).toEqual(["k"]);
    expect(graph.nodes.map((node) => node.op)).toEqual(["If"]);
  });

  it("writes no cast to the same dtype", () => {
    const b = new GraphBuilder("g");
    const x = b.input("x", "float32", [1]);
    expect(b.cast(x, "float32")).toBe(x);
    expect(b.cast(x, "int64").dtype).toBe("int64");
  });

  it("computes silu as x sigmoid(x)", () => {
    const b = new GraphBuilder("g");
    const x = b.input("x", "float32", [1]);
    const { nodes } = b.finish([b.silu(x)]);
    expect(nodes.map(({ op, inputs }) => [op, inputs.map(({ name }) => name)])).toEqual([
      ["Sigmoid", ["x"]],
      ["Mul", ["x", "sigmoid"]],
    ]);
  });

  it("views what a view is of, and leaves out the views between", () => {
    const b = new GraphBuilder("g");
    const x = b.input("x", "float32", ["T", 6]);
    const c = b.input("c", "bool", []);
    const between = b.reshape(b.reshape(x, ["T", 3, 2]), ["T", 2, 3]);
    const outputs = b.if(
      c,
      (branch) => [branch.reshape(between, ["T", 1, 6])],
      (branch) => [branch.add(branch.reshape(between, ["T", 1, 6]), branch.scalar(1))],
    );
    const graph = b.finish(outputs);
    verifyGraph(graph);
    expect(graph.nodes.map(({ op }) => op)).toEqual(["If"]);
    const branches = graph.nodes.flatMap(({ attributes }) => {
      const { thenBranch, elseBranch } = attributes as OpAttributes["If"];
      return [thenBranch, elseBranch];
    });
    expect(branches.map(({ nodes }) => nodes.map(({ op, inputs }) => [op, inputs[0]?.name]))).toEqual([
      [["Reshape", "x"]],
      [
        ["Reshape", "x"],
        ["Add", "reshape_3"],
      ],
    ]);
  });

  it("leaves out what no output needs, and keeps what a branch reads", () => {
    const b = new GraphBuilder("g");
    const x = b.input("x", "float32", [1]);
    b.exp(b.neg(x));
    const read = b.sqrt(x);
    const outputs = b.if(
      b.input("c", "bool", []),
      (branch) => [branch.add(read, x)],
      (branch) => [branch.add(x, x)],
    );
    expect(b.finish(outputs).nodes.map(({ op }) => op)).toEqual(["Sqrt", "If"]);
  });

  it("names the outputs of branches as asked", () => {
    const b = new GraphBuilder("g");
    const x = b.input("x", "float32", [1]);
    const c = b.input("c", "bool", []);
    const write = (branch: GraphBuilder): Value[] => [branch.add(x, x), branch.sub(x, x)];
    expect(b.if(c, write, write, ["sum"]).map(({ name }) => name)).toEqual(["sum", "if"]);
  });
});
