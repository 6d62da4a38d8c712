/**
 * Verifies the invariants of a graph, written as a table of checks.
 *
 * The builder keeps them by construction; passes that rewrite graphs (gradients, fusions) are checked here.
 */

import { ShapeError } from "../errors.ts";
import { dtypeSizeBytes } from "../tensor/dtype.ts";
import { elementCount, formatShape, sameShape } from "../tensor/shape.ts";
import { branchesOf } from "./branches.ts";
import type { Graph, Initializer, Node, OpName, Value } from "./graph.ts";
import { shapeRules } from "./op-table.ts";
import type { ShapeRule } from "./shape-rule.ts";

function fail(graph: Graph, what: string, got: string, expected: string): never {
  throw new ShapeError({ where: `graph ${graph.name}`, what, got, expected });
}

/** Is what has been defined: the values in sight, and all names, those of finished branches too. */
interface Scope {
  readonly known: Map<string, Value>;
  readonly names: Set<string>;
}

function declare(graph: Graph, { known, names }: Scope, value: Value): void {
  if (names.has(value.name)) fail(graph, "a name is defined twice", value.name, "unique names");
  names.add(value.name);
  known.set(value.name, value);
}

function assertKnown(graph: Graph, { known }: Scope, value: Value, user: string): void {
  if (known.get(value.name) !== value) {
    fail(
      graph,
      `${user} uses a value before it is defined, or of another graph`,
      value.name,
      "a value defined above",
    );
  }
}

function verifyNode<Op extends OpName>(graph: Graph, scope: Scope, node: Node<Op>): void {
  for (const input of node.inputs) assertKnown(graph, scope, input, node.op);
  for (const branch of branchesOf(node)) verifyBranch(branch, scope);
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
    declare(graph, scope, output);
  });
}

function verifyBranch(branch: Graph, { known, names }: Scope): void {
  const own = [...branch.inputs, ...branch.initializers.map(({ value }) => value)];
  if (own.length > 0) {
    const got = own.map(({ name }) => name).join(", ");
    fail(branch, "a branch has inputs or constants of its own", got, "those of the outermost graph");
  }
  verifyWithin(branch, { known: new Map(known), names });
}

function verifyConstant(graph: Graph, { value, data }: Initializer): void {
  const right = `${value.dtype} ${formatShape(value.shape)}`;
  if (data.kind === "inline") {
    const got = `${data.tensor.dtype} ${formatShape(data.tensor.shape)}`;
    if (got !== right) fail(graph, `the constant ${value.name}`, got, right);
    return;
  }
  const sizeBytes = elementCount(value.shape.map(Number)) * dtypeSizeBytes(value.dtype);
  const { lengthBytes } = data.external;
  if (lengthBytes !== sizeBytes)
    fail(graph, `the constant ${value.name}`, `${lengthBytes} bytes`, `${sizeBytes} bytes for ${right}`);
}

function verifyWithin(graph: Graph, scope: Scope): void {
  for (const input of graph.inputs) declare(graph, scope, input);
  for (const initializer of graph.initializers) {
    declare(graph, scope, initializer.value);
    verifyConstant(graph, initializer);
  }
  for (const node of graph.nodes) verifyNode(graph, scope, node);
  for (const output of graph.outputs) assertKnown(graph, scope, output, "the list of outputs");
}

/**
 * Verifies that every name is unique and defined before its use, that every node's outputs have the types its
 * rule gives, that constants fill their shapes, and that no output is given twice; branches included.
 * @throws {@link ShapeError} naming the graph and the value.
 */
export function verifyGraph(graph: Graph): void {
  verifyWithin(graph, { known: new Map(), names: new Set() });
  const outputs = graph.outputs.map(({ name }) => name);
  const twice = outputs.find((name, index) => outputs.indexOf(name) !== index);
  if (twice !== undefined) fail(graph, "an output is given twice", twice, "one name an output");
}
