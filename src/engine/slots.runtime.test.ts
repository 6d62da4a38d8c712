/**
 * Holds the policies with retained slots to their definition on ONNX Runtime.
 */

import { describe, expect, it } from "vitest";
import { measureOracleDistance, type OracleRun } from "../../test/support/oracle-distance.ts";

/** Logits lie between -5 and 5; float32 against float64 measures below 3e-5. */
const tolerance = 1e-4;

async function measure(run: OracleRun): Promise<number> {
  return (await measureOracleDistance(run)).largest;
}

const everything = {
  slotBias: true,
  writeGate: true,
  featureCount: 7,
  fusion: "shared-normalizer",
} as const;

describe("the logits of policies with slots are those of the definition", () => {
  it.each<[string, OracleRun]>([
    ["keydiff", { options: { tied: false }, policy: "keydiff" }],
    ["keydiff in pieces", { options: {}, policy: "keydiff", pieceTokens: 29 }],
    ["h2o", { options: { tied: false }, policy: "h2o" }],
    ["h2o in pieces", { options: {}, policy: "h2o", pieceTokens: 29 }],
    ["h2o of many query heads", { options: { keyValueHeadCount: 1 }, policy: "h2o", pieceTokens: 4 }],
    ["snapkv", { options: { tied: false }, policy: "snapkv" }],
    ["snapkv in pieces", { options: {}, policy: "snapkv", pieceTokens: 29 }],
    [
      "snapkv of a short window, without sinks",
      {
        options: { keyValueHeadCount: 1 },
        policy: "snapkv",
        pieceTokens: 4,
        context: { sinkTokens: 0, slotTokens: 9, windowTokens: 3, segmentTokens: 8 },
      },
    ],
    ["pyramidkv", { options: { tied: false }, policy: "pyramidkv" }],
    ["pyramidkv in pieces", { options: {}, policy: "pyramidkv", pieceTokens: 29 }],
    [
      "pyramidkv of slots that many commits fill, some layers without rotary embedding",
      {
        options: { modelType: "smollm3", layerCount: 5 },
        policy: "pyramidkv",
        pieceTokens: 4,
        context: { sinkTokens: 0, slotTokens: 20, windowTokens: 3, segmentTokens: 6 },
      },
    ],
    ["plus", { options: { tied: false }, policy: "plus" }],
    ["plus in pieces", { options: {}, policy: "plus", pieceTokens: 13 }],
    [
      "plus without a linear memory",
      { options: {}, policy: "plus", plus: { linearMemory: false }, pieceTokens: 2 },
    ],
    [
      "slots with a bias alone",
      { options: {}, policy: "plus", plus: { linearMemory: false, slotBias: true } },
    ],
    [
      "slots with a bias alone in pieces",
      { options: {}, policy: "plus", plus: { linearMemory: false, slotBias: true }, pieceTokens: 13 },
    ],
    [
      "a bias of many query heads",
      { options: { keyValueHeadCount: 1 }, policy: "plus", plus: { linearMemory: false, slotBias: true } },
    ],
    [
      "slots that layers share unequally, with a bias",
      {
        options: {},
        policy: "plus",
        plus: { linearMemory: false, slotBias: true, slotShares: [1, 2, 5] },
        budgets: [3, 6, 12],
      },
    ],
    [
      "slots that layers share unequally in pieces, two of them alike",
      {
        options: { tied: false },
        policy: "plus",
        plus: { linearMemory: false, slotBias: true, slotShares: [8, 1, 8] },
        budgets: [10, 2, 9],
        pieceTokens: 29,
      },
    ],
    [
      "slots that layers share unequally without a bias, some without rotary embedding, without sinks",
      {
        options: { modelType: "smollm3", layerCount: 5 },
        policy: "plus",
        plus: { linearMemory: false, slotShares: [0.1, 1, 1, 3, 9] },
        budgets: [2, 8, 8, 21, 61],
        pieceTokens: 4,
        context: { sinkTokens: 0, slotTokens: 20, windowTokens: 3, segmentTokens: 6 },
      },
    ],
    [
      "slots that layers share equally, as a list",
      {
        options: {},
        policy: "plus",
        plus: { linearMemory: false, slotBias: true, slotShares: [1, 1, 1] },
        pieceTokens: 4,
      },
    ],
    [
      "scores pooled over neighbours",
      { options: {}, policy: "plus", plus: { linearMemory: false, slotBias: true, scoreKernel: 3 } },
    ],
    [
      "scores pooled over more neighbours than the window has, in pieces, beside a linear memory",
      {
        options: { tied: false },
        policy: "plus",
        plus: { scoreKernel: 9 },
        pieceTokens: 4,
        context: { sinkTokens: 2, slotTokens: 7, windowTokens: 2, segmentTokens: 6 },
      },
    ],
    [
      "scores pooled over neighbours, slots that layers share unequally in pieces",
      {
        options: {},
        policy: "plus",
        plus: { linearMemory: false, slotBias: true, slotShares: [1, 2, 5], scoreKernel: 5 },
        budgets: [3, 6, 12],
        pieceTokens: 29,
      },
    ],
    ["a write gate", { options: {}, policy: "plus", plus: { writeGate: true }, pieceTokens: 3 }],
    ["learned features", { options: {}, policy: "plus", plus: { featureCount: 7 }, pieceTokens: 3 }],
    ["a shared normalizer", { options: {}, policy: "plus", plus: { fusion: "shared-normalizer" } }],
    [
      "a shared normalizer in pieces",
      { options: {}, policy: "plus", plus: { fusion: "shared-normalizer" }, pieceTokens: 13 },
    ],
    ["everything", { options: { keyValueHeadCount: 3 }, policy: "plus", plus: everything }],
    ["everything in pieces", { options: { tied: false }, policy: "plus", plus: everything, pieceTokens: 29 }],
    [
      "everything of many query heads, without sinks",
      {
        options: { keyValueHeadCount: 1 },
        policy: "plus",
        plus: everything,
        pieceTokens: 4,
        context: { sinkTokens: 0, slotTokens: 5, windowTokens: 9, segmentTokens: 6 },
      },
    ],
    [
      "everything one by one, without sinks",
      {
        options: { keyValueHeadCount: 1 },
        policy: "plus",
        plus: everything,
        context: { sinkTokens: 0, slotTokens: 5, windowTokens: 9, segmentTokens: 6 },
      },
    ],
    [
      "a linear memory without slots",
      {
        options: {},
        policy: "plus",
        plus: everything,
        pieceTokens: 2,
        context: { sinkTokens: 2, slotTokens: 0, windowTokens: 9, segmentTokens: 6 },
      },
    ],
  ])("%s", async (_, run) => {
    expect(await measure(run)).toBeLessThan(tolerance);
  });
});
