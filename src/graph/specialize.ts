/**
 * Specialises a graph for fixed sizes and fixed inputs: symbols become numbers, branches that are known to be taken
 * take the place of their `If`, and what nothing depends on any more goes.
 *
 * For toolchains that compile graphs ahead of time, which want static shapes and no control flow.
 */

import { ShapeError } from "../errors.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { formatShape, sameShape } from "../tensor/shape.ts";
import { type Dim, evaluateDim } from "./dim.ts";
import type { Graph, Node, OpAttributes, Value } from "./graph.ts";
import { pruneGraph, type RewriteContext, rewriteGraph } from "./rewrite.ts";

/** Says what is fixed. */
export interface Specialization {
  /** What each symbol stands for. */
  readonly dims: Readonly<Record<string, number>>;
  /** The inputs that are constants from now on; those that the graph does not have are passed over. */
  readonly inputs?: Readonly<Record<string, HostTensor>>;
  /** The names of the outputs that are wanted; all by default. */
  readonly outputs?: readonly string[];
}

/** Writes a node that has extents among its attributes, evaluated; undefined when it has none. */
function writeBound(
  { builder }: RewriteContext,
  { op, attributes, outputs }: Node,
  inputs: readonly Value[],
  bind: (dim: Dim) => number,
): readonly Value[] | undefined {
  const names = outputs.map(({ name }) => name);
  if (op === "Reshape") {
    const { shape } = attributes as OpAttributes["Reshape"];
    return builder.apply("Reshape", inputs, { shape: shape.map(bind) }, names);
  }
  if (op === "Expand") {
    const { shape } = attributes as OpAttributes["Expand"];
    return builder.apply("Expand", inputs.slice(0, 1), { shape: shape.map(bind) }, names);
  }
  if (op !== "Split") return undefined;
  const { axis, sizes } = attributes as OpAttributes["Split"];
  // Sizes that are fixed need no second input to tell them.
  return builder.apply("Split", inputs.slice(0, 1), { axis, sizes: sizes.map(bind) }, names);
}

function fixInput({ builder }: RewriteContext, input: Value, tensor: HostTensor): Value {
  if (tensor.dtype === input.dtype && sameShape(tensor.shape, input.shape))
    return builder.constant(input.name, tensor);
  throw new ShapeError({
    where: `input ${input.name}`,
    what: "the fixed value does not fit",
    got: `${tensor.dtype} ${formatShape(tensor.shape)}`,
    expected: `${input.dtype} ${formatShape(input.shape)}`,
  });
}

/** Gives the branch that a constant condition chooses. */
function chooseBranch(
  { attributes, outputs }: Node,
  condition: Value | undefined,
  constants: ReadonlyMap<string, HostTensor>,
): Graph {
  const known = constants.get(condition?.name ?? "");
  if (known === undefined) {
    throw new ShapeError({
      where: `If of ${outputs.map(({ name }) => name).join(", ")}`,
      what: "the condition is not known",
      got: condition?.name,
      expected: "a fixed input",
    });
  }
  const { thenBranch, elseBranch } = attributes as OpAttributes["If"];
  return known.data[0] ? thenBranch : elseBranch;
}

function assertStatic({ name, inputs, nodes }: Graph): void {
  for (const value of [...inputs, ...nodes.flatMap(({ outputs }) => outputs)]) {
    if (value.shape.every((dim) => typeof dim === "number")) continue;
    throw new ShapeError({
      where: `graph ${name}, ${value.name}`,
      what: "an extent is not fixed",
      got: formatShape(value.shape),
      expected: "numbers only",
    });
  }
}

/**
 * Specialises a graph.
 * @throws {@link ShapeError} when a symbol or a condition is left open, or a fixed input does not fit.
 */
export function specializeGraph(graph: Graph, { dims, inputs = {}, outputs }: Specialization): Graph {
  const bindings = new Map(Object.entries(dims));
  const bind = (dim: Dim): number => evaluateDim(dim, bindings);
  const constants = new Map<string, HostTensor>();
  const fixed = rewriteGraph(graph, {
    input(context, { name, dtype, shape }) {
      const bound = { name, dtype, shape: shape.map(bind) };
      const tensor = inputs[name];
      if (tensor === undefined) return context.builder.input(name, dtype, bound.shape);
      const value = fixInput(context, bound, tensor);
      constants.set(value.name, tensor);
      return value;
    },
    node(context, node, nodeInputs) {
      const [first] = nodeInputs;
      if (node.op === "If") return context.inline(chooseBranch(node, first, constants));
      const isName = node.op === "Identity" && !node.outputs.some(context.isOutput);
      if (isName && first !== undefined) return [first];
      return writeBound(context, node, nodeInputs, bind);
    },
  });
  const pruned = pruneGraph(fixed, outputs);
  assertStatic(pruned);
  return pruned;
}
