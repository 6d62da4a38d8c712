import { describe, expect, it } from "vitest";
import { InvalidRequestError } from "../errors.ts";
import { requireModel, toGenerateOptions, toLoadOptions } from "./model-options.ts";

describe("options of a model", () => {
  it("become those of loadModel, and what was not given is left to it", () => {
    expect(toLoadOptions({})).toEqual({ context: {} });
    expect(
      toLoadOptions({
        adapter: "a",
        sinks: "0",
        slots: "16",
        window: "64",
        segment: "32",
        policy: "plus",
        threads: "2",
      }),
    ).toEqual({
      adapter: "a",
      context: { sinkTokens: 0, slotTokens: 16, windowTokens: 64, segmentTokens: 32 },
      policy: "plus",
      threads: 2,
    });
    expect(() => toLoadOptions({ policy: "forgetful" })).toThrow(InvalidRequestError);
  });

  it("include the model", () => {
    expect(requireModel("m", "run")).toBe("m");
    expect(() => requireModel(undefined, "run")).toThrow(/--model is missing/);
    expect(() => requireModel("", "run")).toThrow(/--model is missing/);
  });
});

describe("options of generation", () => {
  it("become those of generate", () => {
    expect(toGenerateOptions({})).toEqual({});
    expect(
      toGenerateOptions({
        "max-new-tokens": "9",
        temperature: "0.7",
        "top-k": "40",
        "top-p": "0.9",
        "min-p": "0.05",
        "repetition-penalty": "1.1",
        seed: "7",
        stop: ["a", "b"],
      }),
    ).toEqual({
      maxNewTokens: 9,
      temperature: 0.7,
      topK: 40,
      topP: 0.9,
      minP: 0.05,
      repetitionPenalty: 1.1,
      seed: 7,
      stop: ["a", "b"],
    });
  });

  it.each([
    ["max-new-tokens", "0"],
    ["max-new-tokens", "2.5"],
    ["temperature", "-1"],
    ["top-k", "1.5"],
    ["top-p", "0"],
    ["min-p", "2"],
    ["repetition-penalty", "0"],
    ["seed", "x"],
  ] as const)("are refused before anything is read: --%s %s", (name, text) => {
    expect(() => toGenerateOptions({ [name]: text })).toThrow(InvalidRequestError);
  });
});
