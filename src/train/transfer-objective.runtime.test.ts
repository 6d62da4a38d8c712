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
import { makeAdamW } from "./adamw.ts";
import type { DataPosition, TrainingDocument } from "./data/document-source.ts";
import { zerosLike } from "./parameters.ts";
import { readWeightTensors } from "./read-weight-tensors.ts";
import { makeSchedule } from "./schedule.ts";
import type { StudentOptions } from "./student.ts";
import { train } from "./train-loop.ts";
import { createTransferObjective } from "./transfer-objective.ts";
import { describeWeights } from "./weight-tensors.ts";

const context: ContextSettings = { sinkTokens: 2, slotTokens: 0, windowTokens: 6, segmentTokens: 4 };
const capacity = 12;
const lengthTokens = capacity + 3 * 4;
const sizes = { hiddenSize: 16, queryHeadCount: 4, keyValueHeadCount: 2, headSize: 4, mlpSize: 10 };
const paper = { variant: "paper", rank: 3 } as const;
const plus = { variant: "plus", rank: 3, seed: 4, context: { ...context, slotTokens: 3 } } as const;

interface Setup extends Partial<StudentOptions> {
  readonly adapter?: TinyAdapterOptions;
}

async function create(setup: Setup = {}) {
  const { adapter: shape = paper } = setup;
  const folder = createTinyModelFolder({ ...sizes, maxPositions: 64 });
  const json = await folder.readJson("config.json");
  const family = await loadModelFamily("tiny", json);
  const config = family.readConfig("tiny", json);
  const base = await readWeightTensors("tiny", (await openCheckpointWeights(folder)).tensors);
  const adapter = await openAdapter(createTinyAdapterFolder({ ...sizes, context, ...shape }));
  const all = await readWeightTensors("tiny adapter", adapter.tensors);
  const isTrained = (name: string): boolean => name.includes(".read_gate.");
  const trained = new Map([...all].filter(([name]) => isTrained(name)));
  const objective = await createTransferObjective({
    ...{ family, config, base, trained, contexts: [context], lengthTokens },
    frozen: new Map([...all].filter(([name]) => !isTrained(name))),
    runtime: createNodeRuntime({ threads: 1 }),
    makePolicy: (settings) =>
      createPolicy(adapter.design.variant, {
        geometry: config.geometry,
        context: settings,
        adapter: { ...adapter, tensors: describeWeights(all) },
      }),
    ...setup,
  });
  return { objective, trained };
}

/** Tokens without a rule. */
function makeDocument(weigh: (index: number) => number = () => 1, length = lengthTokens): TrainingDocument {
  const tokens = Int32Array.from({ length }, (_, index) => (index * index * 7 + index) % 19);
  const lossWeights = Float32Array.from({ length }, (_, index) => (index === 0 ? 0 : weigh(index)));
  return { tokens, lossWeights, usedTokens: length };
}

const fillGates = (trained: StudentOptions["trained"], bias: number): void => {
  for (const [name, { data }] of trained) if (name.endsWith("up.bias")) data.fill(bias);
};

