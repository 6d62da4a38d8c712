import { describe, expect, it } from "vitest";
import { measureSlope } from "../../test/support/objective-slope.ts";
import { openCheckpointWeights } from "../files/checkpoint-files.ts";
import { openAdapter } from "../memory/adapter.ts";
import type { ContextSettings } from "../memory/geometry.ts";
import { createPolicy } from "../memory/policies.ts";
import { loadModelFamily } from "../models/registry.ts";
import { createNodeRuntime } from "../runtime/node.ts";
import {
  createTinyAdapterFolder,
  createTinyModelFolder,
  type TinyAdapterOptions,
} from "../testing/tiny-model.ts";
import type { TrainingDocument } from "./data/document-source.ts";
import { createDistillObjective, type DistillOptions } from "./distill-objective.ts";
import { drawInitialSlotBias } from "./initial-networks.ts";
import { zerosLike } from "./parameters.ts";
import { readWeightTensors } from "./read-weight-tensors.ts";
import { createSegmentObjective } from "./segment-objective.ts";
import { describeWeights, type WeightTensors } from "./weight-tensors.ts";

const context: ContextSettings = { sinkTokens: 2, slotTokens: 4, windowTokens: 6, segmentTokens: 4 };
const capacity = 16;
const sizes = { hiddenSize: 16, queryHeadCount: 4, keyValueHeadCount: 2, headSize: 4, mlpSize: 10 };
const runtime = createNodeRuntime({ threads: 1 });
const slotsOnly = { variant: "plus", linearMemory: false, slotBias: true, rank: 3, seed: 4 } as const;

interface Setup extends Partial<DistillOptions> {
  /** L; default 2. */
  readonly layerCount?: number;
  readonly adapter?: TinyAdapterOptions;
  /** Changes the adapter's tensors. */
  readonly change?: (tensors: WeightTensors) => WeightTensors;
  readonly isTrained?: (name: string) => boolean;
}

async function create(setup: Setup = {}) {
  const { adapter: shape = slotsOnly, change, isTrained = (name) => name.includes("slot_bias") } = setup;
  const { layerCount = 2 } = setup;
  const folder = createTinyModelFolder({ ...sizes, layerCount, maxPositions: 64 });
  const json = await folder.readJson("config.json");
  const family = await loadModelFamily("tiny", json);
  const config = family.readConfig("tiny", json);
  const base = await readWeightTensors("tiny", (await openCheckpointWeights(folder)).tensors);
  const adapter = await openAdapter(createTinyAdapterFolder({ ...sizes, layerCount, context, ...shape }));
  const read = await readWeightTensors("tiny adapter", adapter.tensors);
  const all = change?.(read) ?? read;
  const trained = new Map([...all].filter(([name]) => isTrained(name)));
  const frozen = new Map([...all].filter(([name]) => !isTrained(name)));
  const makePolicy = (settings: ContextSettings) =>
    createPolicy(adapter.design.variant, {
      geometry: config.geometry,
      context: settings,
      adapter: { ...adapter, tensors: describeWeights(all) },
    });
  const options = {
    ...{ family, config, base, frozen, trained, runtime, makePolicy, contexts: [context] },
    ...{ lengthTokens: capacity + 4, longTokens: capacity + 4 },
    ...setup,
  };
  return { objective: await createDistillObjective(options), options, geometry: config.geometry };
}

/** Tokens without a rule; answers weigh more. */
function makeDocument(length: number): TrainingDocument {
  const tokens = Int32Array.from({ length }, (_, index) => (index * index * 7 + index) % 19);
  const lossWeights = Float32Array.from({ length }, (_, index) =>
    index === 0 ? 0 : index % 3 === 0 ? 10 : 1,
  );
  return { tokens, lossWeights, usedTokens: length };
}

/** A step of each kind: against the teacher, and against the tokens themselves. */
const [teacherStep, tokenStep] = [0, 2];

