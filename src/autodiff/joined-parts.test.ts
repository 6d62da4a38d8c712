import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../graph/builder.ts";
import type { Shape } from "../graph/dim.ts";
import type { Value } from "../graph/graph.ts";
import { findStretches } from "./joined-parts.ts";

/** Finds the stretches of what is written of inputs of these shapes: `name start..end` each. */
function stretchesOf(
  shapes: readonly Shape[],
  axis: number,
  write: (b: GraphBuilder, ...inputs: Value[]) => Value,
): string[] | undefined {
  const b = new GraphBuilder("g");
  const value = write(b, ...shapes.map((shape, index) => b.input(`x${index}`, "float32", shape)));
  const { nodes } = b.finish([value]);
  const producers = new Map(nodes.flatMap((node) => node.outputs.map(({ name }) => [name, node] as const)));
  return findStretches(producers, value, axis)?.map(
    ({ part, start, end }) => `${part.name} ${start}..${end}`,
  );
}

const pair: Shape[] = [
  [2, 3, 4],
  [2, 5, 4],
];

describe("findStretches", () => {
  it("finds one, two and three parts, an axis named from the end too", () => {
    expect(stretchesOf([[2, 3, 4]], 1, (b, x) => b.concat([x], 1))).toEqual(["x0 0..3"]);
    expect(stretchesOf(pair, 1, (b, x, y) => b.concat([x, y], -2))).toEqual(["x0 0..3", "x1 3..8"]);
    expect(stretchesOf(pair, 1, (b, x, y) => b.concat([x, y, x], 1))).toEqual([
      "x0 0..3",
      "x1 3..8",
      "x0 8..11",
    ]);
  });

  it("finds them through reshapes that leave the axis whole", () => {
    const write = (b: GraphBuilder, x: Value, y: Value): Value =>
      b.reshape(b.reshape(b.concat([x, y], 1), [2, 1, 8, 4]), [1, 2, 8, 4]);
    expect(stretchesOf(pair, 2, write)).toEqual(["x0 0..3", "x1 3..8"]);
  });

  it.each<[string, Shape[], number, (b: GraphBuilder, ...inputs: Value[]) => Value]>([
    ["an input", pair, 1, (_, x) => x],
    ["parts joined along another axis", [[2, 8, 4]], 1, (b, x) => b.concat([x, x], 0)],
    ["a computed value", pair, 1, (b, x, y) => b.neg(b.concat([x, y], 1))],
    ["an axis that was cut", pair, 1, (b, x, y) => b.reshape(b.concat([x, y], 1), [2, 4, 2, 4])],
    ["an axis that took another in", pair, 0, (b, x, y) => b.reshape(b.concat([x, y], 1), [16, 4])],
    [
      "symbolic parts",
      [
        [2, "T"],
        [2, "P"],
      ],
      1,
      (b, x, y) => b.concat([x, y], 1),
    ],
  ])("finds none of %s", (_, shapes, axis, write) => {
    expect(stretchesOf(shapes, axis, write)).toBeUndefined();
  });
});
