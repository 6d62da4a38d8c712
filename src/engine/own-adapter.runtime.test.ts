import { describe, expect, it } from "vitest";
import type { ModelFolder } from "../files/model-folder.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../testing/tiny-model.ts";
import { type LoadOptions, loadModelOn } from "./load-model.ts";
import { estimateMemory, nodePlatform } from "./node.ts";

const folder: ModelFolder = {
  ...createTinyModelFolder(),
  adapters: new Map([
    ["plus", createTinyAdapterFolder({ variant: "plus", context: { slotTokens: 16 } })],
    ["paper", createTinyAdapterFolder()],
  ]),
};

async function policyOf(options: LoadOptions): Promise<[string, number]> {
  await using model = await loadModelOn(nodePlatform, folder, { threads: 1, ...options });
  return [model.memoryEstimate.policy, model.context.slotTokens];
}

describe("a model that brings its adapters", () => {
  it("remembers by the best of them, in the sizes it was trained with", async () => {
    expect(await policyOf({})).toEqual(["plus", 16]);
  });

  it("remembers by the one for the policy that is asked for, and by none where the policy needs none", async () => {
    expect(await policyOf({ policy: "paper" })).toEqual(["paper", 0]);
    expect(await policyOf({ policy: "streaming" })).toEqual(["streaming", 0]);
  });

  it("remembers by another that is given", async () => {
    expect(await policyOf({ adapter: createTinyAdapterFolder({ seed: 2 }) })).toEqual(["paper", 0]);
  });

  it("is the package's own by the name default", async () => {
    const estimate = await estimateMemory("default");
    // Of 2.6 million parameters in 8 bits, the embedding twice.
    expect(estimate.weightBytes).toBeGreaterThan(2.5e6);
    expect(estimate.weightBytes).toBeLessThan(6e6);
  });
});