describe("the objective of attention transfer", () => {
  it.each<[string, Setup]>([
    ["paper", {}],
    ["plus", { adapter: plus, contexts: [plus.context], lengthTokens: lengthTokens + 3 }],
  ])("gives the gradient of the whole loss: what finite differences say (%s)", async (_, setup) => {
    const { objective } = await create(setup);
    await using _disposed = objective;
    // No layer's inputs depend on what is trained, so that nothing is lost between segments.
    const document = makeDocument((index) => 1 + (index % 3), setup.lengthTokens);
    const sums = zerosLike(objective.parameters);
    const { weight } = await objective.accumulate(document, sums, 0);
    expect(weight).toBeGreaterThan(10);
    for (const [name, index] of [
      ["layers.0.read_gate.up.bias", 1],
      ["layers.1.read_gate.up.bias", 2],
      ["layers.1.read_gate.up.weight", 3],
      ["layers.0.read_gate.down.weight", 5],
    ] as const) {
      const slope = await measureSlope(objective, document, { name, index });
      const gradient = sums.get(name)?.[index] ?? Number.NaN;
      expect(Math.abs(gradient)).toBeGreaterThan(1e-3);
      // Losses of some tens in float32, over 0.04.
      expect(Math.abs(slope - gradient)).toBeLessThan(1e-3 + 0.01 * Math.abs(gradient));
    }
  });

  it("falls as the window grows, towards 0, where it would hold all that full attention looks at", async () => {
    // The last segment of 40 tokens: one commit has taken 4 of them, or seven commits have taken 28.
    const document = makeDocument((index) => (index > 36 ? 1 : 0), 40);
    const { objective: wide } = await create({
      contexts: [{ ...context, windowTokens: 30 }],
      lengthTokens: 40,
    });
    await using _wide = wide;
    const { objective: narrow } = await create({ lengthTokens: 40 });
    await using _narrow = narrow;
    const near = await wide.measureFrozen(document, 0);
    const far = await narrow.measureFrozen(document, 0);
    expect(near.weight).toBe(3);
    expect(far.weight).toBe(3);
    expect(near.loss).toBeGreaterThan(0);
    expect(near.loss).toBeLessThan(0.5 * far.loss);
  });

  it("measures layers by themselves: the gate of one changes nothing in the others", async () => {
    const { objective, trained } = await create();
    await using _disposed = objective;
    const gradientOf = async (): Promise<number[]> => {
      const sums = zerosLike(objective.parameters);
      await objective.accumulate(makeDocument(), sums, 0);
      return [...(sums.get("layers.1.read_gate.up.bias") ?? [])];
    };
    const before = await gradientOf();
    trained.get("layers.0.read_gate.up.bias")?.data.fill(3);
    expect(await gradientOf()).toEqual(before);
  });

  it("begins at the frozen model's loss with closed gates, and not with open ones", async () => {
    const { objective, trained } = await create();
    await using _disposed = objective;
    const document = makeDocument();
    const frozen = await objective.measureFrozen(document, 0);
    const lossNow = async () =>
      (await objective.accumulate(document, zerosLike(objective.parameters), 0)).loss;
    expect(Math.abs((await lossNow()) - frozen.loss)).toBeGreaterThan(0.01);
    fillGates(trained, -40);
    expect(await lossNow()).toBeCloseTo(frozen.loss, 4);
    expect(frozen.loss / frozen.weight).toBeGreaterThan(0.01);
  });

  it("learns from what lies past the window alone", async () => {
    const { objective } = await create();
    await using _disposed = objective;
    const sums = zerosLike(objective.parameters);
    const early = makeDocument((index) => (index <= capacity ? 1 : 0));
    expect(await objective.accumulate(early, sums, 0)).toEqual({ loss: 0, weight: 0, tokenCount: 24 });
    expect((await objective.accumulate(makeDocument(), sums, 0)).weight).toBe(11);
  });

  it("lowers its loss when it is trained, with settings in turn", async () => {
    const { objective, trained } = await create({
      contexts: [context, { ...context, windowTokens: 5, segmentTokens: 3 }],
    });
    await using _disposed = objective;
    fillGates(trained, -4);
    const source = {
      identity: "one",
      start: {},
      read: async (position: DataPosition) => ({ document: makeDocument(), position }),
    };
    const losses: number[] = [];
    const plan = {
      objective,
      source,
      optimizer: makeAdamW(),
      schedule: makeSchedule({ kind: "constant", peakRate: 0.05, totalSteps: 60 }),
      totalSteps: 60,
      tokensPerStep: 1,
    };
    for await (const event of train(plan)) if (event.type === "step") losses.push(event.loss);
    for (const kind of [0, 1]) expect(losses.at(-2 + kind)).toBeLessThan(0.98 * (losses[kind] ?? Number.NaN));
  });

  it("refuses documents within the window, or longer than the teacher's", async () => {
    await expect(create({ lengthTokens: 15 })).rejects.toThrow(/got 15, expected 16 or more/);
    await expect(create({ lengthTokens: 65 })).rejects.toThrow(/got 65/);
  });
});
