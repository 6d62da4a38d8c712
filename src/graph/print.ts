/**
 * Prints a graph as text, one node a line, for people and for tests that compare graphs.
 */

import { formatShape } from "../tensor/shape.ts";
import type { Graph, Node, Value } from "./graph.ts";

function formatValue({ name, dtype, shape }: Value): string {
  return `${name}: ${dtype} ${formatShape(shape)}`;
}

function formatAttributes(node: Node): string {
  const entries = Object.entries(node.attributes).filter(([name]) => !name.endsWith("Branch"));
  return entries.length === 0
    ? ""
    : ` {${entries.map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(", ")}}`;
}

function lines(graph: Graph, indent: string): string[] {
  const body = graph.nodes.flatMap((node) => {
    const inputs = node.inputs.map((value) => value.name).join(", ");
    const line = `${indent}  ${node.outputs.map(formatValue).join("; ")} = ${node.op}(${inputs})${formatAttributes(node)}`;
    if (node.op !== "If") return [line];
    const { thenBranch, elseBranch } = node.attributes as Node<"If">["attributes"];
    return [line, ...lines(thenBranch, `${indent}    `), ...lines(elseBranch, `${indent}    `)];
  });
  return [
    `${indent}graph ${graph.name}(${graph.inputs.map(formatValue).join("; ")})`,
    ...graph.initializers.map(({ value, data }) => `${indent}  const ${formatValue(value)} (${data.kind})`),
    ...body,
    `${indent}  return ${graph.outputs.map((value) => value.name).join(", ")}`,
  ];
}

/** Prints a graph, branches indented. */
export function printGraph(graph: Graph): string {
  return lines(graph, "").join("\n");
}
