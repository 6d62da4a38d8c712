import { describe, expect, it } from "vitest";
import { UnsupportedError } from "../errors.ts";
import { type ModelFolder, makeModelFolder } from "../files/model-folder.ts";
import type { ContextSettings } from "../memory/geometry.ts";
import { createScriptedRuntime } from "../testing/scripted-runtime.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../testing/tiny-model.ts";
import { estimateMemoryOn, type LoadOptions, loadModelOn, type Platform } from "./load-model.ts";
import type { Model } from "./model.ts";

const platform: Platform = {
  openFolder: () => Promise.reject(new Error("not by name")),
  createRuntime: async () => createScriptedRuntime({ reply: () => [5], endTokenId: 1 }),
};

const load = (options: LoadOptions = {}, folder = createTinyModelFolder()): Promise<Model> =>
  loadModelOn(platform, folder, options);

/** Counts open files, and refuses to read beyond a file's header. */
function watchFolder(folder: ModelFolder): { folder: ModelFolder; openFiles: () => number } {
  let openFiles = 0;
  const watched = makeModelFolder({
    name: folder.name,
    has: (file) => folder.has(file),
    async open(file) {
      const source = await folder.open(file);
      const header = await source.read(0, Math.min(8, source.sizeBytes));
      const view = new DataView(header.buffer, header.byteOffset);
      const limit = file.endsWith(".safetensors") ? 8 + Number(view.getBigUint64(0, true)) : source.sizeBytes;
      openFiles += 1;
      return {
        name: source.name,
        sizeBytes: source.sizeBytes,
        read(offset, lengthBytes, signal) {
          if (offset + lengthBytes > limit) throw new Error(`${file} was read beyond its header`);
          return source.read(offset, lengthBytes, signal);
        },
        async close() {
          openFiles -= 1;
          await source.close();
        },
      };
    },
  });
  return { folder: watched, openFiles: () => openFiles };
}

describe("estimateMemory", () => {
  it("reads headers only, and closes every file", async () => {
    for (const sharded of [false, true]) {
      const model = watchFolder(createTinyModelFolder({ sharded }));
      const adapter = watchFolder(createTinyAdapterFolder());
      const estimate = await estimateMemoryOn(platform, model.folder, { adapter: adapter.folder });
      expect(estimate.policy).toBe("paper");
      expect([model.openFiles(), adapter.openFiles()]).toEqual([0, 0]);
      // The watch does watch.
      await expect(load({}, model.folder)).rejects.toThrow(/beyond its header/);
      expect(model.openFiles()).toBe(0);
    }
  });

  it("tells platforms that nothing large need be fetched", async () => {
    const asked: unknown[] = [];
    const watching: Platform = {
      ...platform,
      async openFolder(name, options) {
        asked.push([name, options.headersOnly, options.revision]);
        return name === "adapter" ? createTinyAdapterFolder() : createTinyModelFolder();
      },
    };
    await estimateMemoryOn(watching, "model", { adapter: "adapter", revision: "v2" });
    await loadModelOn(watching, "model", { adapter: "adapter", revision: "v2" });
    // The revision is the model's own.
    expect(asked).toEqual([
      ["model", true, "v2"],
      ["adapter", true, undefined],
      ["model", false, "v2"],
      ["adapter", false, undefined],
    ]);
  });

  it("says beforehand what the loaded model says", async () => {
    for (const options of [
      {},
      { adapter: createTinyAdapterFolder() },
      { policy: "full" },
      { context: { windowTokens: 9 } },
      { context: { windowTokens: 9, slotTokens: 5 } },
      { adapter: createTinyAdapterFolder({ variant: "plus", context: { slotTokens: 7 } }) },
    ] as const) {
      const folder = createTinyModelFolder();
      expect(await estimateMemoryOn(platform, folder, options)).toEqual((await load(options)).memoryEstimate);
    }
  });

  it("counts weights in float32, and the embedding as it is stored for looking up", async () => {
    // E 64, H*D 64, K*D 32, F 128, two layers, norms of 64.
    const layer = 64 * 64 * 2 + 2 * 32 * 64 + 3 * 64 * 128 + 2 * 64;
    const body = 2 * layer + 64;
    const gate = 2 * (8 * 64 + 8 + 4 * 8 + 4);
    const V = 282;
    const weightBytes = async (
      options: Parameters<typeof createTinyModelFolder>[0],
      more: LoadOptions = {},
    ) => (await estimateMemoryOn(platform, createTinyModelFolder(options), more)).weightBytes;
    expect(await weightBytes({})).toBe(4 * (body + 2 * V * 64));
    expect(await weightBytes({ tied: false })).toBe(4 * (body + 2 * V * 64));
    expect(await weightBytes({ dtype: "bfloat16" })).toBe(4 * (body + V * 64) + 2 * V * 64);
    expect(await weightBytes({}, { adapter: createTinyAdapterFolder() })).toBe(
      4 * (body + 2 * V * 64 + gate),
    );
  });

  it("counts matrices of float16 two bytes a weight, a tied embedding once, on any device", async () => {
    const norms = 5 * 64;
    const matrices = 2 * (64 * 64 * 2 + 2 * 32 * 64 + 3 * 64 * 128) + 282 * 64;
    for (const [tied, stored] of [
      [true, "float32"],
      [true, "float16"],
      [false, "bfloat16"],
    ] as const) {
      const folder = createTinyModelFolder({ tied, dtype: stored });
      const { weightBytes } = await estimateMemoryOn(platform, folder, { dtype: "f16" });
      expect(weightBytes).toBe(2 * (matrices + (tied ? 0 : 282 * 64)) + 4 * norms);
    }
  });

  it("tells the state of an ordinary cache at the model's longest stream", async () => {
    const at = async (maxPositions: number): Promise<number> =>
      (await estimateMemoryOn(platform, createTinyModelFolder({ maxPositions }), { policy: "full" }))
        .stateBytes;
    // 2 layers, 2 heads of 16, keys and values, float32.
    expect((await at(2000)) - (await at(1000))).toBe(1000 * 2 * 2 * 16 * 2 * 4);
  });

  it("does not depend on the model's positions when the state does not", async () => {
    const context = { sinkTokens: 4, windowTokens: 64, segmentTokens: 32 };
    const at = async (maxPositions: number): Promise<number> =>
      (await estimateMemoryOn(platform, createTinyModelFolder({ maxPositions }), { context })).stateBytes;
    expect(await at(200_000)).toBe(await at(100));
  });

  it("stops at a signal that is aborted", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(estimateMemoryOn(platform, createTinyModelFolder(), { signal })).rejects.toThrow("enough");
  });
});

