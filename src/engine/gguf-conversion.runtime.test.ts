import { beforeAll, describe, expect, it } from "vitest";
import { convertToGguf } from "../../test/support/gguf/gguf-model.ts";
import { collectBytes, memoryByteSource } from "../files/byte-source.ts";
import { openCheckpointWeights } from "../files/checkpoint-files.ts";
import { parseGgufHeader } from "../files/gguf.ts";
import { type ModelFolder, memoryModelFolder } from "../files/model-folder.ts";
import { readTensor } from "../files/safetensors.ts";
import { writeSafetensors } from "../files/safetensors-writer.ts";
import { quantizeRows } from "../tensor/block-quantization.ts";
import { decodeFloat16, encodeFloat16 } from "../tensor/half-float.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { createTinyModelFolder, type TinyModelOptions } from "../testing/tiny-model.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { type GgufConversionOptions, prepareGgufConversion } from "./gguf-conversion.ts";
import type { LoadOptions } from "./load-model.ts";
import { loadModel } from "./node.ts";

const sizes: TinyModelOptions = { hiddenSize: 64, queryHeadCount: 6, keyValueHeadCount: 2, headSize: 32 };
const prompt = [5, 9, 2, 33, 7, 120, 44, 9, 61, 200];

async function convert(
  folder: ModelFolder,
  options: Partial<GgufConversionOptions> = {},
): Promise<Uint8Array> {
  await using conversion = await prepareGgufConversion(folder, { dtype: "q8", name: "test", ...options });
  const source = await collectBytes("model.gguf", conversion.stream());
  return source.read(0, source.sizeBytes);
}

const folderOf = (bytes: Uint8Array): ModelFolder => memoryModelFolder("gguf", { "model.gguf": bytes });

async function logitsOf(folder: ModelFolder, options: LoadOptions = {}): Promise<Float32Array> {
  await using model = await loadModel(folder, { threads: 1, ...options });
  const session = model.createSession();
  await session.append(prompt);
  return Float32Array.from(session.logits ?? []);
}

function distance(a: Float32Array, b: Float32Array): number {
  const norm = (values: Float32Array) => Math.hypot(...values);
  return norm(a.map((value, index) => value - (b[index] ?? Number.NaN))) / norm(b);
}

/** Rounds the matrices of a model to 8-bit blocks whose scales are numbers of float16. */
async function roundModel(folder: ModelFolder): Promise<ModelFolder> {
  await using weights = await openCheckpointWeights(folder);
  const rounded = await Promise.all(
    [...weights.tensors.values()].map(async (entry) => {
      const { shape, data } = await readTensor(entry);
      if (!(data instanceof Float32Array) || shape.length < 2)
        return [entry.name, hostTensor("float32", shape, data as Float32Array)] as const;
      const blocks = quantizeRows(data, shape[1] ?? 0, { bits: 8, blockSize: 32 });
      const scales = decodeFloat16(encodeFloat16(blocks.scales));
      const values = data.map((_, index) => ((blocks.data[index] ?? 0) - 128) * (scales[index >> 5] ?? 0));
      return [entry.name, hostTensor("float32", shape, values)] as const;
    }),
  );
  const files: Record<string, Uint8Array | string> = {
    "model.safetensors": writeSafetensors(Object.fromEntries(rounded)),
  };
  for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json"])
    files[name] = await folder.readText(name);
  return memoryModelFolder("rounded", files);
}

