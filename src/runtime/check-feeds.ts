/**
 * Checks feeds against a graph's inputs, before a runtime sees them.
 */

import { InvalidRequestError } from "../errors.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { formatShape } from "../tensor/shape.ts";
import type { NamedTensors } from "./runtime.ts";

function fits(value: Value, shape: readonly number[]): boolean {
  return (
    shape.length === value.shape.length &&
    value.shape.every((dim, axis) => typeof dim === "string" || dim === shape[axis])
  );
}

/**
 * Refuses feeds that do not match the graph's inputs, and unknown output names.
 * @throws {@link InvalidRequestError} naming the graph and the tensor.
 */
export function checkFeeds(graph: Graph, feeds: NamedTensors, outputs: readonly string[]): void {
  const where = `graph ${graph.name}`;
  for (const input of graph.inputs) {
    const tensor = feeds[input.name];
    const expected = `${input.dtype} ${formatShape(input.shape)}`;
    if (tensor === undefined) {
      throw new InvalidRequestError({ where, what: `input ${input.name} is missing`, expected });
    }
    if (tensor.dtype !== input.dtype || !fits(input, tensor.shape)) {
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
}
