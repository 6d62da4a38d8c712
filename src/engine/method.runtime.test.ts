/**
 * Holds the engine on ONNX Runtime to the method's definition, family by family and policy by policy.
 */

import { describe, expect, it } from "vitest";
import { type OracleContext, readOracleModel, StreamOracle } from "../../test/support/edgeinfinite-oracle.ts";
import {
  createTinyAdapterFolder,
  createTinyModelFolder,
  type TinyModelOptions,
} from "../testing/tiny-model.ts";
import { loadModel } from "./node.ts";

/** Logits lie between -5 and 5; float32 against float64 measures 1.2e-5. */
const tolerance = 1e-4;

/** Odd sizes: what is padded, grouped or rounded somewhere shows. */
const context: OracleContext = { sinkTokens: 3, windowTokens: 21, segmentTokens: 13 };
const sizes = { layerCount: 3, hiddenSize: 42, queryHeadCount: 6, keyValueHeadCount: 2, headSize: 10 };
/** 37 tokens fit before the first commit; the last one is the seventh's. */
const streamLength = 37 + 6 * 13 + 2;
const tokens = Array.from({ length: streamLength }, (_, index) => (index * index * 31 + 7 * index + 5) % 282);

interface Run {
  readonly options: TinyModelOptions;
  readonly policy: "paper" | "streaming" | "full";
  readonly inverseFrequencies?: readonly number[];
}

/** Gives the largest difference of any logit after any token, the tokens read in pieces of a given length. */
async function measure({ options, policy, inverseFrequencies }: Run, pieceTokens: number): Promise<number> {
  const folder = createTinyModelFolder({ ...sizes, mlpSize: 50, seed: 11, ...options });
  const adapter = policy === "paper" ? createTinyAdapterFolder({ ...sizes, rank: 5, seed: 12 }) : undefined;
  const oracle = new StreamOracle(
    await readOracleModel(folder, adapter, inverseFrequencies),
    policy === "full" ? { ...context, windowTokens: Number.POSITIVE_INFINITY } : context,
  );
  await using model = await loadModel(folder, { policy, context, ...(adapter && { adapter }) });
  const session = model.createSession();
  let largest = 0;
  for (let start = 0; start < tokens.length; start += pieceTokens) {
    const piece = tokens.slice(start, start + pieceTokens);
    await session.append(piece);
    const expected = piece.map((token) => oracle.step(token)).at(-1) ?? [];
    expect(session.logits).toHaveLength(expected.length);
    session.logits?.forEach((logit, id) => {
      largest = Math.max(largest, Math.abs(logit - (expected[id] ?? Number.NaN)));
    });
  }
  expect(session.stats.commitCount).toBe(policy === "full" ? 0 : 7);
  expect(oracle.commitCount).toBe(session.stats.commitCount);
  return largest;
}

describe("the logits after every token are those of the definition", () => {
  for (const policy of ["paper", "streaming", "full"] as const) {
    it(`of an untied llama, policy ${policy}`, async () => {
      expect(await measure({ options: { tied: false }, policy }, 1)).toBeLessThan(tolerance);
    });
  }

  for (const modelType of ["mistral", "qwen2", "qwen3"] as const) {
    it(`of a ${modelType}, policy paper`, async () => {
      expect(await measure({ options: { modelType }, policy: "paper" }, 1)).toBeLessThan(tolerance);
    });
  }

  it("of a llama with linearly scaled rotary embedding", async () => {
    const options = { config: { rope_scaling: { rope_type: "linear", factor: 4 }, rope_theta: 500 } };
    const inverseFrequencies = [0, 1, 2, 3, 4].map((pair) => 500 ** (-pair / 5) / 4);
    expect(await measure({ options, policy: "paper", inverseFrequencies }, 1)).toBeLessThan(tolerance);
  });

  for (const dtype of ["bfloat16", "float16"] as const) {
    it(`of a llama stored as ${dtype}, in shards`, async () => {
      expect(await measure({ options: { dtype, sharded: true }, policy: "paper" }, 1)).toBeLessThan(
        tolerance,
      );
    });
  }
});

describe("the logits after every piece are those of the definition", () => {
  for (const pieceTokens of [2, 13, 29, 64]) {
    it(`in pieces of ${pieceTokens} tokens`, async () => {
      expect(await measure({ options: {}, policy: "paper" }, pieceTokens)).toBeLessThan(tolerance);
    });
  }
});
