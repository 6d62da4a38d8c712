/**
 * EdgeInfinite against llama.cpp on the same GGUF files: greedy tokens and logits, family by family.
 *
 * F32: both compute in float32 throughout (llama.cpp without flash attention and with a float32 cache), so that
 * logits of deviation 1 to 2 differ by the order of sums alone: at most 1e-4, measured 1e-5.
 * Q8_0: both round activations to 8 bits in blocks of 32, each in its own way. The noise of that is how far llama.cpp
 * on the file is from llama.cpp on the same weights in F32; two engines with independent noise of that size are
 * sqrt(2) of it apart, and the bar is 1.5. Prompts are such that every greedy choice is wider than five times the
 * noise of a difference of two logits, so that equal tokens are no luck.
 */

import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadModel, type Model, type ModelFolder } from "../../src/node.ts";
import { createTinyModelFolder, type TinyModelOptions } from "../../src/testing/index.ts";
import { convertToGguf } from "../../test/support/gguf/gguf-model.ts";
import { type GgufTensorType, writeGguf } from "../../test/support/gguf/gguf-writer.ts";
import { makeDecisive, roundToQ8 } from "./decisive-model.ts";
import {
  continueGreedily,
  followIds,
  type GreedyStream,
  measureDistance,
  type ReadLogits,
} from "./greedy-stream.ts";
import type { LogitReader } from "./llama-cpp-logits.ts";

const installed = existsSync(new URL("./node_modules/node-llama-cpp", import.meta.url));

const promptTokens = 24;
const greedyTokens = 64;
/** Of logits whose deviation is near 1. */
const wideMargin = 0.15;
/** Everything fits: the base path, which must be the base model. */
const context = { sinkTokens: 4, windowTokens: 128, segmentTokens: 64 };

const sizes = { layerCount: 3, hiddenSize: 96, mlpSize: 160, headSize: 32 };
/** Sizes that are no powers of two; heads that are odd, shared or not, and that do not add up to the width. */
const cases: Readonly<Record<string, TinyModelOptions>> = {
  llama: { ...sizes, modelType: "llama", queryHeadCount: 3, keyValueHeadCount: 1 },
  "llama, heads of 16": {
    ...sizes,
    modelType: "llama",
    queryHeadCount: 6,
    keyValueHeadCount: 2,
    headSize: 16,
  },
  mistral: { ...sizes, modelType: "mistral", hiddenSize: 160, queryHeadCount: 5, keyValueHeadCount: 5 },
  qwen2: { ...sizes, modelType: "qwen2", queryHeadCount: 3, keyValueHeadCount: 1 },
  qwen3: { ...sizes, modelType: "qwen3", queryHeadCount: 5, keyValueHeadCount: 1 },
};

let folder = "";
let openReader: (path: string) => Promise<LogitReader>;

beforeAll(async () => {
  if (!installed) return;
  folder = await mkdtemp(join(tmpdir(), "edgeinfinite-peers-"));
  const { openLogitReader } = await import("./llama-cpp-logits.ts");
  openReader = (path) => openLogitReader(path, promptTokens + greedyTokens);
});

afterAll(() => (folder === "" ? undefined : rm(folder, { recursive: true, force: true })));

async function writeModel(name: string, model: ModelFolder, type: GgufTensorType): Promise<string> {
  const path = join(folder, `${name.replaceAll(/\W+/g, "-")}-${type}.gguf`);
  const { fields, tensors } = await convertToGguf(model, { type });
  await writeFile(path, writeGguf(fields, tensors));
  return path;
}

function makePrompt(seed: number, vocabularySize: number): number[] {
  return Array.from(
    { length: promptTokens },
    (_, index) => (7 + 31 * seed + index * (13 + seed)) % vocabularySize,
  );
}

function startStream(model: Model): ReadLogits {
  const session = model.createSession();
  return async (ids) => {
    await session.append(ids);
    return session.logits?.slice() ?? new Float32Array(0);
  };
}

/** Finds a prompt whose greedy continuation is never closer than `leastMargin`. */
async function findDecisive(
  model: Model,
  leastMargin: number,
): Promise<GreedyStream & { prompt: readonly number[] }> {
  for (let seed = 0; seed < 1000; seed++) {
    const prompt = makePrompt(seed, model.config.vocabularySize);
    const stream = await continueGreedily(startStream(model), prompt, greedyTokens, leastMargin);
    if (stream.ids.length === greedyTokens) return { ...stream, prompt };
  }
  throw new Error(`no continuation of 1000 prompts is decided by ${leastMargin}`);
}

describe.skipIf(!installed)("beside llama.cpp (needs npm run bench:peers:install)", () => {
  describe.each(Object.entries(cases))("%s", (name, options) => {
    it.each([false, true])("gives the same tokens and logits in F32, tied: %s", async (tied) => {
      const tiny = createTinyModelFolder({ ...options, tied });
      const model = tied ? tiny : await makeDecisive(tiny);
      await using reader = await openReader(await writeModel(name, model, "f32"));
      await using ours = await loadModel(model, { context });
      const stream = await findDecisive(ours, 2e-4);
      const theirs = await continueGreedily(reader.read, stream.prompt, greedyTokens);
      expect(theirs.ids).toEqual(stream.ids);
      expect(measureDistance(theirs.logits, stream.logits).largest).toBeLessThan(1e-4);
      if (!tied) expect(new Set(stream.ids).size).toBeGreaterThan(20);
    });

    it("gives the same tokens and logits in Q8_0, as near as two roundings of activations are", async () => {
      const model = await roundToQ8(await makeDecisive(createTinyModelFolder({ ...options, tied: false })));
      await using reader = await openReader(await writeModel(name, model, "q8_0"));
      await using exact = await openReader(await writeModel(name, model, "f32"));
      await using ours = await loadModel(model, { context, dtype: "q8" });
      const stream = await findDecisive(ours, wideMargin);
      const theirs = await continueGreedily(reader.read, stream.prompt, greedyTokens);
      const noise = measureDistance(theirs.logits, await followIds(exact.read, stream.prompt, theirs.ids));
      const distance = measureDistance(theirs.logits, stream.logits);
      expect(theirs.ids).toEqual(stream.ids);
      expect(distance.rms).toBeLessThan(1.5 * noise.rms);
      expect(5 * Math.SQRT2 * noise.rms).toBeLessThan(wideMargin);
    });
  });
});
