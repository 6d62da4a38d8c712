import { describe, expect, it } from "vitest";
import { tinyGeometry } from "../../test/support/tiny-geometry.ts";
import { drawInitialBetas, drawInitialGates } from "./initial-gates.ts";

const geometry = tinyGeometry();

describe("drawInitialBetas", () => {
  it("gives every head of every layer the same number, shut unless told otherwise", () => {
    const { layerCount, queryHeadCount: H } = geometry;
    for (const [beta, expected] of [
      [undefined, -4],
      [-6, -6],
    ] as const) {
      const betas = drawInitialBetas(geometry, beta);
      expect([...betas.keys()]).toEqual(
        Array.from({ length: layerCount }, (_, layer) => `layers.${layer}.read_gate.beta`),
      );
      for (const { shape, data } of betas.values()) {
        expect(shape).toEqual([H]);
        expect([...data]).toEqual(new Array(H).fill(expected));
      }
    }
  });
});

describe("drawInitialGates", () => {
  it("shuts every gate whatever it reads, and lets it learn", () => {
    const gates = drawInitialGates(geometry, { rank: 3, seed: 1 });
    const { queryHeadCount: H, headSize: D } = geometry;
    const gate = (name: string) => gates.get(`layers.0.read_gate.${name}`);
    expect(gate("down.weight")?.shape).toEqual([3, H * D]);
    expect(gate("up.weight")?.shape).toEqual([H, 3]);
    expect(gate("up.weight")?.data.every((value) => value === 0)).toBe(true);
    expect([...(gate("up.bias")?.data ?? [])]).toEqual(new Array(H).fill(-4));
    // Where `up` and `down` are both zero, neither ever gets a gradient.
    expect(gate("down.weight")?.data.every((value) => value !== 0)).toBe(true);
  });

  it("draws by the seed and the layer", () => {
    const of = (seed: number, layer = 0) =>
      drawInitialGates(geometry, { rank: 3, seed }).get(`layers.${layer}.read_gate.down.weight`)?.data;
    expect(of(1)).toEqual(of(1));
    expect(of(1)).not.toEqual(of(2));
    expect(of(1)).not.toEqual(of(1, 1));
  });
});
