import { createHash } from "node:crypto";
import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ExportedModel } from "../../../test/support/exported-model.ts";
import { convertToGguf } from "../../../test/support/gguf/gguf-model.ts";
import { writeGguf } from "../../../test/support/gguf/gguf-writer.ts";
import {
  largestDifference,
  loadTiny,
  logitsOf,
  tinyCapacity,
  tinyContext,
  tinyIds,
} from "../../../test/support/tiny-sessions.ts";
import { type ModelFolder, memoryModelFolder } from "../../files/model-folder.ts";
import type { PolicyName } from "../../memory/policy.ts";
import { type TinyModelType, tinyFamilies } from "../../testing/tiny-families.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../../testing/tiny-model.ts";
import { type ExportOptions, exportModel, readExportManifest } from "./node-export.ts";

let root = "";

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "edgeinfinite-export-"));
});

afterAll(() => rm(root, { recursive: true }));

let folderCount = 0;
const newFolder = (): string => join(root, `out-${folderCount++}`);

async function exportTiny(
  policy: PolicyName = "paper",
  options: ExportOptions = {},
  model: ModelFolder = createTinyModelFolder(),
): Promise<string> {
  const folder = newFolder();
  await exportModel(model, folder, {
    policy,
    context: tinyContext,
    ...(policy === "paper" && { adapter: createTinyAdapterFolder() }),
    ...options,
  });
  return folder;
}

/** GPT-2 runs under the policy `full` alone. */
const families = (Object.keys(tinyFamilies) as TinyModelType[]).filter((name) => name !== "gpt2");

/** Commits 15 times. */
const stream = tinyIds(tinyCapacity + 15 * tinyContext.segmentTokens - 4);
/** Before the first commit, right before it, right after it, and further on. */
const looks = [5, tinyCapacity, tinyCapacity + 1, 100, stream.length];

/**
 * Says how far logits may be from the library's, whose graphs add in another order: rounding of float32, amplified by
 * two layers; 5e-6 was measured. A wrong mask, row or angle shows in the first digit.
 */
const tolerance = 1e-4;

async function expectSameLogits(
  model: ModelFolder,
  policy: PolicyName,
  run: { readonly runTokens: number; readonly padded?: boolean },
  options: ExportOptions = {},
  allowed: number = tolerance,
): Promise<void> {
  const folder = await exportTiny(policy, options, model);
  await using exported = await ExportedModel.open(folder);
  await using loaded = await loadTiny(policy, options, model);
  const session = loaded.createSession();
  let read = 0;
  for (const end of looks) {
    const ids = stream.slice(read, end);
    const logits = await exported.append(ids, run.runTokens, run.padded);
    await session.append(ids);
    expect(largestDifference(logits, logitsOf(session)), `after ${end} tokens`).toBeLessThan(allowed);
    read = end;
  }
  expect(exported.commits).toBe(session.stats.commitCount);
  expect(exported.commits).toBe(15);
}

describe("an exported model, run from its manifest alone", () => {
  const runs = [
    { title: "whole segments", runTokens: 13 },
    { title: "padded runs", runTokens: 5 },
    { title: "single tokens", runTokens: 1 },
    { title: "single tokens padded to a segment", runTokens: 1, padded: true },
  ];
  for (const policy of ["paper", "streaming"] as const) {
    it.each(runs)(`gives the session's logits over many commits, ${policy}, in $title`, (run) =>
      expectSameLogits(createTinyModelFolder(), policy, run),
    );
  }

  it.each(families)("gives them for %s", (modelType) =>
    expectSameLogits(
      createTinyModelFolder({ modelType }),
      "paper",
      { runTokens: 7 },
      // Of Gemma's layers the first has a window, and no memory.
      modelType === "gemma3_text" ? { adapter: createTinyAdapterFolder({ gatedLayers: [1] }) } : {},
    ),
  );

  it.each([
    ["bfloat16, which is widened in the file", { dtype: "bfloat16" }],
    ["float16 in two shards", { dtype: "float16", sharded: true }],
    ["an output projection of its own", { tied: false }],
  ] as const)("gives them for %s", (_, options) =>
    expectSameLogits(createTinyModelFolder(options), "paper", { runTokens: 13 }),
  );

  it.each(["f32", "q8_0", "q4_1"] as const)(
    "gives them for a GGUF of %s, in its own blocks",
    async (type) => {
      const original = createTinyModelFolder({ headSize: 32 });
      const { fields, tensors } = await convertToGguf(original, { type });
      const folder = memoryModelFolder("tiny-gguf", { "model.gguf": writeGguf(fields, tensors) });
      const adapter = createTinyAdapterFolder({ headSize: 32 });
      await expectSameLogits(
        folder,
        "paper",
        { runTokens: 13 },
        { adapter },
        type === "f32" ? tolerance : 0.2,
      );
    },
  );

  it.each(["q8", "q4"] as const)("gives them for weights of %s", (dtype) =>
    // The product rounds activations to 8 bits: one that falls the other way moved a logit by 0.05. Logits reach 3;
    // blocks read wrongly move them by as much.
    expectSameLogits(createTinyModelFolder(), "paper", { runTokens: 13 }, { dtype }, 0.2),
  );
});

