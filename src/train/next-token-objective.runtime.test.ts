import { describe, expect, it } from "vitest";
import { loadModelFamily } from "../models/registry.ts";
import { createNodeRuntime } from "../runtime/node.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import { makeAdamW } from "./adamw.ts";
import type { DocumentSource } from "./data/document-source.ts";
import { drawInitialWeights } from "./initial-weights.ts";
import { createNextTokenObjective, type LengthStage } from "./next-token-objective.ts";
import { makeSchedule } from "./schedule.ts";
import { train } from "./train-loop.ts";

const lengthTokens = 24;

async function createObjective(
  modelType: "llama" | "qwen3",
  lengths: readonly LengthStage[] = [{ fromStep: 0, lengthTokens }],
) {
  const maxPositions = 64;
  const folder = createTinyModelFolder({ modelType, hiddenSize: 32, headSize: 8, mlpSize: 48, maxPositions });
  const json = await folder.readJson("config.json");
  const family = await loadModelFamily("tiny", json);
  const config = family.readConfig("tiny", json);
  const weights = drawInitialWeights(config, 3);
  const runtime = createNodeRuntime({ threads: 1 });
  const options = { family, config, weights, runtime, lengths };
  return { objective: createNextTokenObjective(options), config };
}

/** The same document for ever: tokens that follow no rule but come again. */
const tokens = Int32Array.from({ length: lengthTokens }, (_, index) => (index * index * 7 + index) % 19);
const repeated: DocumentSource = {
  identity: "repeated",
  start: {},
  async read(position) {
    const lossWeights = new Float32Array(lengthTokens).fill(1, 1);
    return { document: { tokens, lossWeights, usedTokens: lengthTokens }, position };
  },
};

describe.each(["llama", "qwen3"] as const)("pre-training a %s", (modelType) => {
  it("begins near the logarithm of the vocabulary, and learns a document by heart", async () => {
    const { objective, config } = await createObjective(modelType);
    await using _disposed = objective;
    const losses: number[] = [];
    const plan = {
      objective,
      source: repeated,
      optimizer: makeAdamW(),
      schedule: makeSchedule({ kind: "constant", peakRate: 0.01, totalSteps: 60 }),
      totalSteps: 60,
      tokensPerStep: 1,
    };
    for await (const event of train(plan)) if (event.type === "step") losses.push(event.loss);
    expect(Math.abs((losses[0] ?? 0) - Math.log(config.vocabularySize))).toBeLessThan(0.5);
    expect(losses.at(-1)).toBeLessThan(0.1);
  });
});

describe("the objective of pre-training", () => {
  it("weighs tokens: those of weight 0 change nothing", async () => {
    const { objective } = await createObjective("llama");
    await using _disposed = objective;
    const lossWeights = new Float32Array(lengthTokens);
    lossWeights[5] = 2;
    const run = async (last: number) => {
      const sums = new Map(
        [...objective.parameters].map(([name, { length }]) => [name, new Float32Array(length)]),
      );
      const changed = tokens.with(lengthTokens - 1, last);
      const document = { tokens: changed, lossWeights, usedTokens: lengthTokens };
      return { sums, loss: await objective.accumulate(document, sums, 0) };
    };
    const [one, other] = [await run(1), await run(2)];
    expect(one.loss).toEqual(other.loss);
    expect(one.loss.weight).toBe(2);
    expect(one.sums).toEqual(other.sums);
    expect(one.sums.get("model.norm.weight")?.some((value) => value !== 0)).toBe(true);
  });

  it("takes documents of the length that each step has, and refuses lengths out of range", async () => {
    const stage = (fromStep: number, length: number): LengthStage => ({ fromStep, lengthTokens: length });
    const { objective } = await createObjective("llama", [stage(0, 8), stage(10, 24)]);
    await using _disposed = objective;
    expect([0, 9, 10, 99].map((step) => objective.lengthTokens(step))).toEqual([8, 8, 24, 24]);
    await expect(createObjective("llama", [stage(0, 65)])).rejects.toThrow(
      /longer than the model has positions, got 65/,
    );
    await expect(createObjective("llama", [stage(1, 8)])).rejects.toThrow(/begin at step 0/);
    await expect(createObjective("llama", [stage(0, 8), stage(0, 9)])).rejects.toThrow(/order of steps/);
  });
});
