import { describe, expect, it } from "vitest";
import { collectBytes, memoryByteSource } from "../../files/byte-source.ts";
import { GraphBuilder } from "../../graph/builder.ts";
import type { Graph } from "../../graph/graph.ts";
import { verifyGraph } from "../../graph/verify.ts";
import { encodeBfloat16, encodeFloat16 } from "../../tensor/half-float.ts";
import { planWeightFile } from "./weight-file.ts";

const bytesOf = (data: Float32Array | Uint16Array): Uint8Array => new Uint8Array(data.buffer);
const numbers = Float32Array.of(1, -2.5, 0, 3);
const bf16 = memoryByteSource("bf16", bytesOf(encodeBfloat16(numbers)));
const f16 = memoryByteSource("f16", bytesOf(encodeFloat16(numbers)));
// A stretch that is not aligned for its elements.
const f32 = memoryByteSource("f32", new Uint8Array([7, ...bytesOf(numbers)]));

/** Looks up a row of a table, and multiplies it with another. */
function tableGraph(): Graph {
  const b = new GraphBuilder("g");
  const row = b.input("row", "int64", [1]);
  const table = b.external("table", "bfloat16", [2, 2], { source: bf16, offset: 0, lengthBytes: 8 });
  const again = b.external("again", "bfloat16", [4], { source: bf16, offset: 0, lengthBytes: 8 });
  const half = b.external("half", "float16", [2], { source: f16, offset: 4, lengthBytes: 4 });
  const plain = b.external("plain", "float32", [4], { source: f32, offset: 1, lengthBytes: 16 });
  const y = b.mul(b.cast(b.gather(table, row), "float32"), b.cast(half, "float32"));
  return b.finish([b.named("y", y), b.named("z", b.add(plain, b.cast(again, "float32")))]);
}

async function floatsOf(file: ReturnType<typeof planWeightFile>): Promise<Float32Array> {
  const source = await collectBytes("file", file.stream());
  expect(source.sizeBytes).toBe(file.sizeBytes);
  return new Float32Array((await source.read(0, source.sizeBytes)).slice().buffer);
}

describe("planWeightFile", () => {
  it("writes each stretch once, for all graphs, widened, at a multiple of a page", async () => {
    const file = planWeightFile("weights.bin", [tableGraph(), tableGraph()]);
    const floats = await floatsOf(file);
    expect(file.sizeBytes).toBe(2 * 4096 + 16);
    expect([...floats.subarray(0, 4)]).toEqual([...numbers]);
    expect([...floats.subarray(1024, 1026)]).toEqual([0, 3]);
    expect([...floats.subarray(2048)]).toEqual([...numbers]);
  });

  it("points a graph at them, whose casts go and whose indices are int32", () => {
    const graph = tableGraph();
    const moved = planWeightFile("weights.bin", [graph]).relocate(graph);
    expect(() => verifyGraph(moved)).not.toThrow();
    expect(moved.nodes.map(({ op }) => op)).toEqual(["Gather", "Mul", "Identity", "Add", "Identity"]);
    expect(moved.inputs.map(({ dtype }) => dtype)).toEqual(["int32"]);
    const places = moved.initializers.map(({ value, data }) => [
      ...[value.name, value.dtype],
      data.kind === "external"
        ? [data.external.source.name, data.external.offset, data.external.lengthBytes]
        : "",
    ]);
    expect(places).toEqual([
      ["table", "float32", ["weights.bin", 0, 16]],
      ["again", "float32", ["weights.bin", 0, 16]],
      ["half", "float32", ["weights.bin", 4096, 8]],
      ["plain", "float32", ["weights.bin", 8192, 16]],
    ]);
  });

  it("widens what is longer than one read", async () => {
    const many = Float32Array.from({ length: 3_000_000 }, (_, index) => (index % 251) - 100);
    const source = memoryByteSource("many", bytesOf(encodeBfloat16(many)));
    const b = new GraphBuilder("g");
    const lengthBytes = 2 * many.length;
    const weight = b.external("w", "bfloat16", [many.length], { source, offset: 0, lengthBytes });
    const file = planWeightFile("weights.bin", [b.finish([b.named("y", b.cast(weight, "float32"))])]);
    const floats = await floatsOf(file);
    expect(floats.length).toBe(many.length);
    expect(floats.every((value, index) => value === many[index])).toBe(true);
  });

  it("ends on abort", async () => {
    const file = planWeightFile("weights.bin", [tableGraph()]);
    await expect(collectBytes("file", file.stream(AbortSignal.abort()))).rejects.toThrow(/abort/);
  });
});
