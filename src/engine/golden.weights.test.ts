/**
 * Holds the engine to the golden files of the reference implementation, on a real checkpoint, through the API.
 *
 * Needs the shared data folder (EDGEINFINITE_SHARED, else ../shared beside the repository).
 */

import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { type Golden, goldenSchema, goldenTolerance } from "../../test/support/golden-file.ts";
import { enableSwiftShader } from "../../test/support/swiftshader.ts";
import type { WeightDType } from "./memory-estimate.ts";
import type { Model } from "./model.ts";
import { loadModel } from "./node.ts";

const shared = process.env.EDGEINFINITE_SHARED ?? resolve("..", "shared");
const checkpoint = resolve(shared, "data/checkpoints/stories260K");
const golden = resolve(shared, "reference/golden");
const adapter = resolve(golden, "stories260K-adapter");

function loadGolden(name: string): Golden {
  return goldenSchema.parse(JSON.parse(readFileSync(resolve(golden, `stories260K-${name}.json`), "utf8")));
}

function loadFor(
  { sinkTokens, windowTokens, segmentTokens, adapter: hasAdapter }: Golden,
  dtype: WeightDType = "f32",
  device = "cpu",
): Promise<Model> {
  const context = { sinkTokens, windowTokens, segmentTokens };
  return loadModel(checkpoint, { context, dtype, device, ...(hasAdapter && { adapter }) });
}

/** Returns the mean negative log-likelihood of the file's tokens, in nats. */
async function measureNll(model: Model, tokens: readonly number[]): Promise<number> {
  const session = model.createSession();
  let total = 0;
  for (const [position, token] of tokens.entries()) {
    if (position > 0) total += surprise(session.logits ?? new Float32Array(), token);
    await session.append([token]);
  }
  return total / (tokens.length - 1);
}

function largestError(got: Float32Array | undefined, expected: readonly number[] | undefined): number {
  if (got?.length !== expected?.length) return Number.POSITIVE_INFINITY;
  return Math.max(...Array.from(got ?? [], (logit, id) => Math.abs(logit - (expected?.[id] ?? Number.NaN))));
}

/** Returns the negative log-likelihood of a token. */
function surprise(logits: Float32Array, id: number): number {
  const top = Math.max(...logits);
  return Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0)) + top - (logits[id] ?? 0);
}

describe.each(["base", "paper", "streaming"])("stories260K, %s", (name) => {
  const needed = [resolve(checkpoint, "model.safetensors"), resolve(golden, `stories260K-${name}.json`)];
  const missing = needed.filter((path) => !existsSync(path));
  const test = missing.length === 0 ? it : it.skip;
  const note =
    missing.length === 0 ? "" : ` (skipped: ${missing.join(", ")} is not there; set EDGEINFINITE_SHARED)`;

  const readInStretches = async (device: string): Promise<void> => {
    const expected = loadGolden(name);
    await using model = await loadFor(expected, "f32", device);
    const session = model.createSession();
    let start = 0;
    for (const [position, logits] of Object.entries(expected.logitsAfter)) {
      const end = Number(position) + 1;
      await session.append(expected.tokens.slice(start, end));
      expect(largestError(session.logits, logits)).toBeLessThan(goldenTolerance);
      start = end;
    }
    if (start < expected.tokens.length) await session.append(expected.tokens.slice(start));
    expect(session.stats.commitCount).toBe(expected.commits);
  };

  test(`gives the golden logits when whole stretches are appended${note}`, () => readInStretches("cpu"));

  const noGpu = enableSwiftShader();
  const gpuTest = noGpu === undefined ? test : it.skip;
  const gpuNote = noGpu === undefined ? note : ` (skipped: ${noGpu})`;
  gpuTest(`gives the golden logits on WebGPU${gpuNote}`, () => readInStretches("webgpu"));

  test(`gives the golden logits, choices and likelihood token by token${note}`, async () => {
    const expected = loadGolden(name);
    await using model = await loadFor(expected);
    const session = model.createSession();
    const errors: number[] = [];
    const choices: number[] = [];
    let total = 0;
    for (const [position, token] of expected.tokens.entries()) {
      await session.append([token]);
      const logits = session.logits ?? new Float32Array();
      choices.push(logits.indexOf(Math.max(...logits)));
      const next = expected.tokens[position + 1];
      if (next !== undefined) total += surprise(logits, next);
      const listed = expected.logitsAfter[position];
      if (listed !== undefined) errors.push(largestError(logits, listed));
    }
    expect(errors).toHaveLength(Object.keys(expected.logitsAfter).length);
    expect(Math.max(...errors)).toBeLessThan(goldenTolerance);
    expect(choices).toEqual(expected.argmax);
    expect(total / (expected.tokens.length - 1)).toBeCloseTo(expected.meanNll, 4);
    expect(session.stats.commitCount).toBe(expected.commits);
  });

  test(`gives the golden likelihood in one reading${note}`, async () => {
    const expected = loadGolden(name);
    await using model = await loadFor(expected);
    const { logLikelihoods, commitCounts } = await model.createSession().score(expected.tokens);
    const total = logLikelihoods.slice(1).reduce((sum, value) => sum - value, 0);
    expect(total / (expected.tokens.length - 1)).toBeCloseTo(expected.meanNll, 4);
    expect(commitCounts.at(-1)).toBe(expected.commits);
  });

  test(`moves the mean likelihood by less than half a percent with weights of 8 bits${note}`, async () => {
    const expected = loadGolden(name);
    await using model = await loadFor(expected, "q8");
    const nll = await measureNll(model, expected.tokens);
    expect(Math.abs(nll / expected.meanNll - 1)).toBeLessThan(0.005);
    expect(nll).not.toBeCloseTo(expected.meanNll, 6);
  });
});
