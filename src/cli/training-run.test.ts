import { describe, expect, it } from "vitest";
import { FileError, OutOfMemoryError } from "../errors.ts";
import { explainMemory, formatTrainingProgress } from "./training-run.ts";

describe("formatTrainingProgress", () => {
  const event = {
    type: "step",
    step: 1250,
    loss: 3.25,
    gradientNorm: 1,
    learningRate: 0.001,
    action: "take",
    skippedCount: 0,
    tokenCount: 1,
    tokensPerSecond: 1234.5,
    secondsLeft: 605,
  } as const;

  it("says step, loss, speed and the time left, as far as there is room", () => {
    const line = formatTrainingProgress(event, 5000, 120);
    expect(line).toMatch(
      /^ 25% █+░+ {2}step 1,250 of 5,000 {2}loss 3\.2500 {2}1,23[45] tokens\/s {2}10 min 05 s left$/,
    );
    expect(formatTrainingProgress(event, 5000, 60)).not.toContain("left");
  });
});

describe("explainMemory", () => {
  const remedy = "Choose a smaller --segment.";

  it("names the setting that helps, whoever had no room", () => {
    const failures: unknown[] = [new OutOfMemoryError({ where: "session", what: "bad_alloc" })];
    for (const length of [2 ** 53, -1]) {
      try {
        new Float32Array(length);
      } catch (error) {
        failures.push(error);
      }
    }
    expect(failures).toHaveLength(3);
    for (const failure of failures) {
      const explained = explainMemory(failure, remedy);
      expect(explained).toMatchObject({ code: "out-of-memory", remedy, cause: failure });
    }
  });

  it("leaves other failures as they are", () => {
    for (const failure of [
      new FileError({ where: "x", what: "y" }),
      new RangeError("toFixed() digits"),
      "text",
    ])
      expect(explainMemory(failure, remedy)).toBe(failure);
  });
});
