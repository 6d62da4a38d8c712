import { describe, expect, it } from "vitest";
import { localCapacityTokens } from "../memory/geometry.ts";
import { varyContext } from "./gate-context.ts";

describe("varyContext", () => {
  const context = { sinkTokens: 4, slotTokens: 0, windowTokens: 64, segmentTokens: 32 };

  it("begins with what was asked for, and varies sinks, window and segment within it", () => {
    const all = varyContext(context);
    expect(all[0]).toEqual(context);
    for (const name of ["sinkTokens", "windowTokens", "segmentTokens"] as const)
      expect(new Set(all.map((one) => one[name])).size).toBeGreaterThan(1);
    expect(Math.max(...all.map(localCapacityTokens))).toBe(100);
  });

  it("has no settings twice, and none that are too small to train", () => {
    const least = { sinkTokens: 0, slotTokens: 0, windowTokens: 1, segmentTokens: 2 };
    expect(varyContext(least)).toEqual([least]);
  });
});
