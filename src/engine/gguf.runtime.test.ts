import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convertToGguf, type GgufModelOptions } from "../../test/support/gguf/gguf-model.ts";
import {
  type GgufTensorType,
  ggufTensorTypes,
  writeGguf,
  writeSplitGguf,
} from "../../test/support/gguf/gguf-writer.ts";
import { type ModelFolder, memoryModelFolder } from "../files/model-folder.ts";
import { createTinyModelFolder, type TinyModelOptions } from "../testing/tiny-model.ts";
import type { LoadOptions } from "./load-model.ts";
import { estimateMemory, loadModel } from "./node.ts";

/** Whole blocks of every type, K types too; heads and groups of odd numbers. */
const sizes: TinyModelOptions = {
  hiddenSize: 256,
  queryHeadCount: 6,
  keyValueHeadCount: 2,
  headSize: 32,
  mlpSize: 512,
};

/** What the file does not say, and both sides take for granted. */
const ownFields: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  gemma3_text: { query_pre_attn_scalar: 32, layer_types: null, sliding_window_pattern: 6 },
  smollm3: { no_rope_layers: null, no_rope_layer_interval: 4 },
};

const prompt = [5, 9, 2, 33, 7, 120, 44, 9, 61, 200];

async function ggufFolder(folder: ModelFolder, options: GgufModelOptions): Promise<ModelFolder> {
  const { fields, tensors } = await convertToGguf(folder, options);
  return memoryModelFolder("gguf", { "model.gguf": writeGguf(fields, tensors) });
}

async function logitsOf(folder: ModelFolder | string, options: LoadOptions = {}): Promise<Float32Array> {
  await using model = await loadModel(folder, { threads: 1, ...options });
  const session = model.createSession();
  await session.append(prompt);
  return Float32Array.from(session.logits ?? []);
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return Math.max(...a.map((value, index) => Math.abs(value - (b[index] ?? Number.NaN))));
}

