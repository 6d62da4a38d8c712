import { describe, expect, it } from "vitest";
import {
  editFolder,
  editTensors,
  generateIds,
  loadModel,
  tinyContext,
  tinyIds,
} from "../../test/support/tiny-sessions.ts";
import {
  FileError,
  InvalidModelError,
  InvalidRequestError,
  isEdgeInfiniteError,
  UnsupportedError,
} from "../errors.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../testing/tiny-model.ts";
import type { LoadOptions } from "./load-model.ts";
import type { Model } from "./model.ts";

describe("settings are refused", () => {
  const cases: readonly (readonly [string, object, RegExp])[] = [
    [
      "T of 0",
      { context: { segmentTokens: 0 } },
      /^context.segmentTokens: not a size, got 0, expected .* >= 1/,
    ],
    [
      "W of 0",
      { context: { windowTokens: 0 } },
      /^context.windowTokens: not a size, got 0, expected .* >= 1/,
    ],
    ["a negative S", { context: { sinkTokens: -1 } }, /^context.sinkTokens: not a size, got -1/],
    ["half a token", { context: { windowTokens: 1.5 } }, /^context.windowTokens: .*got 1.5/],
    ["NaN", { context: { segmentTokens: Number.NaN } }, /^context.segmentTokens: .*got NaN/],
    ["a numeral", { context: { segmentTokens: "13" } }, /^context.segmentTokens: .*got "13"/],
    [
      "S + W + T beyond the trained positions",
      { context: { sinkTokens: 4, windowTokens: 2000, segmentTokens: 100 } },
      /^context: .*got "4 \+ 0 \+ 2000 \+ 100 = 2104", expected at most 2048.*smaller windowTokens/,
    ],
    [
      "slots of a policy that keeps none",
      { policy: "streaming", context: { slotTokens: 8 } },
      /^context.slotTokens: .*got 8, expected 0/,
    ],
    [
      "an unknown policy",
      { policy: "infinite" },
      /^policy: unknown, got "infinite", expected paper, plus, infini, keydiff, h2o, snapkv, pyramidkv, streaming, full/,
    ],
    ["a policy by an object's own name", { policy: "toString" }, /^policy: unknown/],
    [
      "paper without an adapter",
      { policy: "paper" },
      /^policy: paper needs a trained memory.*Pass an adapter/,
    ],
    ["a dtype", { dtype: "q3" }, /^dtype: .*got "q3", expected auto, f32, f16, q8, q4/],
    ["a device", { device: "tpu" }, /^device: .*got "tpu", expected cpu or webgpu/],
    ...[0, -2, 1.5, Number.NaN, "2"].map((threads): readonly [string, object, RegExp] => [
      `threads ${threads}`,
      { threads },
      /^threads: out of range/,
    ]),
  ];
  it.each(cases)("%s", async (_, options, reason) => {
    const loading = loadModel(createTinyModelFolder(), options as LoadOptions);
    const error: unknown = await loading.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(isEdgeInfiniteError(error)).toBe(true);
    expect((error as Error).message).toMatch(reason);
    expect(error instanceof InvalidRequestError || error instanceof UnsupportedError).toBe(true);
  });

  it("nothing that just fits", async () => {
    const context = { sinkTokens: 0, windowTokens: 2047, segmentTokens: 1 };
    await using own = await loadModel(createTinyModelFolder(), { context, threads: 1 });
    expect(own.context).toEqual({ ...context, slotTokens: 0 });
    await using least = await loadModel(createTinyModelFolder(), {
      context: { sinkTokens: 0, windowTokens: 1, segmentTokens: 1 },
      threads: 1,
    });
    const session = least.createSession();
    await session.append(tinyIds(9));
    expect(await generateIds(session, 2)).toHaveLength(2);
    expect(session.stats.commitCount).toBe(9);
  });
});

