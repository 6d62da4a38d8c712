import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../graph/builder.ts";
import { masked } from "../memory/local-attention.ts";
import { createNodeRuntime } from "../runtime/node.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { splitCausalAttention } from "./causal-blocks.ts";

const [H, K, D] = [4, 2, 8];
const noise = (index: number): number => 1.5 * Math.sin(index * 12.9898 + index * index * 0.7);
const drawn = (shape: readonly number[], from: number) => {
  const length = shape.reduce((product, extent) => product * extent, 1);
  return hostTensor(
    "float32",
    shape,
    Float32Array.from({ length }, (_, index) => noise(from + index)),
  );
};

function makeCase(tokens: number, places: number) {
  const shapes = {
    query: [1, H, tokens, D],
    key: [1, K, places + tokens, D],
    value: [1, K, places + tokens, D],
    mask: [tokens, places + tokens],
  };
  const b = new GraphBuilder("attention");
  const input = (name: keyof typeof shapes) => b.input(name, "float32", shapes[name]);
  const attention = b.attention(input("query"), input("key"), input("value"), input("mask"), 0.5);
  const graph = b.finish([b.named("output", b.mul(attention, b.scalar(1)))]);
  const width = places + tokens;
  const isSeen = (row: number, column: number): boolean => column >= places && column <= places + row;
  const mask = Float32Array.from({ length: tokens * width }, (_, index) =>
    isSeen(Math.floor(index / width), index % width) ? 0 : masked,
  );
  const feeds = {
    query: drawn(shapes.query, 0),
    key: drawn(shapes.key, 1e4),
    value: drawn(shapes.value, 2e4),
    mask: hostTensor("float32", shapes.mask, mask),
  };
  return { graph, feeds };
}

describe("splitting causal attention", () => {
  // Whole blocks, a last one that is shorter, places before the run.
  it.each([
    [256, 0],
    [300, 64],
    [129, 1],
  ])("gives what the whole gives: %i tokens behind %i places", async (tokens, places) => {
    const { graph, feeds } = makeCase(tokens, places);
    const split = splitCausalAttention(graph, { tokens, places });
    const heights = split.nodes.flatMap(({ op, outputs }) =>
      op === "Attention" ? [Number(outputs[0]?.shape[2])] : [],
    );
    expect(heights.length).toBe(Math.ceil(tokens / 128));
    expect(heights.reduce((sum, rows) => sum + rows, 0)).toBe(tokens);
    const runtime = createNodeRuntime({ threads: 1 });
    await using one = await runtime.createSession(graph);
    await using other = await runtime.createSession(split);
    const [whole, parts] = [await one.run(feeds), await other.run(feeds)];
    const given = hostFloats(parts.output, "output");
    for (const [index, value] of hostFloats(whole.output, "output").entries())
      expect(Math.abs(value - (given[index] ?? Number.NaN))).toBeLessThan(1e-5);
  });

  it("leaves short runs as they are", () => {
    const { graph } = makeCase(128, 3);
    expect(splitCausalAttention(graph, { tokens: 128, places: 3 })).toBe(graph);
  });
});
