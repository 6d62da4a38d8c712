import { describe, expect, it } from "vitest";
import { measureSlope } from "../../test/support/objective-slope.ts";
import { createTinySegments } from "../../test/support/tiny-segments.ts";
import type { ContextSettings } from "../memory/geometry.ts";
import { makeAdamW } from "./adamw.ts";
import type { DataPosition, TrainingDocument } from "./data/document-source.ts";
import type { Objective } from "./objective.ts";
import { zerosLike } from "./parameters.ts";
import { makeSchedule } from "./schedule.ts";
import type { SegmentOptions } from "./segment-objective.ts";
import { train } from "./train-loop.ts";

const context: ContextSettings = { sinkTokens: 2, slotTokens: 0, windowTokens: 6, segmentTokens: 4 };
const capacity = 12;
const createObjective = (options: Partial<SegmentOptions> = {}) =>
  createTinySegments({ context, objective: options });

/** Tokens without a rule, of the length of a document. */
function makeDocument(segments: number, weigh: (index: number) => number = () => 1): TrainingDocument {
  const length = capacity + segments * context.segmentTokens;
  const tokens = Int32Array.from({ length }, (_, index) => (index * index * 7 + index) % 19);
  const lossWeights = Float32Array.from({ length }, (_, index) => (index === 0 ? 0 : weigh(index)));
  return { tokens, lossWeights, usedTokens: length };
}

const zeros = (objective: Objective) => zerosLike(objective.parameters);

describe("the objective over segments", () => {
  it("gives the gradient of the loss: what finite differences say, where nothing is detached", async () => {
    const { objective } = await createObjective({ segmentCount: 1 });
    await using _disposed = objective;
    const document = makeDocument(1);
    const sums = zeros(objective);
    await objective.accumulate(document, sums, 0);
    for (const [name, index] of [
      ["layers.0.read_gate.up.bias", 1],
      ["layers.1.read_gate.up.weight", 3],
      ["layers.0.read_gate.down.weight", 5],
    ] as const) {
      const slope = await measureSlope(objective, document, { name, index });
      // Losses of about 10 in float32 differ by 1e-6 of themselves; over 0.04 that is a few 1e-4.
      expect(slope).toBeCloseTo(sums.get(name)?.[index] ?? Number.NaN, 3);
    }
  });

  it("learns from what lies past the window alone, and reads all", async () => {
    const { objective } = await createObjective();
    await using _disposed = objective;
    const early = makeDocument(3, (index) => (index <= capacity ? 1 : 0));
    const sums = zeros(objective);
    expect(await objective.accumulate(early, sums, 0)).toEqual({ loss: 0, weight: 0, tokenCount: 24 });
    expect([...sums.values()].every((sum) => sum.every((value) => value === 0))).toBe(true);
    const { weight } = await objective.accumulate(makeDocument(3), sums, 0);
    expect(weight).toBe(11);
  });

  it("gives the same loss whatever segments have weight: the others are read alike", async () => {
    const { objective } = await createObjective();
    await using _disposed = objective;
    const lossOf = async (weigh: (index: number) => number) =>
      (await objective.accumulate(makeDocument(3, weigh), zeros(objective), 0)).loss;
    const last = await lossOf((index) => (index > 20 ? 1 : 0));
    const others = await lossOf((index) => (index > 20 ? 0 : 1));
    expect(last + others).toBeCloseTo(await lossOf(() => 1), 4);
  });

  it("begins at the frozen model's loss with closed gates, and not with open ones", async () => {
    const { objective, trained } = await createObjective();
    await using _disposed = objective;
    const document = makeDocument(3);
    const frozen = await objective.measureFrozen(document, 0);
    const open = await objective.accumulate(document, zeros(objective), 0);
    expect(Math.abs(open.loss - frozen.loss)).toBeGreaterThan(0.01);
    for (const [name, { data }] of trained) if (name.endsWith("up.bias")) data.fill(-40);
    const closed = await objective.accumulate(document, zeros(objective), 0);
    expect(closed.loss).toBeCloseTo(frozen.loss, 4);
    expect(closed.weight).toBe(frozen.weight);
  });

  it("lowers its loss when it is trained", async () => {
    const { objective } = await createObjective();
    await using _disposed = objective;
    const document = makeDocument(3);
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
      schedule: makeSchedule({ kind: "constant", peakRate: 0.01, totalSteps: 30 }),
      totalSteps: 30,
      tokensPerStep: 1,
    };
    for await (const event of train(plan)) if (event.type === "step") losses.push(event.loss);
    expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) - 0.01);
  });

  it("takes settings in turn, with documents of the length that each needs", async () => {
    const other = { ...context, windowTokens: 5, segmentTokens: 6 };
    const { objective } = await createObjective({ contexts: [context, other], segmentCount: 2 });
    await using _disposed = objective;
    expect([0, 1, 2].map((step) => objective.lengthTokens(step))).toEqual([20, 25, 20]);
    const length = objective.lengthTokens(1);
    const { tokens, lossWeights } = makeDocument(4);
    const document = {
      tokens: tokens.slice(0, length),
      lossWeights: lossWeights.slice(0, length),
      usedTokens: length,
    };
    expect((await objective.accumulate(document, zeros(objective), 1)).weight).toBe(11);
  });

  it("refuses to learn from nothing", async () => {
    await expect(createObjective({ contexts: [] })).rejects.toThrow(/nothing to learn from/);
    await expect(createObjective({ segmentCount: 0 })).rejects.toThrow(/nothing to learn from/);
  });

  it.each([-1, 0.5, 3, Number.NaN])("refuses to go back through %s of three segments", async (bpttDepth) => {
    await expect(createObjective({ bpttDepth })).rejects.toThrow(
      /bpttDepth: a document has not so many segments.*expected a whole number from 0 to 2/,
    );
  });
});
