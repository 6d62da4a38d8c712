import { describe, expect, it } from "vitest";
import { tinyGeometry } from "../../test/support/tiny-geometry.ts";
import { memoryByteSource } from "../files/byte-source.ts";
import { parseSafetensorsHeader } from "../files/safetensors.ts";
import { writeSafetensors } from "../files/safetensors-writer.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { WeightReader } from "../graph/weights.ts";
import { createReferenceRuntime } from "../runtime/reference/interpreter.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { writeConvexFusion, writeReadGate } from "./read-gate.ts";

const geometry = tinyGeometry({ queryHeadCount: 3, keyValueHeadCount: 1, headSize: 2 });
const H = 3;
const D = 2;
const R = 2;
const T = 2;

const noise = (index: number): number => 1.5 * Math.sin(index * 12.9898 + index * index * 0.7);
const fill = (length: number, from: number): Float32Array =>
  Float32Array.from({ length }, (_, index) => noise(from + index));

const down = { weight: fill(R * H * D, 0), bias: fill(R, 100) };
const up = { weight: fill(H * R, 200), bias: fill(H, 300) };
const local = fill(T * H * D, 400);
const memory = fill(T * H * D, 500);
const at = (data: Float32Array, index: number): number => data[index] ?? Number.NaN;

/** Computes g of a token and head by the formula. */
function gateAt(t: number, h: number): number {
  let sum = at(up.bias, h);
  for (let r = 0; r < R; r++) {
    let hidden = at(down.bias, r);
    for (let i = 0; i < H * D; i++) hidden += at(down.weight, r * H * D + i) * at(local, t * H * D + i);
    sum += at(up.weight, h * R + r) * (hidden / (1 + Math.exp(-hidden)));
  }
  return 1 / (1 + Math.exp(-sum));
}

async function openGate(layer: number): Promise<WeightReader> {
  const prefix = `layers.${layer}.read_gate`;
  const file = writeSafetensors({
    [`${prefix}.down.weight`]: hostTensor("float32", [R, H * D], down.weight),
    [`${prefix}.down.bias`]: hostTensor("float32", [R], down.bias),
    [`${prefix}.up.weight`]: hostTensor("float32", [H, R], up.weight),
    [`${prefix}.up.bias`]: hostTensor("float32", [H], up.bias),
  });
  const { tensors } = await parseSafetensorsHeader(memoryByteSource("gate", file));
  return new WeightReader("adapter gate", tensors);
}

describe("the read gate", () => {
  it("is sigmoid(up silu(down a + b) + b'), and fuses head by head", async () => {
    const weights = await openGate(5);
    const b = new GraphBuilder("gate");
    const a = b.input("local", "float32", ["T", H * D]);
    const read = b.input("memory", "float32", ["T", 1, H, D]);
    const gate = writeReadGate(b, geometry, weights, R, 5, a);
    const fused = writeConvexFusion(b, geometry, a, read, gate);
    const graph = b.finish([b.named("gate", gate), b.named("fused", fused)]);
    expect(graph.outputs.map(({ shape }) => shape)).toEqual([
      ["T", H],
      ["T", H * D],
    ]);
    expect(weights.leftovers).toEqual([]);
    await using session = await createReferenceRuntime().createSession(graph);
    const outputs = await session.run({
      local: hostTensor("float32", [T, H * D], local),
      memory: hostTensor("float32", [T, 1, H, D], memory),
    });
    const gates = outputs.gate?.data as Float32Array;
    const results = outputs.fused?.data as Float32Array;
    expect(results).toHaveLength(T * H * D);
    for (let t = 0; t < T; t++) {
      for (let h = 0; h < H; h++) {
        const g = gateAt(t, h);
        expect(at(gates, t * H + h)).toBeCloseTo(g, 6);
        for (let d = 0; d < D; d++) {
          const index = (t * H + h) * D + d;
          expect(at(results, index)).toBeCloseTo((1 - g) * at(local, index) + g * at(memory, index), 6);
        }
      }
    }
    // Gates that differ, or the test would not see a mix-up of heads and tokens.
    expect(new Set([...gates].map((gate) => gate.toFixed(3))).size).toBe(T * H);
  });
});
