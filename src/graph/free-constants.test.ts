import { describe, expect, it } from "vitest";
import { memoryByteSource } from "../files/byte-source.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { GraphBuilder } from "./builder.ts";
import { freeConstants } from "./free-constants.ts";
import type { Graph } from "./graph.ts";
import { printGraph } from "./print.ts";
import { verifyGraph } from "./verify.ts";

/** Multiplies rows of a table by a weight, both stored in 16 bits. */
function storedGraph(): Graph {
  const b = new GraphBuilder("g");
  const source = memoryByteSource("m", new Uint8Array(64));
  const ids = b.input("ids", "int64", ["T"]);
  const table = b.external("table", "bfloat16", [4, 2], { source, offset: 0, lengthBytes: 16 });
  const weight = b.external("weight", "float16", [3, 2], { source, offset: 16, lengthBytes: 12 });
  const bias = b.constant("bias", hostTensor("float32", [3], Float32Array.of(1, 2, 3)));
  const rows = b.cast(b.gather(table, ids), "float32");
  return b.finish([b.named("y", b.linear(rows, b.cast(weight, "float32"), bias))]);
}

describe("freeConstants", () => {
  it("makes float32 inputs of constants and leaves the others", () => {
    const graph = freeConstants(storedGraph(), ["weight", "table"]);
    verifyGraph(graph);
    expect(printGraph(graph).split("\n")).toEqual([
      "graph g(ids: int64 [T]; table: float32 [4, 2]; weight: float32 [3, 2])",
      "  const bias: float32 [3] (inline)",
      "  gather: float32 [T, 2] = Gather(table, ids)",
      "  gemm: float32 [T, 3] = Gemm(gather, weight, bias) {transposeA: false, transposeB: true}",
      "  y: float32 [T, 3] = Identity(gemm)",
      "  return y",
    ]);
  });

  it("changes nothing when nothing is named", () => {
    const graph = storedGraph();
    expect(freeConstants(graph, [])).toEqual(graph);
  });

  it("keeps the name of an output that is a constant widened", () => {
    const b = new GraphBuilder("g");
    const stored = b.constant("c", hostTensor("bfloat16", [1], Uint16Array.of(0)));
    const graph = freeConstants(b.finish(b.apply("Cast", [stored], { to: "float32" }, ["y"])), ["c"]);
    expect(graph.outputs).toEqual([{ name: "y", dtype: "float32", shape: [1] }]);
  });

  it.each([
    ["nothing", /no such constant, got "nothing"/],
    ["ids", /no such constant, got "ids"/],
  ])("refuses %s, which is no constant", (name, message) => {
    expect(() => freeConstants(storedGraph(), [name])).toThrow(message);
  });

  it("refuses a constant of integers", () => {
    const b = new GraphBuilder("g");
    const places = b.constant("places", hostTensor("int64", [1], BigInt64Array.of(0n)));
    const graph = b.finish([b.gather(b.input("x", "float32", [2]), places)]);
    expect(() => freeConstants(graph, ["places"])).toThrow(
      /the constant places is not of floats, got "int64"/,
    );
  });
});
