import { describe, expect, it } from "vitest";
import { makeAdamW } from "./adamw.ts";
import type { DocumentSource } from "./data/document-source.ts";
import type { Objective } from "./objective.ts";
import { makeSchedule } from "./schedule.ts";
import { type StepEvent, type TrainingPlan, type TrainingPoint, train } from "./train-loop.ts";

/** Documents of three tokens that count up from the number of the document. */
const counting: DocumentSource = {
  identity: "counting",
  start: { document: 0 },
  async read(position, lengthTokens) {
    const first = Number(position.document);
    const tokens = Int32Array.from({ length: lengthTokens }, (_, index) => first + index);
    const lossWeights = new Float32Array(lengthTokens).fill(1, 1);
    const document = { tokens, lossWeights, usedTokens: lengthTokens };
    return { document, position: { document: first + 1 } };
  },
};

/** Half the squared distance of a parameter to the first token of each document, with weight 2. */
function makeObjective(broken: (first: number) => boolean = () => false): Objective {
  const value = Float32Array.of(0, 0);
  return {
    parameters: new Map([["value", value]]),
    lengthTokens: () => 3,
    async accumulate({ tokens }, sums) {
      const first = tokens[0] ?? 0;
      const target = broken(first) ? Number.NaN : first % 5;
      const sum = sums.get("value") ?? new Float32Array(2);
      let loss = 0;
      for (let index = 0; index < 2; index++) {
        const difference = (value[index] ?? 0) - target * (index + 1);
        loss += difference * difference;
        sum[index] = (sum[index] ?? 0) + 2 * difference;
      }
      return { loss, weight: 2, tokenCount: 3 };
    },
    async [Symbol.asyncDispose]() {},
  };
}

function makePlan(options: Partial<TrainingPlan> = {}): TrainingPlan {
  return {
    objective: makeObjective(),
    source: counting,
    optimizer: makeAdamW(),
    schedule: makeSchedule({ kind: "cosine", peakRate: 0.1, totalSteps: 30 }),
    totalSteps: 30,
    tokensPerStep: 6,
    checkpointSteps: 10,
    ...options,
  };
}

/** Copies a point as a file would. */
function keep(point: TrainingPoint): TrainingPoint {
  return structuredClone(point);
}

async function runAll(plan: TrainingPlan, signal?: AbortSignal) {
  const steps: StepEvent[] = [];
  const points: TrainingPoint[] = [];
  for await (const event of train(plan, signal)) {
    if (event.type === "step") steps.push(event);
    else points.push(keep(event.point));
  }
  return { steps, points };
}

const factsOf = (steps: readonly StepEvent[]) =>
  steps.map(({ tokensPerSecond: _speed, secondsLeft: _left, ...facts }) => facts);

describe("train", () => {
  it("takes all steps, with a checkpoint each few and the finish at the end", async () => {
    const { steps, points } = await runAll(makePlan());
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
    expect(points.map(({ step }) => step)).toEqual([10, 20, 30]);
    expect(points.at(-1)).toMatchObject({ position: { document: 60 }, tokenCount: 180 });
    expect(steps[0]?.learningRate).toBe(0.1);
  });

  it("divides losses and gradients by all weights of a step", async () => {
    const { steps } = await runAll(makePlan({ totalSteps: 1, maxGradientNorm: Number.POSITIVE_INFINITY }));
    // Documents 0 and 1 at value 0: losses 0 and 1 + 4; gradients 0 and (-2, -4); weights 4.
    expect(steps[0]?.loss).toBeCloseTo(5 / 4, 6);
    expect(steps[0]?.gradientNorm).toBeCloseTo(Math.hypot(2, 4) / 4, 6);
  });

  it("goes on from any checkpoint to the bit", async () => {
    const whole = await runAll(makePlan());
    for (const from of whole.points.slice(0, 2)) {
      const rest = await runAll(makePlan({ from }));
      expect(factsOf(rest.steps)).toEqual(factsOf(whole.steps.slice(from.step)));
      expect(rest.points.at(-1)).toEqual(whole.points.at(-1));
    }
  });

  it("skips steps without a finite loss, changing nothing, and ends after some in a row", async () => {
    const once = await runAll(makePlan({ objective: makeObjective((first) => first === 4), totalSteps: 4 }));
    expect(once.steps.map(({ action }) => action)).toEqual(["take", "take", "skip", "take"]);
    expect(once.points[0]?.optimizer.step).toBe(3);
    expect(once.points[0]?.parameters.get("value")?.every(Number.isFinite)).toBe(true);
    const always = makePlan({ objective: makeObjective((first) => first > 6), skipLimit: 3 });
    await expect(runAll(always)).rejects.toThrow(/no numbers 3 steps in a row/);
  });

  it("gives a checkpoint of the last whole step on abort, and throws the reason", async () => {
    const controller = new AbortController();
    const points: TrainingPoint[] = [];
    const reading = async () => {
      for await (const event of train(makePlan(), controller.signal)) {
        if (event.type === "step" && event.step === 13) controller.abort(new Error("enough"));
        if (event.type === "checkpoint") points.push(keep(event.point));
      }
    };
    await expect(reading()).rejects.toThrow("enough");
    expect(points.map(({ step }) => step)).toEqual([10, 13]);
    const [, last] = points;
    const whole = await runAll(makePlan());
    const rest = await runAll(makePlan(last && { from: last }));
    expect(rest.points.at(-1)).toEqual(whole.points.at(-1));
  });

  it("refuses counts out of range and points of other parameters", async () => {
    await expect(runAll(makePlan({ tokensPerStep: 0 }))).rejects.toThrow(/tokensPerStep: out of range/);
    await expect(runAll(makePlan({ totalSteps: 1.5 }))).rejects.toThrow(/totalSteps: out of range/);
    const { points } = await runAll(makePlan({ totalSteps: 1 }));
    const [point] = points;
    const other = { ...point, parameters: new Map([["other", new Float32Array(2)]]) } as TrainingPoint;
    await expect(runAll(makePlan({ from: other }))).rejects.toThrow(/value: the array is missing/);
  });
});
