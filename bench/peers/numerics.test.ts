/**
 * EdgeInfinite against llama.cpp on the same GGUF files: greedy tokens and logits, family by family.
 *
 * F32: both compute in float32 throughout (llama.cpp without flash attention and with a float32 cache), so that
 * logits of deviation 1 to 2 differ by the order of sums alone: at most 1e-4, measured 1e-5; with GELU 5e-3, see below.
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

const triedPrompts = 3000;
const promptTokens = 12;
const greedyTokens = 64;
/** Everything fits: the base path, which must be the base model. */
const context = { sinkTokens: 4, windowTokens: 128, segmentTokens: 64 };

interface Case extends TinyModelOptions {
  /** Whether the output can be the embedding, or must be, or must not be. */
  readonly ties: readonly boolean[];
  /** So that about half of the stream is embedding: the more layers, the more; less what the family multiplies. */
  readonly embeddingScale: number;
  /** How far logits may be apart in F32. */
  readonly tolerance: number;
}

const sizes = {
  layerCount: 3,
  hiddenSize: 96,
  mlpSize: 160,
  headSize: 32,
  ties: [false, true],
  embeddingScale: 24,
  tolerance: 1e-4,
};
/** llama.cpp looks GELU up in a table of float16, which is off by up to 2^-11. */
const geluTolerance = 5e-3;
/** GPT families have as many key and value heads as queries, and they add up to the width. */
const gptSizes = { ...sizes, tolerance: geluTolerance, queryHeadCount: 3, keyValueHeadCount: 3 };

/**
 * Sizes that are no powers of two; heads that are odd, shared or not, and that do not add up to the width. What
 * llama.cpp has built in must be so: SmolLM3 leaves every fourth layer unrotated, and every sixth layer of
 * Gemma 3 sees more than its window.
 */
const cases: Readonly<Record<string, Case>> = {
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
  smollm3: {
    ...sizes,
    modelType: "smollm3",
    embeddingScale: 36,
    layerCount: 5,
    queryHeadCount: 3,
    keyValueHeadCount: 1,
    config: { no_rope_layer_interval: 4 },
  },
  olmo2: { ...sizes, ties: [false], modelType: "olmo2", queryHeadCount: 3, keyValueHeadCount: 1 },
  granite: {
    ...sizes,
    modelType: "granite",
    queryHeadCount: 3,
    keyValueHeadCount: 1,
    embeddingScale: 24 / 3,
  },
  phi3: { ...sizes, modelType: "phi3", queryHeadCount: 3, keyValueHeadCount: 1 },
  gemma3_text: {
    ...sizes,
    embeddingScale: 36 / Math.sqrt(96),
    tolerance: geluTolerance,
    modelType: "gemma3_text",
    layerCount: 7,
    queryHeadCount: 5,
    keyValueHeadCount: 1,
    config: {
      sliding_window: 17,
      sliding_window_pattern: 6,
      query_pre_attn_scalar: 32,
      rope_local_base_freq: 10_000,
    },
  },
  gpt_neox: { ...gptSizes, ties: [false], modelType: "gpt_neox" },
  gpt2: { ...gptSizes, modelType: "gpt2" },
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
  for (let seed = 0; seed < triedPrompts; seed++) {
    const prompt = makePrompt(seed, model.config.vocabularySize);
    const stream = await continueGreedily(startStream(model), prompt, greedyTokens, leastMargin);
    if (stream.ids.length === greedyTokens) return { ...stream, prompt };
  }
  throw new Error(`no continuation of ${triedPrompts} prompts is decided by ${leastMargin}`);
}

/** Opens the file that llama.cpp reads too; GPT-2, which is not read from GGUF files, as the folder it was made of. */
function openOurs(path: string, model: ModelFolder, { modelType }: Case): Promise<Model> {
  const isGpt2 = modelType === "gpt2";
  return loadModel(isGpt2 ? model : path, { context, threads: 1, policy: isGpt2 ? "full" : "auto" });
}

describe.skipIf(!installed)("beside llama.cpp (needs npm run bench:peers:install)", () => {
  describe.each(Object.entries(cases))("%s", (name, own) => {
    it.each(own.ties)("gives the same tokens and logits in F32, tied: %s", async (tied) => {
      const tiny = createTinyModelFolder({ ...own, tied });
      const model = tied ? tiny : await makeDecisive(tiny, own.embeddingScale);
      const path = await writeModel(name, model, "f32");
      await using reader = await openReader(path);
      await using ours = await openOurs(path, model, own);
      const stream = await findDecisive(ours, 2 * own.tolerance);
      const theirs = await continueGreedily(reader.read, stream.prompt, greedyTokens);
      expect(theirs.ids).toEqual(stream.ids);
      expect(measureDistance(theirs.logits, stream.logits).largest).toBeLessThan(own.tolerance);
      if (!tied) expect(new Set(stream.ids).size).toBeGreaterThan(8);
    });

    // GPT-2 is not read from GGUF files.
    it.skipIf(name === "gpt2")("gives the same tokens and logits in Q8_0, but for rounding", async () => {
      const tiny = createTinyModelFolder({ ...own, tied: false });
      const model = await roundToQ8(await makeDecisive(tiny, own.embeddingScale));
      const path = await writeModel(name, model, "q8_0");
      await using reader = await openReader(path);
      await using exact = await openReader(await writeModel(name, model, "f32"));
      await using ours = await openOurs(path, model, own);
      const prompt = makePrompt(0, ours.config.vocabularySize);
      const sample = await continueGreedily(exact.read, prompt, greedyTokens);
      const rounded = await followIds(reader.read, prompt, sample.ids);
      const noise = measureDistance(rounded, sample.logits).rms;
      await reader.clear();
      const stream = await findDecisive(ours, 5 * Math.SQRT2 * noise);
      const theirs = await continueGreedily(reader.read, stream.prompt, greedyTokens);
      expect(theirs.ids).toEqual(stream.ids);
      expect(measureDistance(theirs.logits, stream.logits).rms).toBeLessThan(1.5 * noise);
    });
  });
});
