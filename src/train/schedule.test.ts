import { describe, expect, it } from "vitest";
import { makeSchedule } from "./schedule.ts";

describe("makeSchedule", () => {
  it("rises in equal parts and then stays", () => {
    const rate = makeSchedule({ kind: "constant", peakRate: 0.4, warmupSteps: 4, totalSteps: 10 });
    expect([0, 1, 2, 3, 4, 9, 100].map(rate)).toEqual(
      [0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4].map((value) => expect.closeTo(value, 12)),
    );
  });

  it("falls along half a cosine from the peak to the floor at the last step", () => {
    const rate = makeSchedule({
      kind: "cosine",
      peakRate: 1,
      warmupSteps: 2,
      totalSteps: 11,
      floorShare: 0.1,
    });
    expect([1, 2].map(rate)).toEqual([1, 1]);
    expect(rate(6)).toBeCloseTo(0.1 + 0.9 * 0.5, 12);
    expect(rate(4)).toBeCloseTo(0.1 + 0.9 * 0.5 * (1 + Math.SQRT1_2), 12);
    expect(rate(10)).toBeCloseTo(0.1, 12);
    expect(rate(1000)).toBeCloseTo(0.1, 12);
  });

  it("stays, and falls in equal parts at the end, whatever the length before", () => {
    const options = {
      kind: "constant",
      peakRate: 1,
      warmupSteps: 2,
      decaySteps: 4,
      floorShare: 0.2,
    } as const;
    const rate = makeSchedule({ ...options, totalSteps: 10 });
    expect([0, 2, 5, 6, 7, 8, 9, 99].map(rate)).toEqual(
      [0.5, 1, 1, 0.8, 0.6, 0.4, 0.2, 0.2].map((value) => expect.closeTo(value, 12)),
    );
    const longer = makeSchedule({ ...options, totalSteps: 1000 });
    expect([0, 1, 2, 5].map(longer)).toEqual([0, 1, 2, 5].map(rate));
  });

  it("holds without warm-up, and when all is warm-up", () => {
    expect(makeSchedule({ kind: "cosine", peakRate: 1, totalSteps: 1 })(0)).toBe(1);
    expect(makeSchedule({ kind: "cosine", peakRate: 1, warmupSteps: 2, totalSteps: 2 })(1)).toBe(1);
  });

  it("refuses options out of range, by name", () => {
    const options = { kind: "constant", peakRate: 1, totalSteps: 10 } as const;
    expect(() => makeSchedule({ ...options, peakRate: 0 })).toThrow(/peakRate/);
    expect(() => makeSchedule({ ...options, totalSteps: 1.5 })).toThrow(/totalSteps/);
    expect(() => makeSchedule({ ...options, warmupSteps: 11 })).toThrow(/warmupSteps/);
    expect(() => makeSchedule({ ...options, decaySteps: 11 })).toThrow(/decaySteps/);
    expect(() => makeSchedule({ ...options, kind: "cosine", decaySteps: 1 })).toThrow(/decaySteps/);
    expect(() => makeSchedule({ ...options, floorShare: 2 })).toThrow(/floorShare/);
  });
});