describe("the context settings", () => {
  const contextOf = async (
    maxPositions: number,
    trained: Partial<ContextSettings> | undefined,
    given: Partial<ContextSettings> = {},
  ): Promise<number[]> => {
    const adapter = trained === undefined ? undefined : createTinyAdapterFolder({ context: trained });
    const { context } = await load(
      { context: given, ...(adapter !== undefined && { adapter }) },
      createTinyModelFolder({ maxPositions }),
    );
    return [context.sinkTokens, context.slotTokens, context.windowTokens, context.segmentTokens];
  };

  it("are 4, 1024 and 512 by default", async () => {
    expect(await contextOf(2048, undefined)).toEqual([4, 0, 1024, 512]);
    expect(await contextOf(4 + 1024 + 512, undefined)).toEqual([4, 0, 1024, 512]);
  });

  it("are halved until they fit a model trained on few positions", async () => {
    expect(await contextOf(1539, undefined)).toEqual([4, 0, 512, 256]);
    expect(await contextOf(512, undefined)).toEqual([4, 0, 256, 128]);
    expect(await contextOf(128, undefined)).toEqual([4, 0, 64, 32]);
    expect(await contextOf(7, undefined)).toEqual([4, 0, 2, 1]);
  });

  it("are the adapter's where it has some, and the caller's before all", async () => {
    const trained = { sinkTokens: 3, windowTokens: 21, segmentTokens: 13 };
    expect(await contextOf(2048, trained)).toEqual([3, 0, 21, 13]);
    expect(await contextOf(2048, { windowTokens: 21 })).toEqual([4, 0, 21, 512]);
    expect(await contextOf(2048, trained, { windowTokens: 30 })).toEqual([3, 0, 30, 13]);
    expect(await contextOf(2048, {}, { sinkTokens: 0 })).toEqual([0, 0, 1024, 512]);
  });
});

