/**
 * Holds the engine on ONNX Runtime to the method's definition, policy by policy, on the kin of Llama. Other families
 * are in families.slow.test.ts.
 */

import { describe, expect, it } from "vitest";
import { measureOracleDistance, type OracleRun } from "../../test/support/oracle-distance.ts";

/** Logits lie between -5 and 5; float32 against float64 measures 1.2e-5. */
const tolerance = 1e-4;

async function measure(run: OracleRun): Promise<number> {
  return (await measureOracleDistance(run)).largest;
}

describe("the logits after every token are those of the definition", () => {
  for (const policy of ["paper", "streaming", "full"] as const) {
    it(`of an untied llama, policy ${policy}`, async () => {
      expect(await measure({ options: { tied: false }, policy })).toBeLessThan(tolerance);
    });
  }

  for (const updateRule of ["linear", "delta"] as const) {
    it(`of a llama under infini by the ${updateRule} rule`, async () => {
      expect(await measure({ options: {}, policy: "infini", updateRule })).toBeLessThan(tolerance);
    });
  }

  for (const modelType of ["mistral", "qwen2", "qwen3"] as const) {
    it(`of a ${modelType}, policy paper`, async () => {
      expect(await measure({ options: { modelType }, policy: "paper" })).toBeLessThan(tolerance);
    });
  }

  it("of a llama with linearly scaled rotary embedding", async () => {
    const options = { config: { rope_scaling: { rope_type: "linear", factor: 4 }, rope_theta: 500 } };
    const frequencies = [0, 1, 2, 3, 4].map((pair) => 500 ** (-pair / 5) / 4);
    expect(await measure({ options, policy: "paper", frequencies })).toBeLessThan(tolerance);
  });

  for (const dtype of ["bfloat16", "float16"] as const) {
    it(`of a llama stored as ${dtype}, in shards`, async () => {
      expect(await measure({ options: { dtype, sharded: true }, policy: "paper" })).toBeLessThan(tolerance);
    });
  }
});

describe("the logits after every piece are those of the definition", () => {
  for (const pieceTokens of [2, 13, 29, 64]) {
    it(`in pieces of ${pieceTokens} tokens`, async () => {
      expect(await measure({ options: {}, policy: "paper", pieceTokens })).toBeLessThan(tolerance);
    });
  }
});
