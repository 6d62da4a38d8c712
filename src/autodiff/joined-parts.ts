/**
 * Looks behind a tensor for the parts that it was joined from, so that no gradient is computed of those that are
 * frozen: of the keys and values that attention reads, most are the past.
 */

import type { Node, OpAttributes, Value } from "../graph/graph.ts";

/** Is what of a tensor, along an axis, comes from one part. */
export interface Stretch {
  readonly part: Value;
  readonly start: number;
  readonly end: number;
}

const productOf = (extents: readonly number[]): number =>
  extents.reduce((product, extent) => product * extent, 1);

/** Finds the axis that stays one through a reshape: of the same extent, with as many elements behind it. */
function axisBefore(from: Value, to: Value, axis: number): number | undefined {
  const [before, after] = [from.shape.map(Number), to.shape.map(Number)];
  const found = before.findIndex(
    (extent, index) =>
      extent === after[axis] && productOf(before.slice(index + 1)) === productOf(after.slice(axis + 1)),
  );
  return found < 0 ? undefined : found;
}

function measure(parts: readonly Value[], axis: number): Stretch[] | undefined {
  if (parts.some(({ shape }) => typeof shape[axis] !== "number")) return undefined;
  let start = 0;
  return parts.map((part) => {
    const end = start + Number(part.shape[axis]);
    const stretch = { part, start, end };
    start = end;
    return stretch;
  });
}

/**
 * Finds the parts that a value was joined from along an axis, through reshapes that leave the axis whole.
 * @param producers the node that gives each value, by its name.
 * @returns undefined when it was not joined, or extents are symbolic.
 */
export function findStretches(
  producers: ReadonlyMap<string, Node>,
  value: Value,
  axis: number,
): readonly Stretch[] | undefined {
  const node = producers.get(value.name);
  const [source] = node?.inputs ?? [];
  if (node === undefined || source === undefined) return undefined;
  if (node.op === "Concat") {
    const { axis: given } = node.attributes as OpAttributes["Concat"];
    const joined = given < 0 ? given + value.shape.length : given;
    return joined === axis ? measure(node.inputs, axis) : undefined;
  }
  if (node.op !== "Reshape") return undefined;
  const before = axisBefore(source, value, axis);
  return before === undefined ? undefined : findStretches(producers, source, before);
}
