import { describe, expect, it } from "vitest";
import { hostTensor } from "../tensor/host-tensor.ts";
import { GraphBuilder } from "./builder.ts";
import { multiplyDims } from "./dim.ts";
import type { Graph } from "./graph.ts";
import { printGraph } from "./print.ts";
import { specializeGraph } from "./specialize.ts";
import { verifyGraph } from "./verify.ts";

const flag = (value: boolean) => hostTensor("bool", [], Uint8Array.of(value ? 1 : 0));

/** Doubles or keeps x, and cuts it in two. */
function branchingGraph(): Graph {
  const b = new GraphBuilder("g");
  const x = b.input("x", "float32", ["T+P", 2]);
  const sizes = b.input("sizes", "int64", [2]);
  const doubles = b.input("doubles", "bool", []);
  const unused = b.input("unused", "float32", ["T"]);
  const weight = b.constant("weight", hostTensor("float32", [2], Float32Array.of(3, 4)));
  const flat = b.reshape(x, [multiplyDims(2, "P+T")]);
  const [y = flat] = b.if(
    doubles,
    (then) => [then.add(flat, flat)],
    (otherwise) => [otherwise.mul(x, weight)].map((value) => otherwise.reshape(value, flat.shape)),
  );
  const [first = y, second = y] = b.split(b.reshape(y, x.shape), 0, ["P", "T"], sizes);
  return b.finish([b.named("first", first), b.named("second", second), b.named("other", unused)]);
}

describe("specializeGraph", () => {
  it("puts numbers for symbols, the branch for its condition, and drops what is not needed", () => {
    const graph = specializeGraph(branchingGraph(), {
      dims: { T: 3, P: 5 },
      inputs: { doubles: flag(true) },
      outputs: ["first", "second"],
    });
    expect(() => verifyGraph(graph)).not.toThrow();
    expect(printGraph(graph).split("\n")).toEqual([
      "graph g(x: float32 [8, 2])",
      "  reshape: float32 [16] = Reshape(x) {shape: [16]}",
      "  add: float32 [16] = Add(reshape, reshape)",
      "  reshape_2: float32 [8, 2] = Reshape(add) {shape: [8,2]}",
      "  split: float32 [5, 2]; split_1: float32 [3, 2] = Split(reshape_2) {axis: 0, sizes: [5,3]}",
      "  first: float32 [5, 2] = Identity(split)",
      "  second: float32 [3, 2] = Identity(split_1)",
      "  return first, second",
    ]);
  });

  it("broadcasts to numbers, which need no second input", () => {
    const b = new GraphBuilder("g");
    const x = b.input("x", "float32", ["T", 2]);
    const open = b.finish([b.named("y", b.expand(b.scalar(1), x.shape, b.shapeOf(x)))]);
    const graph = specializeGraph(open, { dims: { T: 3 } });
    expect(graph.nodes.map(({ op, inputs, attributes }) => [op, inputs.length, attributes])).toEqual([
      ["Expand", 1, { shape: [3, 2] }],
      ["Identity", 1, {}],
    ]);
    expect(graph.inputs).toEqual([]);
  });

  it("takes the other branch, with the constants that it uses", () => {
    const graph = specializeGraph(branchingGraph(), {
      dims: { T: 3, P: 5 },
      inputs: { doubles: flag(false) },
    });
    expect(graph.inputs.map(({ name }) => name)).toEqual(["x", "unused"]);
    expect(graph.initializers.map(({ value }) => value.name)).toEqual(["weight"]);
    expect(graph.nodes.map(({ op }) => op)).toEqual([
      ...["Mul", "Reshape", "Reshape", "Split"],
      ...["Identity", "Identity", "Identity"],
    ]);
  });

  it("takes branches within branches", () => {
    const b = new GraphBuilder("g");
    const outer = b.input("outer", "bool", []);
    const inner = b.input("inner", "bool", []);
    const x = b.input("x", "float32", ["T"]);
    const nested = b.if(
      outer,
      (then) =>
        then.if(
          inner,
          (deep) => [deep.exp(x)],
          () => [x],
        ),
      () => [x],
    );
    const fix = (value: boolean): Graph =>
      specializeGraph(b.finish(nested), {
        dims: { T: 2 },
        inputs: { outer: flag(true), inner: flag(value) },
      });
    expect(fix(true).nodes.map(({ op }) => op)).toEqual(["Exp", "Identity"]);
    expect(fix(false).nodes.map(({ op }) => op)).toEqual(["Identity"]);
  });

  it("passes over fixed inputs that the graph does not have", () => {
    const inputs = { doubles: flag(true), triples: flag(true) };
    expect(() => specializeGraph(branchingGraph(), { dims: { T: 1, P: 1 }, inputs })).not.toThrow();
  });

  it.each([
    ["a symbol that is left open", { T: 3 }, { doubles: flag(true) }, /not bound, got "P\+T"/],
    ["a condition that is left open", { T: 3, P: 5 }, {}, /the condition is not known, got "doubles"/],
    [
      "a fixed input of another type",
      { T: 3, P: 5 },
      { doubles: hostTensor("int64", [1], BigInt64Array.of(1n)) },
      /input doubles: the fixed value does not fit, got "int64 \[1\]", expected bool \[\]/,
    ],
  ])("refuses %s", (_, dims, inputs, message) => {
    expect(() => specializeGraph(branchingGraph(), { dims, inputs })).toThrow(message);
  });
});
