/**
 * Holds graphs, state and session to the method's definition on the reference interpreter, which computes in
 * float64. What the session keeps (keys, values, memory, logits) is float32 all the same.
 */

import { describe, expect, it } from "vitest";
import { readOracleModel, StreamOracle } from "../../test/support/edgeinfinite-oracle.ts";
import { createReferenceRuntime } from "../runtime/reference/interpreter.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../testing/tiny-model.ts";
import { loadModelOn, type Platform } from "./load-model.ts";

/** Rounding the state to float32 measures 1e-6 on logits between -5 and 5. */
const tolerance = 1e-5;

const context = { sinkTokens: 1, windowTokens: 3, segmentTokens: 2 };
const sizes = { layerCount: 2, hiddenSize: 10, queryHeadCount: 6, keyValueHeadCount: 2, headSize: 6 };
/** Six tokens fit before the first commit; the last one is the sixth's. */
const tokens = Array.from({ length: 6 + 2 * 5 + 1 }, (_, index) => (index * 37 + 11) % 282);

const platform: Platform = {
  openFolder: () => Promise.reject(new Error("no folders here")),
  createRuntime: async () => createReferenceRuntime({ precision: "float64" }),
};

describe("on the reference interpreter, logits are those of the definition", () => {
  it.each([
    { policy: "paper", modelType: "llama", pieceTokens: 1 },
    { policy: "paper", modelType: "qwen3", pieceTokens: 2 },
    { policy: "streaming", modelType: "qwen2", pieceTokens: 1 },
    { policy: "full", modelType: "mistral", pieceTokens: 3 },
  ] as const)("$policy, $modelType, $pieceTokens at a time", async ({ policy, modelType, pieceTokens }) => {
    const folder = createTinyModelFolder({ ...sizes, modelType, mlpSize: 14, tied: false, seed: 3 });
    const adapter = policy === "paper" ? createTinyAdapterFolder({ ...sizes, rank: 3 }) : undefined;
    const oracle = new StreamOracle(
      await readOracleModel(folder, adapter),
      policy === "full" ? { ...context, windowTokens: Number.POSITIVE_INFINITY } : context,
    );
    await using model = await loadModelOn(platform, folder, { policy, context, ...(adapter && { adapter }) });
    const session = model.createSession();
    for (let start = 0; start < tokens.length; start += pieceTokens) {
      const piece = tokens.slice(start, start + pieceTokens);
      await session.append(piece);
      const expected = piece.map((token) => oracle.step(token)).at(-1) ?? [];
      const errors = Array.from(session.logits ?? [], (logit, id) =>
        Math.abs(logit - (expected[id] ?? Number.NaN)),
      );
      expect(errors).toHaveLength(282);
      expect(Math.max(...errors)).toBeLessThan(tolerance);
    }
    expect(session.stats.commitCount).toBe(policy === "full" ? 0 : 6);
    expect(oracle.commitCount).toBe(session.stats.commitCount);
  });
});
