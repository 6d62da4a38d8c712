import { describe, expect, it } from "vitest";
import { measureSlope } from "../../test/support/objective-slope.ts";
import { openCheckpointWeights } from "../files/checkpoint-files.ts";
import { loadModelFamily } from "../models/registry.ts";
import { createNodeRuntime } from "../runtime/node.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import { makeAdamW } from "./adamw.ts";
import type { DataPosition, TrainingDocument } from "./data/document-source.ts";
import { drawInitialRetention } from "./initial-networks.ts";
import type { Objective } from "./objective.ts";
import { zerosLike } from "./parameters.ts";
import { readWeightTensors } from "./read-weight-tensors.ts";
import { createRetentionObjective, type RetentionOptions } from "./retention-objective.ts";
import { makeSchedule } from "./schedule.ts";
import { train } from "./train-loop.ts";

const context = { sinkTokens: 2, slotTokens: 4, windowTokens: 6, segmentTokens: 4 };
const sizes = { hiddenSize: 16, queryHeadCount: 4, keyValueHeadCount: 2, headSize: 4, mlpSize: 10 };
const lengthTokens = 40;
const rank = 5;

async function createObjective(options: Partial<RetentionOptions> = {}) {
  const folder = createTinyModelFolder({ ...sizes, maxPositions: 64 });
  const json = await folder.readJson("config.json");
  const family = await loadModelFamily("tiny", json);
  const config = family.readConfig("tiny", json);
  const base = await readWeightTensors("tiny", (await openCheckpointWeights(folder)).tensors);
  const trained = drawInitialRetention(config.geometry, rank, 1);
  const runtime = createNodeRuntime({ threads: 1 });
  const all = { family, config, base, trained, rank, runtime, contexts: [context], lengthTokens, ...options };
  return { objective: await createRetentionObjective(all), trained };
}

/** Tokens without a rule, some of which come again. */
function makeDocument(usedTokens = lengthTokens): TrainingDocument {
  const tokens = Int32Array.from({ length: lengthTokens }, (_, index) => (index * index * 7 + index) % 19);
  return { tokens, lossWeights: new Float32Array(lengthTokens).fill(1, 1), usedTokens };
}

const zeros = (objective: Objective) => zerosLike(objective.parameters);

describe("the objective of retention", () => {
  it("counts each head's tokens that leave within the document", async () => {
    const { objective } = await createObjective();
    await using _disposed = objective;
    // Tokens 2 to 29 leave by position 36: S 2 + W 6 + 4 * 7 segments. Two layers of two heads.
    expect((await objective.accumulate(makeDocument(), zeros(objective), 0)).weight).toBe(28 * 4);
    expect((await objective.accumulate(makeDocument(20), zeros(objective), 0)).weight).toBe(8 * 4);
  });

  it("gives the gradient of the loss: what finite differences say", async () => {
    const { objective, trained } = await createObjective();
    await using _disposed = objective;
    for (const { data } of trained.values()) data.set(data.map((value, i) => value + 0.1 * Math.sin(i)));
    const sums = zeros(objective);
    await objective.accumulate(makeDocument(), sums, 0);
    for (const [name, index] of [
      ["layers.0.retention.up.bias", 1],
      ["layers.1.retention.up.weight", 3],
      ["layers.0.retention.down.weight", 7],
    ] as const) {
      const slope = await measureSlope(objective, makeDocument(), { name, index });
      // Losses of some tens in float32, over 0.04.
      expect(slope).toBeCloseTo(sums.get(name)?.[index] ?? Number.NaN, 2);
    }
  });

  it("pools what neighbours are worth, and weighs the queries that ask", async () => {
    /** Sums the targets: with a logit of 1 everywhere, a loss is log(1 + e) for each, less the targets. */
    const sumTargets = async (options: Partial<RetentionOptions>, lossWeight = 1): Promise<number> => {
      const { objective, trained } = await createObjective(options);
      await using _disposed = objective;
      for (const [name, { data }] of trained) data.fill(name.endsWith("up.bias") ? 1 : 0);
      const document = makeDocument();
      document.lossWeights.fill(lossWeight);
      const { loss, weight } = await objective.accumulate(document, zeros(objective), 0);
      return weight * Math.log1p(Math.E) - loss;
    };
    const plain = await sumTargets({});
    expect(await sumTargets({}, 0.5)).toBeCloseTo(plain, 4);
    expect(await sumTargets({ weighsQueries: true })).toBeCloseTo(plain, 4);
    expect(await sumTargets({ weighsQueries: true }, 0.5)).toBeCloseTo(plain / 2, 4);
    expect(await sumTargets({ weighsQueries: true }, 0)).toBeCloseTo(0, 4);
    const pooled = await sumTargets({ kernelTokens: 3 });
    expect(pooled).toBeGreaterThan(plain * 1.05);
    expect(pooled).toBeLessThan(plain * 3.2);
    await expect(createObjective({ kernelTokens: 2 })).rejects.toThrow("odd");
    await expect(sumTargets({ weighsQueries: true }, 1.5)).rejects.toThrow(/weights in \[0, 1\]/);
  });

  it("learns to tell tokens that are read again from others", async () => {
    const { objective } = await createObjective();
    await using _disposed = objective;
    const document = makeDocument();
    const source = {
      identity: "one",
      start: {},
      read: async (position: DataPosition) => ({ document, position }),
    };
    const losses: number[] = [];
    const plan = {
      objective,
      source,
      optimizer: makeAdamW(),
      schedule: makeSchedule({ kind: "constant", peakRate: 0.03, totalSteps: 80 }),
      totalSteps: 80,
      tokensPerStep: 1,
    };
    for await (const event of train(plan)) if (event.type === "step") losses.push(event.loss);
    expect(losses.at(-1)).toBeLessThan(0.98 * Math.min(...losses.slice(0, 1)));
  });

  it("refuses documents that nothing leaves the window of, or that the teacher is not trained for", async () => {
    await expect(createObjective({ lengthTokens: 12 })).rejects.toThrow(/got 12, expected 13 to 64/);
    await expect(createObjective({ lengthTokens: 65 })).rejects.toThrow(/got 65/);
  });
});
