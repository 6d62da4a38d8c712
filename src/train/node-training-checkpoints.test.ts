import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeAdamW } from "./adamw.ts";
import { noSkippedSteps } from "./loss-guard.ts";
import { loadTrainingCheckpoint, saveTrainingCheckpoint } from "./node-training-checkpoints.ts";
import type { NamedArrays } from "./parameters.ts";
import { assertSameRun, type TrainingState } from "./training-state.ts";

let folder = "";
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), "checkpoints-")), "checkpoints");
});
afterEach(async () => {
  await rm(join(folder, ".."), { recursive: true });
});

const config = { seed: 1, data: { identity: "abc", paths: ["a", "b"] }, rate: 0.001 };
const optimizer = makeAdamW();

function makeParameters(): Map<string, Float32Array> {
  return new Map([
    ["up", Float32Array.of(1, -2, 3)],
    ["down", Float32Array.of(0.1)],
  ]);
}

function start(): TrainingState {
  const parameters = makeParameters();
  return {
    step: 0,
    parameters,
    optimizer: optimizer.init(parameters),
    position: { epoch: 0, sources: [{ document: 3 }] },
    skipped: noSkippedSteps,
    counters: { tokens: 0 },
    config,
  };
}

/** One step on a loss of squares, whose minimum moves with the step. */
async function advance(state: TrainingState): Promise<TrainingState> {
  const gradients: NamedArrays = new Map(
    [...state.parameters].map(([name, array]) => [name, array.map((value) => value - Math.sin(state.step))]),
  );
  const moved = await optimizer.update(state.parameters, gradients, state.optimizer, 0.01);
  return { ...state, step: state.step + 1, optimizer: moved, counters: { tokens: 512 * (state.step + 1) } };
}

const load = (changes: Partial<TrainingState> = {}) =>
  loadTrainingCheckpoint(folder, { parameters: makeParameters(), config, ...changes });

describe("checkpoints of a run", () => {
  it("hold everything, so that training goes on to the bit", async () => {
    let whole = start();
    for (let step = 0; step < 6; step++) {
      whole = await advance(whole);
      if (step === 2) await saveTrainingCheckpoint(folder, whole);
    }
    let resumed = await load();
    expect(resumed?.step).toBe(3);
    for (let step = 0; step < 3 && resumed !== undefined; step++) resumed = await advance(resumed);
    expect(resumed).toEqual(whole);
    expect([...(resumed?.parameters.keys() ?? [])]).toEqual(["up", "down"]);
  });

  it("give none before the first, and the latest of several", async () => {
    expect(await load()).toBeUndefined();
    for (const step of [9, 10, 100]) await saveTrainingCheckpoint(folder, { ...start(), step });
    expect((await load())?.step).toBe(100);
  });

  it("stay as many as asked for; what a killed process left goes", async () => {
    await mkdir(join(folder, "step-8.left.tmp"), { recursive: true });
    for (const step of [9, 10, 100]) await saveTrainingCheckpoint(folder, { ...start(), step }, 2);
    expect((await readdir(folder)).sort()).toEqual(["step-10", "step-100"]);
    expect((await readdir(join(folder, "step-10"))).sort()).toEqual([
      "optimizer.safetensors",
      "parameters.safetensors",
      "state.json",
    ]);
  });

  it("stay as they are when the same step is saved again", async () => {
    await saveTrainingCheckpoint(folder, start());
    const before = await readFile(join(folder, "step-0", "state.json"), "utf8");
    await saveTrainingCheckpoint(folder, { ...start(), counters: {} });
    expect(await readFile(join(folder, "step-0", "state.json"), "utf8")).toBe(before);
    expect(await readdir(folder)).toEqual(["step-0"]);
  });

  it("are refused by another run, with what differs", async () => {
    await saveTrainingCheckpoint(folder, start());
    const data = { ...config.data, identity: "xyz" };
    await expect(load({ config: { ...config, data } })).rejects.toThrow(
      /cannot be resumed: data.identity differs, got .*xyz.*, expected .*abc.*, as it began\. Resume with/,
    );
    const other = makeParameters().set("up", new Float32Array(4));
    await expect(load({ parameters: other })).rejects.toThrow(/up: the array has another length/);
    await expect(load({ parameters: new Map() })).rejects.toThrow(/up: there is no such parameter/);
  });

  it("are refused when they are damaged", async () => {
    await saveTrainingCheckpoint(folder, start());
    const file = (name: string) => join(folder, "step-0", name);
    await truncate(file("optimizer.safetensors"), 40);
    await expect(load()).rejects.toMatchObject({ code: "invalid-model" });
    await writeFile(file("state.json"), '{"format": "edgeinfinite-training", "version": 1}');
    await expect(load()).rejects.toThrow(/state.json: field step: .*damaged/);
    const state = JSON.stringify({ format: "edgeinfinite-training", version: 7 });
    await writeFile(file("state.json"), state);
    await expect(load()).rejects.toThrow(/state.json/);
  });

  it("are not written with a limit that keeps none", async () => {
    await expect(saveTrainingCheckpoint(folder, start(), 0)).rejects.toThrow(/keepCount/);
  });
});

describe("assertSameRun", () => {
  it.each([
    [{ ...config, rate: 0.002 }, "rate"],
    [{ ...config, data: { identity: "abc", paths: ["a"] } }, "data.paths.1"],
    [{ ...config, data: null }, "data"],
    [{ ...config, more: 1 }, "more"],
    [[], "its configuration"],
  ])("names the first difference of %j", (now, path) => {
    expect(() => assertSameRun("run", config, now)).toThrow(`cannot be resumed: ${path} differs`);
  });

  it("names what differs within the identities of data that are made of others", () => {
    const nest = (share: number) => ({
      data: JSON.stringify({ shares: [0.5, JSON.stringify({ ranges: [{ share, style: "{words" }] })] }),
    });
    expect(() => assertSameRun("run", nest(0.5), nest(0.9))).toThrow(
      /resumed: data\.shares\.1\.ranges\.0\.share differs, got .?0\.9.?, expected .?0\.5, as it began/,
    );
    expect(() => assertSameRun("run", { data: '{"a": 1}' }, { data: '{"a":1}' })).toThrow(
      /resumed: data differs/,
    );
    expect(() => assertSameRun("run", nest(0.5), nest(0.5))).not.toThrow();
  });

  it("takes equal data in any order of their fields", () => {
    expect(() =>
      assertSameRun("run", config, Object.fromEntries(Object.entries(config).reverse())),
    ).not.toThrow();
  });
});
