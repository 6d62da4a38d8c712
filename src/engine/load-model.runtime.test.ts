import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  bitsOf,
  collectEvents,
  generateIds,
  loadModel,
  loadTiny,
  loadWatched,
  logitsOf,
  tinyCapacity,
  tinyContext,
  tinyIds,
  tokenEvents,
} from "../../test/support/tiny-sessions.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../testing/tiny-model.ts";
import type { Model } from "./model.ts";
import { makeSampler, type SamplingOptions } from "./sampler.ts";

const C = tinyCapacity;

describe("sessions of one model at the same time", () => {
  /** A session's whole life, in bits: appends, generates, clones, saves. */
  async function live(model: Model, seed: number): Promise<string> {
    const session = model.createSession();
    await session.append(tinyIds(C - 4 + seed, seed));
    const ids = await generateIds(session, 12);
    const twin = session.clone();
    await Promise.all([session.append(tinyIds(20, seed + 50)), twin.append(tinyIds(9, seed + 80))]);
    const again = await model.restoreSession(await twin.save());
    await generateIds(again, 3);
    return [ids.join(), bitsOf(await session.save()), bitsOf(await again.save())].join(" ");
  }

  it.each(["paper", "streaming", "full"] as const)("do not disturb each other: %s", async (policy) => {
    await using model = await loadTiny(policy);
    const seeds = [1, 2, 3, 4, 5];
    const alone: string[] = [];
    for (const seed of seeds) alone.push(await live(model, seed));
    expect(await Promise.all(seeds.map((seed) => live(model, seed)))).toEqual(alone);
    expect(new Set(alone).size).toBe(seeds.length);
  });

  it("take turns token by token", async () => {
    await using model = await loadTiny("paper");
    const [a, b] = [model.createSession(), model.createSession()];
    await a.append(tinyIds(C, 1));
    await b.append(tinyIds(C, 2));
    const alone = [await generateIds(a.clone(), 15), await generateIds(b.clone(), 15)];
    const options = { maxNewTokens: 15, ignoreEos: true };
    const streams = [a, b].map((session) => session.generate(options));
    const ids: number[][] = [[], []];
    // One event of each in turn: both generations are under way all the time.
    for (let left = streams.length; left > 0; ) {
      left = 0;
      for (const [index, stream] of streams.entries()) {
        const { value, done } = await stream.next();
        if (done === true) continue;
        left += 1;
        if (value.type === "token") ids[index]?.push(value.id);
      }
    }
    expect(ids).toEqual(alone);
  });
});

describe("a generation", () => {
  const options: readonly SamplingOptions[] = [
    {},
    { repetitionPenalty: 1.8 },
    { temperature: 0.8, seed: 5 },
    { temperature: 1.2, topK: 20, topP: 0.9, minP: 0.02, repetitionPenalty: 1.3, seed: 11 },
  ];
  it.each(options)("is sampling from the logits, token by token: %o", async (sampling) => {
    await using model = await loadTiny("paper");
    const prompt = tinyIds(C - 5);
    const session = model.createSession();
    await session.append(prompt);
    const byHand = session.clone();
    const events = session.generate({ ...sampling, maxNewTokens: 70, ignoreEos: true });
    const ids = tokenEvents(await collectEvents(events)).map(({ id }) => id);

    const sample = makeSampler(sampling);
    const stream = [...prompt];
    for (let count = 0; count < 70; count++) {
      // The penalty looks back at 64 tokens, prompt included.
      const id = sample(logitsOf(byHand), stream.slice(-64));
      stream.push(id);
      await byHand.append([id]);
    }
    expect(ids).toEqual(stream.slice(prompt.length));
    expect(bitsOf(logitsOf(session))).toBe(bitsOf(logitsOf(byHand)));
  });

  it("of one seed is the same again, of another seed another", async () => {
    await using model = await loadTiny("streaming");
    const session = model.createSession();
    await session.append(tinyIds(9));
    const draw = async (seed: number): Promise<string> => {
      const events = session.clone().generate({ temperature: 1, seed, maxNewTokens: 12, ignoreEos: true });
      return tokenEvents(await collectEvents(events))
        .map(({ id }) => id)
        .join();
    };
    expect(await draw(4)).toBe(await draw(4));
    expect(new Set(await Promise.all([1, 2, 3, 4].map(draw))).size).toBe(4);
  });
});

describe("a model's end", () => {
  it("lets go of both graphs, after the run under way", async () => {
    const log: string[] = [];
    let disposing: Promise<void> | undefined;
    const model: Model = await loadWatched({
      onRun(graph) {
        log.push(`run ${graph}`);
        disposing = model.dispose();
      },
      onDispose: (graph) => log.push(`dispose ${graph}`),
    });
    const session = model.createSession();
    expect(await session.append(tinyIds(5))).toEqual({ tokenCount: 5, lengthTokens: 5 });
    await disposing;
    expect(log).toEqual(["run inference", "dispose inference", "dispose commit"]);
    await model.dispose();
    expect(log).toHaveLength(3);
  });

  it("leaves other models alone", async () => {
    await using kept = await loadTiny("paper");
    const session = kept.createSession();
    {
      await using other = await loadTiny("paper");
      await other.createSession().append(tinyIds(3));
    }
    await session.append(tinyIds(C + 1));
    expect(session.stats.path).toBe("gated");
  });
});

describe("a model on disk", () => {
  async function writeFolder(path: string, folder: ModelFolder, files: readonly string[]): Promise<void> {
    for (const file of files) {
      const source = await folder.open(file);
      await writeFile(join(path, file), await source.read(0, source.sizeBytes));
    }
  }

  it("gives what it gives from memory, bit for bit, and the same saved sessions", async () => {
    const root = await mkdtemp(join(tmpdir(), "edgeinfinite-"));
    const folder = createTinyModelFolder({ dtype: "bfloat16" });
    const adapter = createTinyAdapterFolder();
    try {
      const files = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];
      await writeFolder(root, folder, files);
      await writeFolder(root, adapter, ["adapter_config.json", "adapter_model.safetensors"]);
      const options = { context: tinyContext, threads: 1 };
      await using fromDisk = await loadModel(root, { ...options, adapter: root });
      await using fromMemory = await loadModel(folder, { ...options, adapter });
      const sessions = [fromDisk, fromMemory].map((model) => model.createSession());
      const saved: string[] = [];
      for (const session of sessions) {
        await session.append(tinyIds(C + 20));
        await generateIds(session, 5);
        saved.push(bitsOf(await session.save()));
      }
      expect(saved[0]).toBe(saved[1]);
      expect(fromDisk.memoryEstimate).toEqual(fromMemory.memoryEstimate);
    } finally {
      await rm(root, { recursive: true });
    }
  });
});
