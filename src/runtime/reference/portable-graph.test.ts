import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../../graph/builder.ts";
import type { Graph, Value } from "../../graph/graph.ts";
import { toPortableGraph } from "../../graph/portable.ts";
import { hostTensor } from "../../tensor/host-tensor.ts";
import { createReferenceRuntime } from "./interpreter.ts";

async function run(graph: Graph): Promise<number[]> {
  const runtime = createReferenceRuntime({ precision: "float64", floats: "float64" });
  await using session = await runtime.createSession(graph);
  const feeds = graph.inputs.map(({ name, shape }, index) => {
    const sizes = shape.map(Number);
    const count = sizes.reduce((product, size) => product * size, 1);
    const data = Float64Array.from({ length: count }, (_, i) => 2 * Math.sin(1 + i * (index + 1.37)));
    return [name, hostTensor("float64", sizes, data)] as const;
  });
  const { y } = await session.run(Object.fromEntries(feeds));
  return Array.from((y?.data as Float64Array | undefined) ?? []);
}

const x = (b: GraphBuilder): Value => b.input("x", "float32", [2, 3, 5, 8]);
const table = (b: GraphBuilder, name: string, pairs: number): Value =>
  b.input(name, "float32", [2, 5, pairs]);
const heads = (b: GraphBuilder, name: string): Value => b.input(name, "float32", [2, 1, 7, 8]);
const mask = (b: GraphBuilder): Value => b.input("mask", "float32", [5, 7]);

describe("a portable graph", () => {
  it.each<[string, (b: GraphBuilder) => Value]>([
    ["a norm", (b) => b.rmsNorm(x(b), b.input("w", "float32", [8]), 0.1)],
    ["a rotation", (b) => b.rotaryEmbedding(x(b), table(b, "cos", 4), table(b, "sin", 4))],
    ["a rotation of a part", (b) => b.rotaryEmbedding(x(b), table(b, "cos", 3), table(b, "sin", 3))],
    ["attention", (b) => b.attention(x(b), heads(b, "k"), heads(b, "v"), mask(b), 0.3)],
    ["a GELU by the error function", (b) => b.gelu(x(b), "none")],
    ["a GELU by tanh", (b) => b.gelu(x(b), "tanh")],
  ])("gives for %s what the newer operator gives", async (_, write) => {
    const b = new GraphBuilder("g");
    const graph = b.finish([b.named("y", write(b))]);
    const [whole, parts] = [await run(graph), await run(toPortableGraph(graph))];
    expect(whole).toHaveLength(240);
    // Constants such as the square root of 2 are float32 in graphs.
    for (const [index, value] of whole.entries()) expect(parts[index]).toBeCloseTo(value, 6);
    expect(new Set(whole).size).toBeGreaterThan(200);
  });
});
