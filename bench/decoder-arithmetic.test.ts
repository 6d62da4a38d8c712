import { describe, expect, it } from "vitest";
import type { DecoderSizes } from "../src/models/decoder-tensors.ts";
import { decodeBytes, meanAttendedPlaces, prefillFlops, weightBytes } from "./decoder-arithmetic.ts";

const smolLm2: DecoderSizes = {
  layerCount: 30,
  hiddenSize: 576,
  queryHeadCount: 9,
  keyValueHeadCount: 3,
  headSize: 64,
  mlpSize: 1536,
  vocabularySize: 49152,
};
const context = { sinkTokens: 4, slotTokens: 0, windowTokens: 1024, segmentTokens: 512 };

describe("meanAttendedPlaces", () => {
  it("has the mean of a full cache and one that was just emptied, over a whole segment", () => {
    expect(meanAttendedPlaces(0, 512, context)).toBe(256.5);
    expect(meanAttendedPlaces(10_000, 10_512, context)).toBe(1028 + 256.5);
    expect(meanAttendedPlaces(1539, 1541, context)).toBe((1540 + 1029) / 2);
  });
});

describe("what a token costs", () => {
  it("counts SmolLM2-135M's parameters", () => {
    // Of 134,515,008 parameters 35,136 are norms.
    const parameters = 134_515_008 - 61 * 576;
    expect(weightBytes(smolLm2, "f32", true)).toBe(4 * parameters);
    expect(decodeBytes(smolLm2, "f32", 0)).toBe(4 * parameters);
    expect(prefillFlops(smolLm2, 0)).toBe(2 * (parameters - 576 * 49152));
  });

  it("counts an untied output and the blocks' scales", () => {
    const embedding = 576 * 49152;
    expect(weightBytes(smolLm2, "q8", false) - weightBytes(smolLm2, "q8", true)).toBe(1.125 * embedding);
    expect(weightBytes(smolLm2, "q4", true) / weightBytes(smolLm2, "f32", true)).toBe(0.625 / 4);
  });

  it("adds two products of attention and two rows of the cache a place", () => {
    expect(prefillFlops(smolLm2, 100) - prefillFlops(smolLm2, 0)).toBe(100 * 30 * 9 * 64 * 4);
    expect(decodeBytes(smolLm2, "q8", 100) - decodeBytes(smolLm2, "q8", 0)).toBe(100 * 30 * 3 * 64 * 2 * 4);
  });
});
