/**
 * Looks through nodes into the branches that they hold.
 */

import type { Graph, Node, Value } from "./graph.ts";

/** Lists the branches of a node: two of an `If`, none of others. */
export function branchesOf(node: Node): readonly Graph[] {
  if (node.op !== "If") return [];
  const { thenBranch, elseBranch } = node.attributes as Node<"If">["attributes"];
  return [thenBranch, elseBranch];
}

/** Lists the values that nodes define, their branches included. */
export function definedValues(nodes: readonly Node[]): Value[] {
  return nodes.flatMap((node) => [
    ...node.outputs,
    ...branchesOf(node).flatMap((branch) => definedValues(branch.nodes)),
  ]);
}

/** Lists the values that a node uses, its branches included: its inputs, and what branches take from around them. */
export function usedValues(node: Node): Value[] {
  const inner = branchesOf(node).flatMap((branch) => [
    ...branch.outputs,
    ...branch.nodes.flatMap(usedValues),
  ]);
  return [...node.inputs, ...inner];
}
