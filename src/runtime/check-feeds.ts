/**
 * Checks feeds against a graph's inputs, before a runtime sees them.
 */

import { InvalidRequestError } from "../errors.ts";
import { bindDim } from "../graph/dim.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { formatShape } from "../tensor/shape.ts";
import type { NamedTensors } from "./runtime.ts";
import type { Tensor } from "./tensor-memory.ts";

function fits(value: Value, tensor: Tensor): boolean {
  return (
    tensor.dtype === value.dtype &&
    tensor.shape.length === value.shape.length &&
    value.shape.every((dim, axis) => typeof dim === "string" || dim === tensor.shape[axis])
  );
}

/** Is an extent of an input that is not a number. */
interface SymbolicExtent {
  readonly input: string;
  readonly axis: number;
  readonly dim: string;
  /** Whether it is one symbol, not a sum of them. */
  readonly isAlone: boolean;
}

/** Lists the symbolic extents of the inputs, those that stand alone first, so that sums of them can be checked. */
function symbolicExtents(graph: Graph): readonly SymbolicExtent[] {
  const extents = graph.inputs.flatMap(({ name, shape }) =>
    shape.flatMap((dim, axis): SymbolicExtent[] =>
      typeof dim === "string" ? [{ input: name, axis, dim, isAlone: /^\w+$/.test(dim) }] : [],
    ),
  );
  return [...extents.filter(({ isAlone }) => isAlone), ...extents.filter(({ isAlone }) => !isAlone)];
}

/** What is known of a graph before its first run: runs are many, and each has hundreds of extents. */
const knownExtents = new WeakMap<Graph, readonly SymbolicExtent[]>();

function bind({ dim, isAlone }: SymbolicExtent, size: number, bindings: Map<string, number>): boolean {
  const known = isAlone ? bindings.get(dim) : undefined;
  return known === undefined ? bindDim(dim, size, bindings) : known === size;
}

function bindSymbols(graph: Graph, feeds: NamedTensors): ReadonlyMap<string, number> {
  const extents = knownExtents.get(graph) ?? symbolicExtents(graph);
  knownExtents.set(graph, extents);
  const bindings = new Map<string, number>();
  for (const extent of extents) {
    const { input, axis, dim } = extent;
    const size = feeds[input]?.shape[axis] ?? 0;
    if (bind(extent, size, bindings)) continue;
    const bound = [...bindings].filter(([symbol]) => dim.split(/\W/).includes(symbol));
    throw new InvalidRequestError({
      where: `graph ${graph.name}`,
      what: `input ${input} disagrees with the others about extent ${dim} at axis ${axis}`,
      got: size,
      expected: bound.map(([symbol, value]) => `${symbol} = ${value}`).join(", ") || "another size",
    });
  }
  return bindings;
}

/**
 * Refuses feeds that do not match the graph's inputs or one another, and unknown output names.
 * @returns what the symbols of the inputs' shapes stand for.
 * @throws {@link InvalidRequestError} naming the graph and the tensor.
 */
export function checkFeeds(
  graph: Graph,
  feeds: NamedTensors,
  outputs: readonly string[],
): ReadonlyMap<string, number> {
  const where = `graph ${graph.name}`;
  for (const input of graph.inputs) {
    const tensor = feeds[input.name];
    if (tensor !== undefined && fits(input, tensor)) continue;
    const expected = `${input.dtype} ${formatShape(input.shape)}`;
    if (tensor === undefined) {
      throw new InvalidRequestError({ where, what: `input ${input.name} is missing`, expected });
    }
    const got = `${tensor.dtype} ${formatShape(tensor.shape)}`;
    throw new InvalidRequestError({ where, what: `input ${input.name} does not fit`, got, expected });
  }
  const known = new Set(graph.outputs.map((output) => output.name));
  for (const name of outputs) {
    if (!known.has(name)) {
      throw new InvalidRequestError({
        where,
        what: "an unknown output",
        got: name,
        expected: [...known].join(", "),
      });
    }
  }
  return bindSymbols(graph, feeds);
}
