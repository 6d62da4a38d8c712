import { describe, expect, it } from "vitest";
import { parseLengths } from "./train-base.ts";

describe("parseLengths", () => {
  it("gives each length the step from which it holds", () => {
    expect(parseLengths("256", 100)).toEqual([{ fromStep: 0, lengthTokens: 256 }]);
    expect(parseLengths("128,512@0.25,1024@0.6", 1000)).toEqual([
      { fromStep: 0, lengthTokens: 128 },
      { fromStep: 250, lengthTokens: 512 },
      { fromStep: 600, lengthTokens: 1024 },
    ]);
    expect(parseLengths("128,512@40", 1000).at(-1)).toEqual({ fromStep: 40, lengthTokens: 512 });
  });

  it.each(["", "1", "64@1.5", "64@-0.1", "64@0.1@0.2", "6.5", "a"])("refuses %j", (text) => {
    expect(() => parseLengths(text, 100)).toThrow(/--lengths/);
  });
});
