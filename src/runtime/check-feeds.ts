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

/** Binds the symbols of the inputs, those that stand alone first, so that sums of them can be checked. */
function bindSymbols(graph: Graph, feeds: NamedTensors): ReadonlyMap<string, number> {
  const bindings = new Map<string, number>();
  for (const alone of [true, false]) {
    for (const { name, shape } of graph.inputs) {
      shape.forEach((dim, axis) => {
        if (typeof dim === "number" || /^\w+$/.test(dim) !== alone) return;
        const size = feeds[name]?.shape[axis] ?? 0;
        if (bindDim(dim, size, bindings)) return;
        const bound = [...bindings].filter(([symbol]) => dim.split(/\W/).includes(symbol));
        throw new InvalidRequestError({
          where: `graph ${graph.name}`,
          what: `input ${name} disagrees with the others about extent ${dim} at axis ${axis}`,
          got: size,
          expected: bound.map(([symbol, value]) => `${symbol} = ${value}`).join(", ") || "another size",
        });
      });
    }
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
    const expected = `${input.dtype} ${formatShape(input.shape)}`;
    if (tensor === undefined) {
      throw new InvalidRequestError({ where, what: `input ${input.name} is missing`, expected });
    }
    if (!fits(input, tensor)) {
      const got = `${tensor.dtype} ${formatShape(tensor.shape)}`;
      throw new InvalidRequestError({ where, what: `input ${input.name} does not fit`, got, expected });
    }
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
