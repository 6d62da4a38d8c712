/**
 * Verifies the invariants of a graph, written as a table of checks.
 *
 * The builder keeps them by construction; passes that rewrite graphs (gradients, fusions) are checked here.
 */

import { ShapeError } from "../errors.ts";
import { formatShape, sameShape } from "../tensor/shape.ts";
import type { Graph, Node, OpName, Value } from "./graph.ts";
import { shapeRules } from "./op-table.ts";
import type { ShapeRule } from "./shape-rule.ts";

function fail(graph: Graph, what: string, got: string, expected: string): never {
  throw new ShapeError({ where: `graph ${graph.name}`, what, got, expected });
}

function declare(graph: Graph, known: Map<string, Value>, value: Value): void {
  if (known.has(value.name)) fail(graph, "a name is defined twice", value.name, "unique names");
  known.set(value.name, value);
}

function assertKnown(graph: Graph, known: ReadonlyMap<string, Value>, value: Value, user: string): void {
  if (known.get(value.name) !== value) {
    fail(
      graph,
      `${user} uses a value before it is defined, or of another graph`,
      value.name,
      "a value defined above",
    );
  }
}

function branchesOf(node: Node): readonly Graph[] {
  if (node.op !== "If") return [];
  const { thenBranch, elseBranch } = node.attributes as Node<"If">["attributes"];
  return [thenBranch, elseBranch];
}

function verifyNode<Op extends OpName>(graph: Graph, known: Map<string, Value>, node: Node<Op>): void {
  for (const input of node.inputs) assertKnown(graph, known, input, node.op);
  for (const branch of branchesOf(node)) verifyWithin(branch, new Map(known));
  const rule: ShapeRule<Node<Op>["attributes"]> = shapeRules[node.op];
  const types = rule(node.inputs, node.attributes);
  if (types.length !== node.outputs.length) {
    fail(
      graph,
      `${node.op} has another number of outputs`,
      String(node.outputs.length),
      String(types.length),
    );
  }
  node.outputs.forEach((output, index) => {
    const type = types[index];
    if (type === undefined || type.dtype !== output.dtype || !sameShape(type.shape, output.shape)) {
      const right = type === undefined ? "none" : `${type.dtype} ${formatShape(type.shape)}`;
      fail(graph, `the type of ${output.name}`, `${output.dtype} ${formatShape(output.shape)}`, right);
    }
    declare(graph, known, output);
  });
}

function verifyWithin(graph: Graph, known: Map<string, Value>): void {
  for (const input of graph.inputs) declare(graph, known, input);
  for (const { value, data } of graph.initializers) {
    declare(graph, known, value);
    if (data.kind === "inline" && !sameShape(data.tensor.shape, value.shape)) {
      fail(graph, `the constant ${value.name}`, formatShape(data.tensor.shape), formatShape(value.shape));
    }
  }
  for (const node of graph.nodes) verifyNode(graph, known, node);
  for (const output of graph.outputs) assertKnown(graph, known, output, "the list of outputs");
}

/**
 * Verifies that every name is unique and defined before its use, that every node's outputs have the types its
 * rule gives, and that constants fill their shapes; branches included.
 * @throws {@link ShapeError} naming the graph and the value.
 */
export function verifyGraph(graph: Graph): void {
  verifyWithin(graph, new Map());
}
