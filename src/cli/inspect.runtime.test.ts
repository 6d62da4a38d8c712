import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createTemporaryFolder,
  parseJsonLines,
  runCommand,
  type TemporaryFolder,
} from "../../test/support/command-terminal.ts";
import { loadModel } from "../engine/node.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../testing/index.ts";

let folder: TemporaryFolder;
let model: string;
let adapter: string;

beforeAll(async () => {
  folder = await createTemporaryFolder();
  model = await folder.writeModel(createTinyModelFolder());
  adapter = await folder.writeModel(createTinyAdapterFolder());
});

afterAll(() => folder[Symbol.asyncDispose]());

describe("edgeinfinite inspect", () => {
  it("tells what loading the model tells, from headers alone", async () => {
    const { status, stdout } = await runCommand(["inspect", model, "--adapter", adapter, "--json"]);
    expect(status).toBe(0);
    await using loaded = await loadModel(model, { adapter, threads: 1 });
    const [found] = parseJsonLines(stdout);
    expect(found).toMatchObject({
      name: model,
      modelType: "llama",
      layerCount: 2,
      queryHeadCount: 4,
      keyValueHeadCount: 2,
      headSize: 16,
      hiddenSize: 64,
      maxPositions: 2048,
      vocabularySize: loaded.config.vocabularySize,
      tokenizer: { vocabularySize: loaded.tokenizer?.vocabSize, hasChatTemplate: true },
      adapter: { variant: "paper" },
      memory: loaded.memoryEstimate,
    });
    const { stateBytes, fullCacheBytesPerToken } = loaded.memoryEstimate;
    expect(stateBytes).toBe(loaded.createSession().stateBytes);
    expect(found?.memory).toMatchObject({
      lengths: [8, 128, 1024].map((thousands) => ({
        lengthTokens: thousands * 1024,
        stateBytes,
        fullCacheBytes: thousands * 1024 * fullCacheBytesPerToken,
      })),
    });
  });

  it("counts parameters and bytes by the tensors' types", async () => {
    const half = await folder.writeModel(createTinyModelFolder({ dtype: "bfloat16" }));
    const [float32, bfloat16] = await Promise.all(
      [model, half].map(
        async (path) => parseJsonLines((await runCommand(["inspect", path, "--json"])).stdout)[0],
      ),
    );
    const parameterCount = Number(float32?.parameterCount);
    expect(bfloat16?.parameterCount).toBe(parameterCount);
    const tensors = (dtype: string, sizeBytes: number): unknown[] => [
      expect.objectContaining({ dtype, parameterCount, sizeBytes }),
    ];
    expect(float32?.tensors).toEqual(tensors("float32", 4 * parameterCount));
    expect(bfloat16?.tensors).toEqual(tensors("bfloat16", 2 * parameterCount));
  });

  it("tells the memory of weights in float16, whatever this machine has", async () => {
    const inspectAs = async (dtype: string) => {
      const { status, stdout } = await runCommand(["inspect", model, "--dtype", dtype, "--json"]);
      expect(status).toBe(0);
      const [found] = parseJsonLines(stdout) as unknown as { memory: { weightBytes: number } }[];
      return found?.memory.weightBytes ?? Number.NaN;
    };
    const [float32, float16] = [await inspectAs("f32"), await inspectAs("f16")];
    // Half of it, and the tied embedding once instead of twice; norms stay.
    expect(float16).toBeLessThan(0.5 * float32);
    expect(float16).toBeGreaterThan(0.35 * float32);
  });

  it("lays it out for people", async () => {
    const { status, stdout } = await runCommand(["inspect", model, "--window", "64", "--segment", "32"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/family +llama/);
    expect(stdout).toMatch(/heads +4, keys and values 2, each 16 wide/);
    expect(stdout).toMatch(/positions +2,048 trained/);
    expect(stdout).toMatch(/policy streaming \(sinks 4, window 64, segment 32\)/);
    expect(stdout).toMatch(
      /^ +8K +[\d.]+ KB +4\.19 MB\n +128K +[\d.]+ KB +67\.1 MB\n +1M +[\d.]+ KB +537 MB$/m,
    );
    expect(stdout).toMatch(/No adapter was given/);
  });

  it("tells of layers that attend in another way, and of positions that are learned", async () => {
    for (const [modelType, layers, positions] of [
      ["gemma3_text", "2, 1 attending within 9 tokens", "2,048 trained"],
      ["smollm3", "2, 1 without rotary embedding", "2,048 trained"],
      ["gpt2", "2", "2,048 learned, where streams end"],
    ] as const) {
      const path = await folder.writeModel(createTinyModelFolder({ modelType }));
      const { status, stdout } = await runCommand(["inspect", path]);
      expect(status).toBe(0);
      expect(stdout).toMatch(new RegExp(`^ *layers +${layers}$`, "m"));
      expect(stdout).toMatch(new RegExp(`^ *positions +${positions}$`, "m"));
    }
  });

  it("says where an ordinary cache ends", async () => {
    const { stdout } = await runCommand(["inspect", model, "--policy", "full"]);
    expect(stdout).toMatch(/8K +too long/);
  });

  it.each<[string, number, (path: string) => readonly string[]]>([
    ["no model", 2, () => []],
    ["two models", 2, (path) => [path, path]],
    ["a missing folder", 5, () => ["./nowhere"]],
    ["a file", 5, (path) => [`${path}/config.json`]],
    ["an adapter that is none", 5, (path) => [path, "--adapter", path]],
    ["a window that is none", 2, (path) => [path, "--window", "0"]],
    ["an unknown option", 2, (path) => [path, "--frob"]],
  ])("%s: refused with status %d", async (_name, expected, argv) => {
    const { status, stdout, stderr } = await runCommand(["inspect", ...argv(model)]);
    expect([status, stdout]).toEqual([expected, ""]);
    expect(stderr).toMatch(/^error: [^\n]+\n$/);
  });

  it("a checkpoint whose tensors do not fit its configuration: refused, naming the tensor", async () => {
    const odd = await folder.writeModel(createTinyModelFolder({ config: { intermediate_size: 96 } }));
    const { status, stderr } = await runCommand(["inspect", odd]);
    expect(status).toBe(3);
    expect(stderr).toMatch(/mlp\.\w+_proj\.weight/);
  });
});
