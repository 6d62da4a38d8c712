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

describe("the logits of policies with slots are those of the definition", () => {
  it.each<[string, OracleRun]>([
    ["keydiff", { options: { tied: false }, policy: "keydiff" }],
    ["keydiff in pieces", { options: {}, policy: "keydiff", pieceTokens: 29 }],
    ["plus", { options: { tied: false }, policy: "plus" }],
    ["plus in pieces", { options: {}, policy: "plus", pieceTokens: 13 }],
    ["plus without a linear memory", { options: {}, policy: "plus", linearMemory: false, pieceTokens: 2 }],
  ])("%s", async (_, run) => {
    expect(await measure(run)).toBeLessThan(tolerance);
  });
});