describe("a checkpoint is refused", () => {
  const tiny = createTinyModelFolder();
  const load = (folder: string | ReturnType<typeof createTinyModelFolder>): Promise<Model> =>
    loadModel(folder, { threads: 1 });
  const withConfig = (change: (config: Record<string, unknown>) => void) => async () => {
    const config = (await tiny.readJson("config.json")) as Record<string, unknown>;
    change(config);
    return editFolder(tiny, { "config.json": JSON.stringify(config) });
  };
  const withTensors = (change: Parameters<typeof editTensors>[2]) => () =>
    editTensors(tiny, "model.safetensors", change);
  const down = "model.layers.1.mlp.down_proj.weight";

  it("when its folder is missing", async () => {
    await expect(load("./no/such/folder")).rejects.toThrow(FileError);
    await expect(load("./no/such/folder")).rejects.toThrow(/no\/such\/folder/);
  });

  const cases: readonly (readonly [
    string,
    () => Promise<typeof tiny>,
    abstract new (...args: never) => Error,
    RegExp,
  ])[] = [
    [
      "without config.json",
      async () => editFolder(tiny, { "config.json": undefined }),
      FileError,
      /config.json/,
    ],
    [
      "with a config.json that is none",
      async () => editFolder(tiny, { "config.json": "<html>" }),
      InvalidModelError,
      /config.json: the file is not JSON/,
    ],
    [
      "without weights",
      async () => editFolder(tiny, { "model.safetensors": undefined }),
      InvalidModelError,
      /no weights that can be read/,
    ],
    [
      "with weights that are no safetensors",
      async () => editFolder(tiny, { "model.safetensors": "PK".repeat(50) }),
      InvalidModelError,
      /model.safetensors/,
    ],
    ...[
      "hidden_size",
      "num_hidden_layers",
      "num_attention_heads",
      "vocab_size",
      "intermediate_size",
      "max_position_embeddings",
      "model_type",
    ].map(
      (field) =>
        [
          `without ${field} in its config`,
          withConfig((config) => {
            delete config[field];
          }),
          InvalidModelError,
          new RegExp(`config.json: field ${field}`),
        ] as const,
    ),
    [
      "of an unknown type",
      withConfig((config) => Object.assign(config, { model_type: "opt" })),
      UnsupportedError,
      /model_type, got "opt", expected .*llama/,
    ],
    [
      "with a setting that is not run",
      withConfig((config) => Object.assign(config, { hidden_act: "gelu" })),
      UnsupportedError,
      /hidden_act, got "gelu", expected silu/,
    ],
    [
      "with a tensor missing",
      withTensors((tensors) => {
        delete tensors[down];
      }),
      InvalidModelError,
      new RegExp(`tensor ${down}: the tensor is missing, expected shape \\[64, 128\\]`),
    ],
    [
      "with a tensor too many",
      withTensors((tensors) => {
        tensors["model.layers.2.extra"] = hostTensor("float32", [1], Float32Array.of(1));
      }),
      InvalidModelError,
      /a tensor has no place.*model\.layers\.2\.extra/,
    ],
    [
      "with a tensor of another shape",
      withTensors((tensors) => {
        tensors[down] = hostTensor("float32", [128, 64], new Float32Array(128 * 64));
      }),
      InvalidModelError,
      new RegExp(`tensor ${down}: the shape does not fit, got "\\[128, 64\\]", expected \\[64, 128\\]`),
    ],
    [
      "with a tensor of whole numbers",
      withTensors((tensors) => {
        tensors[down] = hostTensor("int32", [64, 128], new Int32Array(64 * 128));
      }),
      InvalidModelError,
      new RegExp(`tensor ${down}: the dtype is not a weight's, got "int32"`),
    ],
    [
      "with a tokenizer that is damaged",
      async () => editFolder(tiny, { "tokenizer.json": "{" }),
      InvalidModelError,
      /tokenizer.json/,
    ],
  ];
  it.each(cases)("%s", async (_, make, kind, reason) => {
    const folder = await make();
    await expect(load(folder)).rejects.toThrow(reason);
    await expect(load(folder)).rejects.toThrow(kind);
  });
});

describe("an adapter is refused", () => {
  const load = (adapter: ReturnType<typeof createTinyAdapterFolder>): Promise<Model> =>
    loadModel(createTinyModelFolder(), { adapter, context: tinyContext, threads: 1 });

  it("when it was trained for another width, with the tensor's name and both shapes", async () => {
    const adapter = createTinyAdapterFolder({ queryHeadCount: 6, headSize: 16 });
    await expect(load(adapter)).rejects.toThrow(InvalidModelError);
    await expect(load(adapter)).rejects.toThrow(
      /adapter tiny-adapter, tensor layers.0.read_gate.down.weight: the shape does not fit, got "\[8, 96\]", expected \[8, 64\]/,
    );
  });

  it("when it was trained for another number of layers", async () => {
    await expect(load(createTinyAdapterFolder({ layerCount: 3 }))).rejects.toThrow(
      /a tensor has no place in this checkpoint, got "layers.2.read_gate.*probably trained for another model/,
    );
    await expect(load(createTinyAdapterFolder({ layerCount: 1 }))).rejects.toThrow(
      /tensor layers.1.read_gate.down.weight: the tensor is missing, expected shape \[8, 64\]/,
    );
  });

  it("when its files are missing or say something else", async () => {
    const adapter = createTinyAdapterFolder();
    const config = (await adapter.readJson("adapter_config.json")) as Record<string, unknown>;
    const edited = (change: object) =>
      editFolder(adapter, { "adapter_config.json": JSON.stringify({ ...config, ...change }) });
    await expect(load(editFolder(adapter, { "adapter_config.json": undefined }))).rejects.toThrow(FileError);
    await expect(load(editFolder(adapter, { "adapter_model.safetensors": undefined }))).rejects.toThrow(
      FileError,
    );
    await expect(load(edited({ peft_type: "LORA" }))).rejects.toThrow(
      /field peft_type.*EdgeInfinite adapter\?/,
    );
    await expect(load(edited({ read_gate_rank: undefined }))).rejects.toThrow(/field read_gate_rank/);
    await expect(load(edited({ read_gate_rank: 9 }))).rejects.toThrow(/got "\[8, 64\]", expected \[9, 64\]/);
    await expect(load(edited({ variant: "plus" }))).rejects.toThrow(
      "adapter tiny-adapter, tensor layers.0.retention.down.weight: the tensor is missing, expected shape [32, 64].",
    );
    await expect(load(edited({ variant: "minus" }))).rejects.toThrow(
      /variant, got "minus", expected paper or infini or plus/,
    );
    await expect(load(edited({ fusion: "none" }))).rejects.toThrow(UnsupportedError);
  });

  it("when it wants a cache that the checkpoint has no positions for", async () => {
    const context = { sinkTokens: 4, windowTokens: 4096, segmentTokens: 512 };
    const adapter = createTinyAdapterFolder({ context });
    await expect(loadModel(createTinyModelFolder(), { adapter })).rejects.toThrow(/expected at most 2048/);
    await using own = await load(adapter);
    expect(own.context).toEqual(tinyContext);
  });
});