describe("the policy and its notices", () => {
  const noticesOf = async (options: LoadOptions): Promise<{ model: Model; said: string[] }> => {
    const said: string[] = [];
    const model = await load({ ...options, onNotice: (notice) => said.push(notice) });
    return { model, said };
  };

  it("is streaming without an adapter, which is said once, in full", async () => {
    const { model, said } = await noticesOf({});
    expect(model.policy).toBe("streaming");
    expect(said).toEqual(model.notices);
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/No adapter.*window of 1024 tokens is forgotten.*Pass an adapter/);
    const session = model.createSession();
    await session.append([5, 6]);
    expect(said).toHaveLength(1);
  });

  it("is paper with an adapter, and nothing need be said", async () => {
    const { model, said } = await noticesOf({ adapter: createTinyAdapterFolder() });
    expect([model.policy, said, model.notices]).toEqual(["paper", [], []]);
  });

  it("is plus with an adapter of that variant, over the slots that it was trained with", async () => {
    const adapter = createTinyAdapterFolder({
      variant: "plus",
      context: { slotTokens: 7, windowTokens: 30 },
    });
    const { model, said } = await noticesOf({ adapter });
    expect([model.policy, said]).toEqual(["plus", []]);
    expect(model.context).toMatchObject({ slotTokens: 7, windowTokens: 30 });
    const other = await noticesOf({ adapter, context: { slotTokens: 9 } });
    expect(other.model.context).toMatchObject({ slotTokens: 9, windowTokens: 30 });
  });

  it("is keydiff with slots and no adapter, which is said once, in full", async () => {
    const { model, said } = await noticesOf({ context: { slotTokens: 5, windowTokens: 30 } });
    expect(model.policy).toBe("keydiff");
    expect(said).toEqual([
      "No adapter was given, so nothing is trained to remember: of what leaves the window of 30 tokens, each head " +
        "keeps the 5 tokens whose keys differ most (KeyDiff), and the rest is forgotten.",
    ]);
  });

  it("leaves an adapter's slots alone where it has none, and refuses those asked for", async () => {
    const adapter = createTinyAdapterFolder({ variant: "plus", context: { slotTokens: 7 } });
    for (const policy of ["streaming", "full"] as const)
      expect((await load({ adapter, policy })).context.slotTokens).toBe(0);
    expect((await load({ adapter, policy: "keydiff" })).context.slotTokens).toBe(7);
    const context = { slotTokens: 3 };
    for (const options of [{ policy: "streaming" }, { adapter: createTinyAdapterFolder() }] as const) {
      const loading = load({ ...options, context });
      await expect(loading).rejects.toThrow(UnsupportedError);
      await expect(loading).rejects.toThrow(
        /context.slotTokens: the policy \w+ keeps no slots, got 3, expected 0/,
      );
    }
  });

  it("makes room for slots where the model was trained on few positions", async () => {
    const folder = createTinyModelFolder({ maxPositions: 512 });
    const { context } = await load({ context: { slotTokens: 100 } }, folder);
    expect(context).toEqual({ sinkTokens: 4, slotTokens: 100, windowTokens: 256, segmentTokens: 128 });
  });

  it("is what was asked for, adapter or not, and nothing need be said", async () => {
    for (const policy of ["streaming", "full"] as const) {
      for (const options of [{ policy }, { policy, adapter: createTinyAdapterFolder() }]) {
        const { model, said } = await noticesOf(options);
        expect([model.policy, said]).toEqual([policy, []]);
      }
    }
  });

  it("leaves nothing behind when the listener throws", async () => {
    let created = 0;
    const counting: Platform = {
      ...platform,
      async createRuntime() {
        const runtime = createScriptedRuntime({ reply: () => [5], endTokenId: 1 });
        return {
          name: runtime.name,
          createSession(graph, signal) {
            created += 1;
            return runtime.createSession(graph, signal);
          },
        };
      },
    };
    const onNotice = (): void => {
      throw new Error("no notices, please");
    };
    await expect(loadModelOn(counting, createTinyModelFolder(), { onNotice })).rejects.toThrow("no notices");
    expect(created).toBe(0);
  });
});

describe("the tokens that end an answer", () => {
  const eosOf = async (config: object, generation?: string): Promise<number[]> => {
    const folder = createTinyModelFolder({ config: { ...config } });
    const model = await load(
      {},
      makeModelFolder({
        name: "tiny",
        has: async (file) =>
          file === "generation_config.json" ? generation !== undefined : folder.has(file),
        async open(file) {
          if (file !== "generation_config.json") return folder.open(file);
          const bytes = new TextEncoder().encode(generation);
          return { name: file, sizeBytes: bytes.length, read: async () => bytes, close: async () => {} };
        },
      }),
    );
    return [...model.eosTokenIds].toSorted((a, b) => a - b);
  };

  it("are those of all three files that may name them", async () => {
    expect(await eosOf({})).toEqual([1]);
    expect(await eosOf({ eos_token_id: [7, 9] })).toEqual([1, 7, 9]);
    expect(await eosOf({ eos_token_id: null }, '{"eos_token_id": 8}')).toEqual([1, 8]);
    expect(await eosOf({ eos_token_id: 5 }, '{"eos_token_id": [5, 6]}')).toEqual([1, 5, 6]);
    expect(await eosOf({ eos_token_id: 5 }, '{"temperature": 0.6}')).toEqual([1, 5]);
  });
});
