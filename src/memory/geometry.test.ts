import { describe, expect, it } from "vitest";
import { InvalidRequestError } from "../errors.ts";
import { type ContextSettings, defaultContext, localCapacityTokens, validateContext } from "./geometry.ts";

const fitting: ContextSettings = { sinkTokens: 3, slotTokens: 2, windowTokens: 21, segmentTokens: 13 };

describe("localCapacityTokens", () => {
  it("is the sum of all regions", () => {
    expect(localCapacityTokens(fitting)).toBe(39);
    expect(localCapacityTokens(defaultContext)).toBe(4 + 1024 + 512);
  });
});

describe("validateContext", () => {
  it("takes what just fits, and streams without sinks and slots", () => {
    validateContext(fitting, 39);
    validateContext({ sinkTokens: 0, slotTokens: 0, windowTokens: 1, segmentTokens: 1 }, 2);
  });

  it("refuses more than the trained positions, with the sum", () => {
    expect(() => validateContext(fitting, 38)).toThrow(InvalidRequestError);
    expect(() => validateContext(fitting, 38)).toThrow(
      'context: sinks, slots, window and segment exceed the positions that the model was trained on, got "3 + 2 + 21 + 13 = 39", expected at most 38. Choose a smaller windowTokens or segmentTokens.',
    );
  });

  it.each([
    ["sinkTokens", -1, 0],
    ["sinkTokens", 0.5, 0],
    ["slotTokens", -1, 0],
    ["slotTokens", Number.NaN, 0],
    ["windowTokens", 0, 1],
    ["windowTokens", -4, 1],
    ["windowTokens", 2.5, 1],
    ["segmentTokens", 0, 1],
    ["segmentTokens", Number.POSITIVE_INFINITY, 1],
    ["segmentTokens", 2 ** 60, 1],
  ] as const)("refuses %s of %d", (name, value, least) => {
    const context = { ...fitting, [name]: value };
    expect(() => validateContext(context, Number.MAX_SAFE_INTEGER)).toThrow(InvalidRequestError);
    expect(() => validateContext(context, Number.MAX_SAFE_INTEGER)).toThrow(
      `context.${name}: not a size, got ${value}, expected a whole number >= ${least}.`,
    );
  });

  it("refuses what is no number, as callers without types may pass", () => {
    for (const value of ["8", null, undefined, {}]) {
      const context = { ...fitting, windowTokens: value as unknown as number };
      expect(() => validateContext(context, 1000)).toThrow("context.windowTokens: not a size");
    }
  });
});