describe("exportModel", () => {
  it("writes a graph for each path and number of tokens, without control flow or symbols", async () => {
    const { graphs, context } = await readExportManifest(await exportTiny());
    expect(graphs.map(({ file }) => file)).toEqual([
      ...["prefill-base.onnx", "prefill-gated.onnx", "decode-base.onnx", "decode-gated.onnx"],
      "commit.onnx",
    ]);
    expect(context.capacityTokens).toBe(tinyCapacity);
    for (const { opsets, inputs, outputs, path } of graphs) {
      expect(opsets).toEqual({ "": 17 });
      expect([...inputs, ...outputs].flatMap(({ shape }) => shape).every(Number.isInteger)).toBe(true);
      expect(inputs.some(({ role }) => role.includes("memory"))).toBe(path === "gated");
    }
  });

  it("needs no commit graph without a memory", async () => {
    const { graphs, policy, adapter } = await readExportManifest(await exportTiny("streaming"));
    expect(graphs.map(({ name }) => name)).toEqual(["prefill-base", "decode-base"]);
    expect({ policy, adapter }).toEqual({ policy: "streaming", adapter: null });
  });

  it("names the domain of quantised products", async () => {
    const { graphs } = await readExportManifest(await exportTiny("streaming", { dtype: "q8" }));
    for (const { opsets } of graphs) expect(opsets).toEqual({ "": 17, "com.microsoft": 1 });
  });

  it("writes each weight once, and the tokenizer beside it", async () => {
    const folder = await exportTiny();
    const { weights, files } = await readExportManifest(folder);
    const bytes = await readFile(join(folder, weights.file));
    expect(bytes.length).toBe(weights.sizeBytes);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(weights.sha256);
    expect(files).toEqual(["config.json", "tokenizer.json", "tokenizer_config.json"]);
    const names = await readdir(folder);
    expect(names).toHaveLength(5 + files.length + 2);
    // The tied embedding and 5 graphs share it; pages round up.
    const { size: checkpointBytes } = await sizeOf(createTinyModelFolder());
    expect(weights.sizeBytes).toBeLessThan(1.5 * checkpointBytes);
  });

  it("refuses policies with slots, whose choice no graph makes", async () => {
    for (const policy of ["plus", "keydiff", "h2o", "snapkv", "pyramidkv"] as const) {
      const context = { ...tinyContext, slotTokens: 3 };
      const adapter = createTinyAdapterFolder({ variant: "plus" });
      await expect(
        exportModel(createTinyModelFolder(), newFolder(), { policy, context, adapter }),
      ).rejects.toThrow(
        new RegExp(
          `policy: the manifest has no words yet.*slots, got "${policy}", expected paper or streaming`,
        ),
      );
    }
  });

  it("refuses the policy infini, which the manifest does not know", async () => {
    await expect(exportTiny("infini")).rejects.toThrow(/linear memory of the policy paper alone.*"infini"/);
  });

  it("refuses the policy full, whose cache grows", async () => {
    await expect(exportTiny("full")).rejects.toThrow(/grows with the stream.*paper or streaming/);
  });

  it("refuses float16, before anything is written", async () => {
    await expect(exportTiny("streaming", { dtype: "f16" })).rejects.toThrow(
      /^dtype: this version does not export float16, got "f16", expected auto, f32, q8 or q4\. Export f32/,
    );
  });

  it("leaves nothing behind when it is aborted or a tensor does not fit", async () => {
    const signal = AbortSignal.abort();
    await expect(exportTiny("paper", { signal })).rejects.toThrow(/abort/);
    const odd = createTinyModelFolder({ config: { intermediate_size: 96 } });
    await expect(exportTiny("paper", {}, odd)).rejects.toThrow(/shape does not fit/);
    const controller = new AbortController();
    const onProgress = (): void => controller.abort();
    await expect(exportTiny("paper", { signal: controller.signal, onProgress })).rejects.toThrow(/abort/);
    const names = await readdir(root);
    expect(names.filter((name) => name.endsWith(".tmp") || name.endsWith(".old"))).toEqual([]);
  });

  it("replaces an earlier export only by force, and other folders never", async () => {
    const model = createTinyModelFolder();
    const options = { policy: "streaming", context: tinyContext } as const;
    const folder = await exportTiny("paper");
    await expect(exportModel(model, folder, options)).rejects.toThrow(/an exported model is there.*--force/);
    await exportModel(model, folder, { ...options, force: true });
    expect((await readExportManifest(folder)).policy).toBe("streaming");
    await expect(access(join(folder, "commit.onnx"))).rejects.toThrow();
    const other = newFolder();
    await mkdir(other);
    await writeFile(join(other, "letter.txt"), "dear");
    await expect(exportModel(model, other, { ...options, force: true })).rejects.toThrow(
      /something else is there/,
    );
    expect(await readFile(join(other, "letter.txt"), "utf8")).toBe("dear");
  });

  it("fills an empty folder", async () => {
    const empty = newFolder();
    await mkdir(empty);
    await exportModel(createTinyModelFolder(), empty, { context: tinyContext });
    expect((await readExportManifest(empty)).model.name).toBe("tiny-llama");
  });
});

async function sizeOf(folder: ModelFolder): Promise<{ size: number }> {
  const source = await folder.open("model.safetensors");
  return { size: source.sizeBytes };
}
