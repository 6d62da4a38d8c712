import { describe, expect, it } from "vitest";
import { guardStep, noSkippedSteps } from "./loss-guard.ts";

describe("guardStep", () => {
  it("skips steps without a finite loss or gradient, and counts them", () => {
    const first = guardStep(Number.NaN, 1, noSkippedSteps, 3);
    const second = guardStep(1, Number.POSITIVE_INFINITY, first.skipped, 3);
    expect([first.action, second.action]).toEqual(["skip", "skip"]);
    expect(second.skipped).toEqual({ inARow: 2, total: 2 });
    const third = guardStep(2.5, 1, second.skipped, 3);
    expect(third).toEqual({ action: "take", skipped: { inARow: 0, total: 2 } });
  });

  it("ends the training at the limit and says what to do", () => {
    const two = { inARow: 2, total: 5 };
    expect(() => guardStep(Number.NaN, Number.NaN, two, 3)).toThrow(
      /no numbers 3 steps in a row, got "loss NaN, gradient norm NaN".*lower learning rate/,
    );
  });
});