describe("a model converted to GGUF", () => {
  it.each(["llama", "mistral", "qwen2", "qwen3"] as const)(
    "is as near to the model in 8 bits as loading with dtype q8 is (%s)",
    async (modelType) => {
      const folder = createTinyModelFolder({ ...sizes, modelType, tied: modelType !== "qwen3" });
      const exact = await logitsOf(folder);
      const ofFile = distance(await logitsOf(folderOf(await convert(folder))), exact);
      // Scales are off by 2^-12 of themselves on average, quanta by 2^-8: only the noise of both is another.
      expect(ofFile).toBeLessThan(1.5 * distance(await logitsOf(folder, { dtype: "q8" }), exact));
      expect(ofFile).toBeLessThan(0.1);
    },
  );

  it.each(["llama", "qwen3"] as const)(
    "is what loading with dtype q8 gives bit for bit, where scales are numbers of float16 (%s)",
    async (modelType) => {
      const folder = await roundModel(createTinyModelFolder({ ...sizes, modelType }));
      const ofFile = await logitsOf(folderOf(await convert(folder)));
      expect(ofFile).toEqual(await logitsOf(folder, { dtype: "q8" }));
    },
  );

  it.each([
    ["f32", {}, 1e-5],
    ["f32", { config: { rope_theta: 500_000 } }, 1e-5],
    ["f16", {}, 2e-3],
  ] as const)("is the model itself in %s %o", async (dtype, own, tolerance) => {
    const folder = createTinyModelFolder({ ...sizes, ...own });
    const ofFile = await logitsOf(folderOf(await convert(folder, { dtype })));
    expect(distance(ofFile, await logitsOf(folder))).toBeLessThan(tolerance);
  });

  it("has the tensors and sizes that another converter writes", async () => {
    const folder = createTinyModelFolder(sizes);
    const { fields, tensors } = await convertToGguf(folder, { type: "q8_0" });
    const bytes = await convert(folder);
    const source = memoryByteSource("m.gguf", bytes);
    const header = await parseGgufHeader(source);
    for (const [key, field] of Object.entries(fields)) {
      if (key === "general.type") continue;
      const got = header.metadata.get(key);
      // Numbers of float32 are read back as such.
      if (field.type === "float32") expect(got, key).toBe(Math.fround(Number(field.value)));
      else expect(got, key).toEqual(field.value);
    }
    expect([...header.tensors.keys()].sort()).toEqual(tensors.map(({ name }) => name).sort());
    for (const { name, data } of tensors) {
      const tensor = header.tensors.get(name);
      expect(await source.read(tensor?.offset ?? 0, tensor?.lengthBytes ?? 0), name).toEqual(data);
    }
  });

  describe("with a trained tokenizer", () => {
    let folder: ModelFolder;
    beforeAll(async () => {
      const tokenizer = await trainByteLevelBpe(["'Tis 12", "'Tis 12", "'Tis 12"], {
        vocabularySize: 280,
        digitsPerToken: 1,
      });
      const tiny = createTinyModelFolder(sizes);
      const source = await tiny.open("model.safetensors");
      folder = memoryModelFolder("trained", {
        "model.safetensors": await source.read(0, source.sizeBytes),
        "config.json": await tiny.readText("config.json"),
        "tokenizer.json": JSON.stringify(tokenizer.tokenizerJson),
        "tokenizer_config.json": JSON.stringify(tokenizer.tokenizerConfig),
      });
    });

    it("answers in the words of its chat template", async () => {
      await using model = await loadModel(folderOf(await convert(folder)), { threads: 1 });
      await using original = await loadModel(folder, { threads: 1 });
      expect(model.tokenizer?.chatTemplate).toBe(original.tokenizer?.chatTemplate);
      const session = model.createSession();
      for await (const event of session.chat([{ role: "user", content: "'Tis 7" }], { maxNewTokens: 2 }))
        if (event.type === "finish") expect(event.usage.completionTokens).toBeLessThanOrEqual(2);
      const text = "<|user|>'Tis 7<|endoftext|>";
      expect(model.tokenizer?.encode(text)).toEqual(original.tokenizer?.encode(text));
    });

    it("says where llama.cpp reads a text otherwise", async () => {
      await using conversion = await prepareGgufConversion(folder, { dtype: "q8", name: "test" });
      expect(conversion.notices.join()).toMatch(/nearest is gpt-2\. It reads some texts in other tokens/);
      expect(conversion.preTokenizer).toBe("gpt-2");
    });
  });
});

describe("prepareGgufConversion", () => {
  const refuse = (folder: ModelFolder) => prepareGgufConversion(folder, { dtype: "q8", name: "test" });

  it("refuses families, settings and files that it does not write", async () => {
    await expect(refuse(createTinyModelFolder({ modelType: "gemma3_text" }))).rejects.toThrow(
      /does not write the family as GGUF, got "gemma3_text", expected llama, mistral, qwen2, qwen3/,
    );
    const rope_scaling = { rope_type: "linear", factor: 2 };
    await expect(refuse(createTinyModelFolder({ config: { rope_scaling } }))).rejects.toThrow(/stretched/);
    const gguf = { ...folderOf(new Uint8Array()), file: "model.gguf" };
    await expect(refuse(gguf)).rejects.toThrow(/a GGUF file is not converted/);
  });

  it("writes a model without a tokenizer", async () => {
    const tiny = createTinyModelFolder(sizes);
    const source = await tiny.open("model.safetensors");
    const folder = memoryModelFolder("bare", {
      "model.safetensors": await source.read(0, source.sizeBytes),
      "config.json": await tiny.readText("config.json"),
    });
    const ofFile = await logitsOf(folderOf(await convert(folder, { dtype: "f32" })));
    expect(distance(ofFile, await logitsOf(tiny))).toBeLessThan(1e-5);
  });
});
