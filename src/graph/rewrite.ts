/**
 * Rewrites graphs: walks one from its inputs to its outputs and builds another, piece by piece.
 *
 * What to change is up to the caller; what is not changed keeps its name. Shapes and dtypes are derived anew.
 */

import { usedValues } from "./branches.ts";
import { GraphBuilder } from "./builder.ts";
import type { Graph, Initializer, Node, Value } from "./graph.ts";

/** Is a place in the walk over a graph. */
export interface RewriteContext {
  readonly builder: GraphBuilder;
  /** Whether a value is an output of the graph, whose name must stay. */
  isOutput(value: Value): boolean;
  /** Writes the nodes of a branch in the place of the node at hand; gives what its outputs became. */
  inline(branch: Graph): readonly Value[];
}

/** Says what becomes of each part of a graph. What gives undefined, or is not there, keeps the part. */
export interface GraphRewrite {
  input?(context: RewriteContext, input: Value): Value | undefined;
  initializer?(context: RewriteContext, initializer: Initializer): Value | undefined;
  /** @param inputs what the node's inputs became. */
  node?(context: RewriteContext, node: Node, inputs: readonly Value[]): readonly Value[] | undefined;
}

function keepInitializer(builder: GraphBuilder, { value, data }: Initializer): Value {
  if (data.kind === "inline") return builder.constant(value.name, data.tensor);
  return builder.external(value.name, value.dtype, value.shape.map(Number), data.external);
}

/**
 * Rewrites a graph. Branches of `If` are rewritten only where they are inlined.
 * @throws {@link ShapeError} when what was changed does not fit what was kept.
 */
export function rewriteGraph(graph: Graph, rewrite: GraphRewrite): Graph {
  const builder = new GraphBuilder(graph.name);
  const became = new Map<string, Value>();
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const find = (value: Value): Value => became.get(value.name) ?? value;
  const context: RewriteContext = {
    builder,
    isOutput: ({ name }) => outputs.has(name),
    inline(branch) {
      walk(branch.nodes);
      return branch.outputs.map(find);
    },
  };
  const walk = (nodes: readonly Node[]): void => {
    for (const node of nodes) {
      const inputs = node.inputs.map(find);
      const names = node.outputs.map(({ name }) => name);
      const written =
        rewrite.node?.(context, node, inputs) ?? builder.apply(node.op, inputs, node.attributes, names);
      node.outputs.forEach(({ name }, index) => {
        const value = written[index];
        if (value !== undefined) became.set(name, value);
      });
    }
  };
  for (const input of graph.inputs) {
    const value = rewrite.input?.(context, input) ?? builder.input(input.name, input.dtype, input.shape);
    became.set(input.name, value);
  }
  for (const initializer of graph.initializers) {
    const value = rewrite.initializer?.(context, initializer) ?? keepInitializer(builder, initializer);
    became.set(initializer.value.name, value);
  }
  walk(graph.nodes);
  return builder.finish(
    graph.outputs.map((output) => {
      const value = find(output);
      return value.name === output.name ? value : builder.named(output.name, value);
    }),
  );
}

/**
 * Takes away the nodes, inputs and constants that no output depends on.
 * @param outputs names of the outputs that stay; all by default.
 */
export function pruneGraph(
  graph: Graph,
  outputs: readonly string[] = graph.outputs.map(({ name }) => name),
): Graph {
  const kept = graph.outputs.filter(({ name }) => outputs.includes(name));
  const used = new Set(kept.map(({ name }) => name));
  const nodes = graph.nodes.toReversed().filter((node) => {
    const isUsed = node.outputs.some(({ name }) => used.has(name));
    if (isUsed) for (const { name } of usedValues(node)) used.add(name);
    return isUsed;
  });
  return {
    name: graph.name,
    inputs: graph.inputs.filter(({ name }) => used.has(name)),
    outputs: kept,
    initializers: graph.initializers.filter(({ value }) => used.has(value.name)),
    nodes: nodes.toReversed(),
  };
}
