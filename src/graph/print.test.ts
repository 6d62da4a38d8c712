import { expect, it } from "vitest";
import { memoryByteSource } from "../files/byte-source.ts";
import { GraphBuilder } from "./builder.ts";
import { printGraph } from "./print.ts";

it("printGraph prints a node a line, types, attributes and indented branches", () => {
  const b = new GraphBuilder("g");
  const x = b.input("x", "float32", ["P+T", 2]);
  const source = memoryByteSource("m", new Uint8Array(8));
  const w = b.external("w", "float32", [2], { source, offset: 0, lengthBytes: 8 });
  const [a, rest] = b.split(x, 0, ["P", "T"], b.input("sizes", "int64", [2]));
  const [y] = b.if(
    b.input("c", "bool", []),
    (branch) => [branch.mul(x, w)],
    (branch) => [branch.elu(x, 0.5)],
  );
  const graph = b.finish([a, rest, y].filter((value) => value !== undefined));
  expect(printGraph(graph)).toBe(
    `
graph g(x: float32 [P+T, 2]; sizes: int64 [2]; c: bool [])
  const w: float32 [2] (external)
  split: float32 [P, 2]; split_1: float32 [T, 2] = Split(x, sizes) {axis: 0, sizes: ["P","T"]}
  if: float32 [P+T, 2] = If(c)
    graph g_then()
      mul: float32 [P+T, 2] = Mul(x, w)
      return mul
    graph g_else()
      elu: float32 [P+T, 2] = Elu(x) {alpha: 0.5}
      return elu
  return split, split_1, if
`.trim(),
  );
});
