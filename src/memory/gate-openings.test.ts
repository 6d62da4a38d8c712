import { describe, expect, it } from "vitest";
import { hostTensor } from "../tensor/host-tensor.ts";
import { GateOpenings, gateOpeningName } from "./gate-openings.ts";

/** Gives what a run of two layers with three heads says. */
const outputsOf = (...openings: number[]) => ({
  [gateOpeningName]: hostTensor("float32", [1, 6], Float32Array.from(openings)),
});

describe("the openings of gates", () => {
  it("are means over tokens, by layer and head, whatever the runs", () => {
    const openings = new GateOpenings(2, 3);
    expect(openings.means(0)).toEqual([]);
    openings.absorb(outputsOf(0.5, 0.25, 0, 1, 0.75, 0.125), 1);
    openings.absorb(outputsOf(0.875, 1, 0.75, 0.25, 0.75, 0.5), 2);
    expect(openings.means(3)).toEqual([
      [0.75, 0.75, 0.5],
      [0.5, 0.75, 0.375],
    ]);
    expect(openings.sizeBytes).toBe(48);
  });

  it("go on alike in a copy and from what was exported, and apart from them", () => {
    const openings = new GateOpenings(2, 3);
    openings.absorb(outputsOf(0.5, 0.25, 0, 1, 0.75, 0.125), 4);
    const copy = openings.clone();
    const restored = new GateOpenings(2, 3);
    restored.import(openings.export());
    openings.absorb(outputsOf(1, 1, 1, 1, 1, 1), 4);
    for (const other of [copy, restored]) {
      expect(other.means(4)).toEqual([
        [0.5, 0.25, 0],
        [1, 0.75, 0.125],
      ]);
      other.absorb(outputsOf(1, 1, 1, 1, 1, 1), 4);
      expect(other.means(8)).toEqual(openings.means(8));
    }
  });

  it("are none where there are no gates, whatever a run gives", () => {
    const none = new GateOpenings(0, 3);
    none.absorb({}, 5);
    expect([none.means(5), none.sizeBytes]).toEqual([[], 0]);
  });
});
