import { describe, expect, it } from "vitest";
import type { TrainingDocument } from "./data/document-source.ts";
import { createParallelObjective } from "./node-parallel-objective.ts";

/** Is a thread that adds the first token of each document to its sums, or fails as it is told. */
const threadModule = new URL(
  `data:text/javascript,${encodeURIComponent(`
  import { parentPort, workerData } from "node:worker_threads";
  const { setup, weights, sums, stop } = workerData;
  if (setup.fails === "at once") throw new Error("no runtime");
  parentPort.on("message", ({ documents, step }) => {
    if (setup.fails === "later") return parentPort.postMessage({ error: new RangeError("too long") });
    if (setup.fails === "by exit") process.exit(3);
    if (setup.fails === "until it is told to stop") Atomics.wait(new Int32Array(stop), 0, 0);
    const [own, shared] = [new Float32Array(sums), new Float32Array(weights)];
    own.fill(0);
    const losses = documents.map(({ tokens }) => {
      own.forEach((_, index) => { own[index] += tokens[0] * shared[index]; });
      return { loss: tokens[0], weight: step, tokenCount: tokens.length };
    });
    parentPort.postMessage({ losses });
  });`)}`,
);

function create(fails?: string) {
  const parameters = new Map([
    ["a", Float32Array.of(1, 2)],
    ["b", Float32Array.of(10)],
  ]);
  const sums = new Map([...parameters].map(([name, { length }]) => [name, new Float32Array(length)]));
  const objective = createParallelObjective({
    parameters,
    lengthTokens: () => 1,
    threadCount: 2,
    module: threadModule,
    setup: { fails },
  });
  return { parameters, sums, objective };
}

const documents: readonly TrainingDocument[] = [3, 5, 7].map((token) => ({
  tokens: Int32Array.of(token),
  lossWeights: Float32Array.of(1),
  usedTokens: 1,
}));

describe("createParallelObjective", () => {
  it("gives losses in the order of the documents, and the sums of all threads", async () => {
    const { parameters, sums, objective } = create();
    await using _ = objective;
    const losses = await objective.accumulateAll?.(documents, sums, 4);
    expect(losses?.map(({ loss }) => loss)).toEqual([3, 5, 7]);
    expect(losses?.map(({ weight }) => weight)).toEqual([4, 4, 4]);
    expect(sums).toEqual(
      new Map([
        ["a", Float32Array.of(15, 30)],
        ["b", Float32Array.of(150)],
      ]),
    );
    parameters.get("b")?.fill(1);
    await objective.accumulate(documents[0] as TrainingDocument, sums, 5);
    expect(sums.get("b")).toEqual(Float32Array.of(153));
  });

  it("tells its threads of an abort, and ends with the reason when they have stopped", async () => {
    const { sums, objective } = create("until it is told to stop");
    await using _ = objective;
    const controller = new AbortController();
    const computing = objective.accumulateAll?.(documents, sums, 0, controller.signal);
    setTimeout(() => controller.abort(new Error("enough")), 20);
    await expect(computing).rejects.toThrow("enough");
    await expect(objective.accumulateAll?.(documents, sums, 0, controller.signal)).rejects.toThrow("enough");
  });

  it.each([
    ["at once", /no runtime/],
    ["later", /too long/],
    ["by exit", /code 3/],
  ])("tells of a thread that fails %s", async (fails, message) => {
    const { sums, objective } = create(fails);
    await using _ = objective;
    await expect(objective.accumulateAll?.(documents, sums, 0)).rejects.toThrow(message);
    // It stays so.
    await expect(objective.accumulateAll?.(documents, sums, 1)).rejects.toThrow(message);
  });
});
