import { describe, expect, it } from "vitest";
import { ShapeError } from "../errors.ts";
import { memoryByteSource } from "../files/byte-source.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import type { Graph, Initializer, Node, Value } from "./graph.ts";
import { verifyGraph } from "./verify.ts";

const f32 = (name: string, shape: Value["shape"] = ["T"]): Value => ({ name, dtype: "float32", shape });
const x = f32("x");
const y = f32("y");
const condition: Value = { name: "c", dtype: "bool", shape: [] };

function graphOf(parts: Partial<Graph>): Graph {
  return { name: "g", inputs: [], outputs: [], initializers: [], nodes: [], ...parts };
}
const neg = (input: Value, output: Value): Node => ({
  op: "Neg",
  inputs: [input],
  attributes: {},
  outputs: [output],
});
const choose = (thenBranch: Graph, elseBranch: Graph, outputs: Value[]): Node => ({
  op: "If",
  inputs: [condition],
  attributes: { thenBranch, elseBranch },
  outputs,
});
const branch = (name: string, nodes: Node[], outputs: Value[], parts: Partial<Graph> = {}): Graph =>
  graphOf({ name, nodes, outputs, ...parts });
const inline = (value: Value): Initializer => ({
  value,
  data: { kind: "inline", tensor: hostTensor("float32", [2], new Float32Array(2)) },
});
const inFile = (value: Value, lengthBytes: number): Initializer => ({
  value,
  data: {
    kind: "external",
    external: { source: memoryByteSource("m", new Uint8Array()), offset: 0, lengthBytes },
  },
});

const p = f32("p");
const q = f32("q");

describe("verifyGraph", () => {
  it.each<[string, Partial<Graph>]>([
    ["an empty graph", {}],
    ["a chain", { inputs: [x], nodes: [neg(x, y), neg(y, p)], outputs: [p, y] }],
    ["an output that is an input", { inputs: [x], outputs: [x] }],
    ["constants", { initializers: [inline(f32("k", [2])), inFile(f32("m", [2, 3]), 24)] }],
    [
      "branches that use outer values",
      {
        inputs: [x, condition],
        nodes: [choose(branch("then", [neg(x, p)], [p]), branch("else", [], [x]), [y])],
        outputs: [y],
      },
    ],
  ])("accepts %s", (_, parts) => {
    expect(() => verifyGraph(graphOf(parts))).not.toThrow();
  });

  it.each<[string, Partial<Graph>, RegExp]>([
    ["two inputs of one name", { inputs: [x, f32("x")] }, /g: a name is defined twice, got "x"/],
    ["an output that redefines a name", { inputs: [x], nodes: [neg(x, x)] }, /defined twice/],
    ["a constant that redefines a name", { inputs: [x], initializers: [inline(f32("x", [2]))] }, /twice/],
    ["a use before the definition", { inputs: [x], nodes: [neg(y, p), neg(x, y)] }, /Neg uses .* got "y"/],
    ["a value of another graph with a known name", { inputs: [x], nodes: [neg(f32("x"), y)] }, /Neg uses/],
    ["an output that nothing defines", { outputs: [x] }, /the list of outputs uses .* got "x"/],
    ["an output given twice", { inputs: [x], outputs: [x, x] }, /an output is given twice, got "x"/],
    ["a wrong shape", { inputs: [x], nodes: [neg(x, f32("y", ["P"]))] }, /type of y, got "float32 \[P\]"/],
    ["a wrong dtype", { inputs: [x], nodes: [neg(x, { ...y, dtype: "int64" })] }, /type of y, got "int64/],
    ["too few outputs", { inputs: [x], nodes: [{ ...neg(x, y), outputs: [] }] }, /another number of outputs/],
    ["too many outputs", { inputs: [x], nodes: [{ ...neg(x, y), outputs: [y, p] }] }, /another number/],
    [
      "inputs that break the rule",
      { inputs: [condition], nodes: [neg(condition, y)] },
      /Neg: an input's dtype/,
    ],
    ["an inline constant of another shape", { initializers: [inline(f32("k", [3]))] }, /the constant k, got/],
    [
      "an inline constant of another dtype",
      { initializers: [inline({ name: "k", dtype: "int64", shape: [2] })] },
      /the constant k, got "float32 \[2\]"/,
    ],
    ["an external constant of another length", { initializers: [inFile(f32("m", [2]), 4)] }, /got "4 bytes"/],
    [
      "a branch that uses what is defined later",
      { inputs: [condition], nodes: [choose(branch("then", [neg(y, p)], [p]), branch("else", [], []), [])] },
      /graph then: Neg uses/,
    ],
    [
      "a branch's value used outside it",
      {
        inputs: [x, condition],
        nodes: [choose(branch("then", [neg(x, p)], []), branch("else", [], []), []), neg(p, y)],
      },
      /graph g: Neg uses .* got "p"/,
    ],
    [
      "a name that both branches define",
      {
        inputs: [x, condition],
        nodes: [choose(branch("then", [neg(x, p)], []), branch("else", [neg(x, f32("p"))], []), [])],
      },
      /graph else: a name is defined twice, got "p"/,
    ],
    [
      "a branch with an input",
      {
        inputs: [condition],
        nodes: [choose(branch("then", [], [], { inputs: [q] }), branch("else", [], []), [])],
      },
      /graph then: a branch has inputs or constants of its own, got "q"/,
    ],
    [
      "a branch with a constant",
      {
        inputs: [condition],
        nodes: [choose(branch("then", [], []), branch("else", [], [], { initializers: [inline(q)] }), [])],
      },
      /graph else: a branch has inputs or constants of its own, got "q"/,
    ],
  ])("refuses %s", (_, parts, message) => {
    const verify = () => verifyGraph(graphOf(parts));
    expect(verify).toThrow(ShapeError);
    expect(verify).toThrow(message);
  });
});