describe("the objective of distillation", () => {
  it.each([teacherStep, tokenStep])(
    "gives the gradient of the slots' bias: what finite differences say, where nothing is detached (step %i)",
    async (kind) => {
      const { objective } = await create();
      await using _disposed = objective;
      const document = makeDocument(capacity + 4);
      const sums = zerosLike(objective.parameters);
      await objective.accumulate(document, sums, kind);
      for (const [name, index] of [
        ["layers.0.slot_bias.head.bias", 1],
        ["layers.1.slot_bias.head.bias", 3],
        ["layers.0.slot_bias.up.bias", 1],
        ["layers.1.slot_bias.up.weight", 4],
        ["layers.0.slot_bias.down.weight", 7],
        ["layers.1.slot_bias.down.bias", 2],
      ] as const) {
        const slope = await measureSlope(objective, document, { name, index, step: kind });
        const gradient = sums.get(name)?.[index] ?? Number.NaN;
        expect(Math.abs(gradient)).toBeGreaterThan(1e-3);
        // Losses of some tens in float32, over 0.04.
        expect(Math.abs(slope - gradient)).toBeLessThan(2e-3 + 0.01 * Math.abs(gradient));
      }
    },
  );

  // Keys and values of one layer do not depend on what is remembered, so that nothing that is detached has a gradient.
  it.each([
    { name: "with slots", slotTokens: 4, step: teacherStep, featureCount: 5, writeGate: true },
    { name: "without", slotTokens: 0, step: tokenStep, featureCount: 5, writeGate: true },
    { name: "of given features", slotTokens: 4, step: tokenStep, featureCount: undefined, writeGate: true },
    { name: "without a gate", slotTokens: 4, step: teacherStep, featureCount: 5, writeGate: false },
  ])("gives the gradient of what is written over several commits, $name", async (setting) => {
    const { slotTokens, step, writeGate } = setting;
    const settings = { ...context, slotTokens };
    const length = 12 + slotTokens + 3 * 4;
    const features = setting.featureCount === undefined ? {} : { featureCount: setting.featureCount };
    const { objective } = await create({
      adapter: { ...slotsOnly, ...features, linearMemory: true, writeGate, context: settings },
      contexts: [settings],
      layerCount: 1,
      isTrained: (name) => !name.includes("retention"),
      ...{ lengthTokens: length, longTokens: length },
    });
    await using _disposed = objective;
    const document = makeDocument(length);
    const sums = zerosLike(objective.parameters);
    await objective.accumulate(document, sums, step);
    const places = [
      ["layers.0.write_gate.up.bias", 1],
      ["layers.0.write_gate.up.weight", 4],
      ["layers.0.write_gate.down.weight", 7],
      ["layers.0.write_gate.down.bias", 2],
      ["layers.0.feature_map.key.weight", 6],
      ["layers.0.feature_map.key.weight", 33],
      ["layers.0.feature_map.query.weight", 6],
      ["layers.0.read_gate.up.bias", 2],
      ["layers.0.slot_bias.up.bias", 1],
    ] as const;
    for (const [name, index] of places.filter(([tensor]) => sums.has(tensor))) {
      if (slotTokens === 0 && name.includes("slot_bias")) continue;
      const slope = await measureSlope(objective, document, { name, index, step });
      const gradient = sums.get(name)?.[index] ?? Number.NaN;
      expect(Math.abs(gradient), name).toBeGreaterThan(1e-3);
      expect(Math.abs(slope - gradient), name).toBeLessThan(2e-3 + 0.01 * Math.abs(gradient));
    }
  });

  it("changes nothing with a bias of 0, however long the document", async () => {
    const { geometry } = await create();
    const change = (tensors: WeightTensors): WeightTensors =>
      new Map([...tensors, ...drawInitialSlotBias(geometry, 3, 1)]);
    const { objective } = await create({ change, lengthTokens: 60, longTokens: 100 });
    await using _disposed = objective;
    for (const step of [teacherStep, tokenStep]) {
      const document = makeDocument(objective.lengthTokens(step));
      const sums = zerosLike(objective.parameters);
      const { loss, weight } = await objective.accumulate(document, sums, step);
      const frozen = await objective.measureFrozen(document, step);
      expect(weight).toBe(frozen.weight);
      expect(loss).toBeCloseTo(frozen.loss, 3);
      // Else training would never begin.
      expect(sums.get("layers.0.slot_bias.up.weight")?.some((value) => Math.abs(value) > 1e-4)).toBe(true);
    }
  });

  it("is a divergence where the teacher is asked: above 0, and far below the loss of tokens", async () => {
    const { objective } = await create({ lengthTokens: 60, longTokens: 60 });
    await using _disposed = objective;
    const document = makeDocument(60);
    const { loss, weight } = await objective.accumulate(
      document,
      zerosLike(objective.parameters),
      teacherStep,
    );
    expect(loss / weight).toBeGreaterThan(1e-4);
    // The loss of tokens that follow no rule is far more than what the teacher knows better.
    const plain = await objective.accumulate(document, zerosLike(objective.parameters), tokenStep);
    expect(plain.loss / plain.weight).toBeGreaterThan(10 * (loss / weight));
  });

  it("agrees with the loss over segments where tokens are learned, gates and all", async () => {
    const paper = { variant: "paper", rank: 3 } as const;
    const settings = { ...context, slotTokens: 0 };
    const { objective, options } = await create({
      adapter: { ...paper, context: settings },
      contexts: [settings],
      isTrained: () => true,
      longTokens: 12 + 3 * 4,
    });
    await using _disposed = objective;
    const { base, trained, family, config } = options;
    await using other = createSegmentObjective({
      ...{ base, trained, runtime, contexts: [settings], segmentCount: 3, geometry: config.geometry },
      makeModel(of) {
        const policy = options.makePolicy(of);
        const inference = family.buildInferenceGraph("tiny", config, describeWeights(base), policy);
        return { context: of, policy, inference };
      },
    });
    const document = makeDocument(24);
    const [sums, otherSums] = [zerosLike(objective.parameters), zerosLike(objective.parameters)];
    const own = await objective.accumulate(document, sums, tokenStep);
    const expected = await other.accumulate(document, otherSums, 0);
    expect(own.weight).toBe(expected.weight);
    expect(own.loss).toBeCloseTo(expected.loss, 3);
    for (const [name, sum] of sums)
      for (const [index, value] of sum.entries())
        expect(value).toBeCloseTo(otherSums.get(name)?.[index] ?? Number.NaN, 3);
  });

  it("reads whole segments of documents of any length", async () => {
    const { objective } = await create({ lengthTokens: 39, longTokens: 47 });
    await using _disposed = objective;
    const counts = [0, 1, 2].map(async (step) => {
      const document = makeDocument(objective.lengthTokens(step));
      return (await objective.accumulate(document, zerosLike(objective.parameters), step)).tokenCount;
    });
    expect(await Promise.all(counts)).toEqual([36, 36, 44]);
  });

  it("refuses documents within the window, or longer than the teacher's", async () => {
    await expect(create({ lengthTokens: 19 })).rejects.toThrow(/got 19, expected 20 or more/);
    await expect(create({ lengthTokens: 65 })).rejects.toThrow(/got 65/);
  });
});
