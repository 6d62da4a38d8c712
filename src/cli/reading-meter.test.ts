import { describe, expect, it } from "vitest";
import { ReadingMeter } from "./reading-meter.ts";

/** Notes steps of 10 tokens; `secondsOf` gives each step's duration. */
function measure(
  stepCount: number,
  secondsOf: (step: number) => number,
  residentOf: (step: number) => number = () => 100,
  stateOf: (step: number) => number = () => 50,
): ReadingMeter {
  const meter = new ReadingMeter();
  let seconds = 0;
  for (let step = 0; step < stepCount; step++) {
    seconds += secondsOf(step);
    const readTokens = (step + 1) * 10;
    meter.note({ readTokens, seconds, stateBytes: stateOf(step), residentBytes: residentOf(step) });
  }
  return meter;
}

describe("ReadingMeter", () => {
  it("has nothing to report on nothing", () => {
    expect(new ReadingMeter().report()).toBeUndefined();
  });

  it("tells the speeds of the first and the last tenth apart from the rest", () => {
    const report = measure(100, (step) => (step < 10 ? 1 : step < 90 ? 3 : 2)).report();
    expect(report).toMatchObject({ tokenCount: 1000, seconds: 270 });
    expect(report?.tokensPerSecond).toBeCloseTo(1000 / 270, 12);
    expect(report?.firstTenthTokensPerSecond).toBeCloseTo(10, 12);
    expect(report?.lastTenthTokensPerSecond).toBeCloseTo(5, 12);
  });

  it("interpolates where a tenth ends within a step", () => {
    // 250 tokens in 25 steps: the first tenth is two and a half steps.
    const report = measure(25, (step) => (step < 2 ? 1 : 4)).report();
    expect(report?.firstTenthTokensPerSecond).toBeCloseTo(25 / 4, 12);
    expect(report?.lastTenthTokensPerSecond).toBeCloseTo(25 / 10, 12);
  });

  it("counts the growth of resident memory from the end of the first tenth to its highest point", () => {
    const resident = (step: number): number => (step < 9 ? 500 : step === 9 ? 600 : step === 50 ? 640 : 610);
    expect(measure(100, () => 1, resident).report()).toMatchObject({
      residentBytes: 610,
      residentGrowthBytes: 40,
    });
  });

  it("shows a state that did not stay constant", () => {
    expect(
      measure(
        30,
        () => 1,
        () => 100,
        (step) => 50 + step,
      ).report(),
    ).toMatchObject({
      leastStateBytes: 50,
      mostStateBytes: 79,
    });
  });

  it("claims nothing about tenths of a few steps", () => {
    expect(measure(19, () => 1).report()).toMatchObject({
      firstTenthTokensPerSecond: undefined,
      lastTenthTokensPerSecond: undefined,
      residentGrowthBytes: undefined,
    });
    expect(measure(20, () => 1).report()?.residentGrowthBytes).toBe(0);
  });
});