/** The relative distance of two vectors. */
function distance(a: Float32Array, b: Float32Array): number {
  const norm = (values: Float32Array) => Math.hypot(...values);
  return norm(a.map((value, index) => value - (b[index] ?? Number.NaN))) / norm(b);
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gguf-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("a model from GGUF", () => {
  it.each(["llama", "mistral", "qwen2", "qwen3"] as const)(
    "gives the logits of the safetensors it was made from (%s, float32)",
    async (modelType) => {
      const original = createTinyModelFolder({ ...sizes, modelType, tied: modelType !== "qwen3" });
      const ofOriginal = await logitsOf(original);
      const ofGguf = await logitsOf(await ggufFolder(original, { type: "f32" }));
      // The same numbers in the same kernels; the theta and epsilon of the file are float32.
      expect(largestDifference(ofGguf, ofOriginal)).toBeLessThan(1e-5);
    },
  );

  it.each([
    ["smollm3", { layerCount: 4 }],
    ["olmo2", { tied: false }],
    ["granite", {}],
    ["phi3", { tied: false }],
    ["gemma3_text", { layerCount: 7 }],
    ["gpt_neox", { headSize: 64, queryHeadCount: 4, keyValueHeadCount: 4, tied: false }],
  ] as const)(
    "gives the logits of the safetensors it was made from (%s, float32)",
    async (modelType, own) => {
      const original = createTinyModelFolder({
        ...sizes,
        ...own,
        modelType,
        config: ownFields[modelType] ?? {},
      });
      const ofGguf = await logitsOf(await ggufFolder(original, { type: "f32" }));
      // Gemma's norms lose a bit when the converter adds 1 to their weights.
      expect(largestDifference(ofGguf, await logitsOf(original))).toBeLessThan(1e-4);
    },
  );

  it("rotates as Llama 3's scaling says, which the file has as a tensor of factors", async () => {
    const rope_scaling = {
      rope_type: "llama3",
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 64,
    };
    const original = createTinyModelFolder({ ...sizes, config: { rope_scaling } });
    const ofGguf = await logitsOf(await ggufFolder(original, { type: "f32" }));
    expect(largestDifference(ofGguf, await logitsOf(original))).toBeLessThan(1e-5);
    const plain = await logitsOf(createTinyModelFolder(sizes));
    expect(largestDifference(ofGguf, plain)).toBeGreaterThan(1e-3);
  });

  it.each(Object.keys(ggufTensorTypes) as GgufTensorType[])(
    "gives the same with its own blocks as widened to float32 (%s)",
    async (type) => {
      const gguf = await ggufFolder(createTinyModelFolder(sizes), { type });
      const exact = await logitsOf(gguf, { dtype: "f32" });
      const ofBlocks = await logitsOf(gguf);
      // Weights are the same; the kernels round activations to 8 bits a block, so that products are off by
      // about 2^-8 each. Plain types run in float32.
      const isPlain = ["f32", "f16", "bf16"].includes(type);
      expect(distance(ofBlocks, exact)).toBeLessThan(isPlain ? 1e-5 : 0.03);
    },
  );

  it.each(["q8", "q4"] as const)("quantises what it has as floats when asked to (%s)", async (dtype) => {
    const original = createTinyModelFolder(sizes);
    const gguf = await ggufFolder(original, { type: (name) => (name.includes("ffn") ? "q8_0" : "f32") });
    const exact = await logitsOf(original);
    const off = distance(await logitsOf(gguf, { dtype }), exact);
    expect(off).toBeGreaterThan(1e-4);
    expect(off).toBeLessThan(dtype === "q8" ? 0.05 : 0.3);
    const [asStored, asked] = await Promise.all([estimateMemory(gguf), estimateMemory(gguf, { dtype })]);
    expect(asked.weightBytes).toBeLessThan(0.6 * asStored.weightBytes);
  });

  it("holds blocks in the bits asked for: other ones are quantised, those that have them stay", async () => {
    const original = createTinyModelFolder(sizes);
    const [q80, q41] = [
      await ggufFolder(original, { type: "q8_0" }),
      await ggufFolder(original, { type: "q4_1" }),
    ];
    const bytesOf = async (gguf: ModelFolder, dtype: "auto" | "q8" | "q4") =>
      (await estimateMemory(gguf, { dtype })).weightBytes;
    expect(await bytesOf(q80, "q8")).toBe(await bytesOf(q80, "auto"));
    expect(await bytesOf(q41, "q4")).toBe(await bytesOf(q41, "auto"));
    expect(await bytesOf(q80, "q4")).toBeLessThan(0.7 * (await bytesOf(q80, "auto")));
    expect(await bytesOf(q41, "q8")).toBeGreaterThan(1.3 * (await bytesOf(q41, "auto")));
    expect(await logitsOf(q80, { dtype: "q8" })).toEqual(await logitsOf(q80));
    const off = distance(await logitsOf(q80, { dtype: "q4" }), await logitsOf(q80));
    expect(off).toBeGreaterThan(0.01);
    expect(off).toBeLessThan(0.3);
  });

  it("keeps its repacked weights and maps them at the next start", async () => {
    const cache = join(folder, "cache");
    const before = process.env.EDGEINFINITE_CACHE;
    process.env.EDGEINFINITE_CACHE = cache;
    try {
      const { fields, tensors } = await convertToGguf(createTinyModelFolder(sizes), { type: "q4_k" });
      const file = join(folder, "tiny-Q4_K.gguf");
      await writeFile(file, writeGguf(fields, tensors));
      const steps: string[] = [];
      const onProgress = ({ file: step }: { readonly file: string }) => steps.push(step);
      const [first, second] = await Promise.all([
        logitsOf(file, { onProgress }),
        logitsOf(file, { onProgress }),
      ]);
      // Two at once: one makes the file, the other waits for it.
      expect(second).toEqual(first);
      expect(new Set(steps)).toEqual(new Set(["tiny-Q4_K.gguf as stored"]));
      expect(steps.length).toBeLessThan(2 * tensors.length);
      expect((await readdir(cache)).filter((name) => name.endsWith(".safetensors"))).toHaveLength(1);
      const made = steps.length;
      expect(await logitsOf(file, { onProgress })).toEqual(first);
      expect(steps).toHaveLength(made);
    } finally {
      process.env.EDGEINFINITE_CACHE = before;
    }
  });

  it("says so when its weights cannot be kept, and leaves nothing half written", async () => {
    const before = process.env.EDGEINFINITE_CACHE;
    const usable = join(folder, "usable");
    // A file stands where the folder should be made.
    process.env.EDGEINFINITE_CACHE = join(folder, "no-folder.gguf", "cache");
    try {
      await writeFile(join(folder, "no-folder.gguf"), "");
      const gguf = await ggufFolder(createTinyModelFolder(sizes), { type: "q8_0" });
      await expect(loadModel(gguf)).rejects.toMatchObject({ code: "file" });
      process.env.EDGEINFINITE_CACHE = usable;
      expect((await logitsOf(gguf)).length).toBeGreaterThan(0);
      expect(await readdir(usable)).toEqual([expect.stringMatching(/\.safetensors$/)]);
    } finally {
      process.env.EDGEINFINITE_CACHE = before;
    }
  });

  it("is the same from split parts, and from a folder with nothing else", async () => {
    const { fields, tensors } = await convertToGguf(createTinyModelFolder(sizes), { type: "q8_0" });
    const whole = memoryModelFolder("whole", { "any-name.gguf": writeGguf(fields, tensors) });
    const parts = [tensors.slice(0, 2), tensors.slice(2, 9), tensors.slice(9)];
    const split = memoryModelFolder("split", writeSplitGguf("m", fields, parts));
    expect(await logitsOf(split)).toEqual(await logitsOf(whole));
  });

  it("speaks through the tokenizer and the chat template of its metadata", async () => {
    await using model = await loadModel(await ggufFolder(createTinyModelFolder(sizes), { type: "q8_0" }));
    await using original = await loadModel(createTinyModelFolder(sizes));
    expect(model.tokenizer?.encode("the abc 123")).toEqual(original.tokenizer?.encode("the abc 123"));
    const session = model.createSession();
    const events = [];
    for await (const event of session.chat([{ role: "user", content: "the" }], { maxNewTokens: 3 }))
      events.push(event.type);
    expect(events.at(-1)).toBe("finish");
  });
});

describe("a GGUF model that cannot be run", () => {
  const tiny = () => createTinyModelFolder(sizes);
  const text = (value: string) => ({ type: "string", value }) as const;

  it.each([
    ["architecture", { "general.architecture": text("mamba") }, /does not run the architecture, got "mamba"/],
    ["tokenizer model", { "tokenizer.ggml.model": text("bert") }, /tokenizer model, got "bert"/],
    ["rotary scaling", { "llama.rope.scaling.type": text("yarn") }, /rope_scaling, got "yarn"/],
    [
      "experts",
      { "llama.expert_count": { type: "uint32", value: 8 } as const },
      /mixtures of experts, got 8/,
    ],
  ])("is refused by the name of its %s", async (_, fields, message) => {
    const loading = loadModel(await ggufFolder(tiny(), { fields }));
    await expect(loading).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(message),
    });
  });

  it("is refused when a field or a tensor is missing", async () => {
    const fields = { "llama.context_length": undefined };
    await expect(loadModel(await ggufFolder(tiny(), { fields }))).rejects.toThrow(
      /llama.context_length: the field is missing/,
    );
    const converted = await convertToGguf(tiny());
    const tensors = converted.tensors.filter(({ name }) => name !== "blk.1.ffn_up.weight");
    const file = writeGguf(converted.fields, tensors);
    const loading = loadModel(memoryModelFolder("gguf", { "m.gguf": file }));
    await expect(loading).rejects.toThrow(/model.layers.1.mlp.up_proj.weight: the tensor is missing/);
  });

  it("is refused when a block's scale is not finite", async () => {
    // A model of its own: another one's weights may be kept already.
    const seeded = createTinyModelFolder({ ...sizes, seed: 77 });
    const { fields, tensors } = await convertToGguf(seeded, { type: "q8_0" });
    const broken = tensors.map((tensor) => {
      if (tensor.name !== "blk.0.ffn_down.weight") return tensor;
      const data = tensor.data.slice();
      data.set([0x00, 0x7c], 34);
      return { ...tensor, data };
    });
    const loading = loadModel(memoryModelFolder("gguf", { "m.gguf": writeGguf(fields, broken) }));
    await expect(loading).rejects.toThrow(/mlp.down_proj.weight: a block's scale or offset is not finite/);
  });

  it("is asked for by name where a folder has several", async () => {
    const { fields, tensors } = await convertToGguf(tiny(), { type: "q8_0" });
    const file = writeGguf(fields, tensors);
    const several = memoryModelFolder("several", { "a-Q8_0.gguf": file, "b-Q4_0.gguf": file });
    await expect(loadModel(several)).rejects.toThrow(
      /several GGUF models, got \["a-Q8_0.gguf", "b-Q4_0.gguf"\]/,
    );
  });
});
