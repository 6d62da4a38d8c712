import { describe, expect, it } from "vitest";
import { openCheckpointWeights } from "../files/checkpoint-files.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { parseSafetensorsHeader } from "../files/safetensors.ts";
import { renderChat } from "../text/chat-template.ts";
import { loadTokenizer } from "../text/load-tokenizer.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "./tiny-model.ts";

/** Bytes as text, which compares a hundred times faster than arrays do. */
function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

async function readHex(folder: ModelFolder, file: string): Promise<string> {
  const source = await folder.open(file);
  return hex(await source.read(0, source.sizeBytes));
}

describe("createTinyModelFolder", () => {
  it("builds a model in under 50 ms", () => {
    // The best of three: the first pays for compiling, and a busy machine must not fail the test.
    const times = [1, 2, 3].map((seed) => {
      const start = performance.now();
      createTinyModelFolder({ seed });
      return performance.now() - start;
    });
    expect(Math.min(...times)).toBeLessThan(50);
  });

  it("gives the same bytes for the same seed, others for another", async () => {
    const [once, again, other] = await Promise.all(
      [3, 3, 4].map((seed) => readHex(createTinyModelFolder({ seed }), "model.safetensors")),
    );
    expect(again === once).toBe(true);
    expect(other === once).toBe(false);
  });

  it.each([
    { dtype: "float32", width: 4 },
    { dtype: "float16", width: 2 },
    { dtype: "bfloat16", width: 2 },
  ] as const)("stores weights as $dtype", async ({ dtype, width }) => {
    await using weights = await openCheckpointWeights(createTinyModelFolder({ dtype }));
    for (const entry of weights.tensors.values()) {
      expect(entry.dtype).toBe(dtype);
      expect(entry.lengthBytes).toBe(width * entry.shape.reduce((product, extent) => product * extent, 1));
    }
  });

  it("holds the same tensors in two shards as in one file", async () => {
    const sharded = createTinyModelFolder({ sharded: true, modelType: "qwen2" });
    expect(await sharded.has("model.safetensors")).toBe(false);
    await using parts = await openCheckpointWeights(sharded);
    await using whole = await openCheckpointWeights(createTinyModelFolder({ modelType: "qwen2" }));
    expect([...parts.tensors.keys()].sort()).toEqual([...whole.tensors.keys()].sort());
    for (const [name, { source, offset, lengthBytes }] of whole.tensors) {
      const part = parts.tensors.get(name);
      const bytes = await part?.source.read(part.offset, part.lengthBytes);
      expect(hex(bytes ?? new Uint8Array()) === hex(await source.read(offset, lengthBytes))).toBe(true);
    }
    expect(new Set([...parts.tensors.values()].map(({ source }) => source)).size).toBe(2);
  });

  it("has a tokenizer with a ChatML template and an embedding of its size", async () => {
    const folder = createTinyModelFolder();
    const tokenizer = await loadTokenizer(folder);
    expect(await folder.readJson("config.json")).toMatchObject({
      vocab_size: tokenizer?.vocabSize,
      bos_token_id: tokenizer?.bosTokenId,
      eos_token_id: tokenizer?.eosTokenId,
    });
    expect([tokenizer?.bosTokenId, tokenizer?.eosTokenId]).toEqual([0, 1]);
    const messages = [
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Oh." },
    ] as const;
    const specialTokens = tokenizer?.specialTokens ?? {};
    expect(renderChat(tokenizer?.chatTemplate, messages, { addGenerationPrompt: true, specialTokens })).toBe(
      "<|begin|>user\nHi<|end|>\n<|begin|>assistant\nOh.<|end|>\n<|begin|>assistant\n",
    );
  });

  it("takes sizes, and fields of the configuration", async () => {
    const folder = createTinyModelFolder({
      layerCount: 3,
      hiddenSize: 36,
      queryHeadCount: 6,
      keyValueHeadCount: 2,
      headSize: 6,
      mlpSize: 20,
      maxPositions: 77,
      tied: false,
      config: { rope_theta: 500, extra: 1 },
    });
    expect(await folder.readJson("config.json")).toMatchObject({
      num_hidden_layers: 3,
      max_position_embeddings: 77,
      rope_theta: 500,
      extra: 1,
    });
    await using weights = await openCheckpointWeights(folder);
    expect(weights.tensors.get("model.layers.2.self_attn.k_proj.weight")?.shape).toEqual([12, 36]);
    expect(weights.tensors.get("model.layers.2.mlp.down_proj.weight")?.shape).toEqual([36, 20]);
    expect(weights.tensors.has("lm_head.weight")).toBe(true);
    expect(weights.tensors.has("model.layers.3.mlp.down_proj.weight")).toBe(false);
  });
});

describe("createTinyAdapterFolder", () => {
  it("has retention scores for slots, and a linear memory or none", async () => {
    const folder = createTinyAdapterFolder({ layerCount: 1, rank: 3, variant: "plus", linearMemory: false });
    expect(await folder.readJson("adapter_config.json")).toMatchObject({
      variant: "plus",
      retention_rank: 3,
      linear_memory: false,
    });
    const { tensors } = await parseSafetensorsHeader(await folder.open("adapter_model.safetensors"));
    expect(Object.fromEntries([...tensors].map(([name, { shape }]) => [name, shape]))).toEqual({
      "layers.0.retention.down.weight": [3, 64],
      "layers.0.retention.down.bias": [3],
      "layers.0.retention.up.weight": [2, 3],
      "layers.0.retention.up.bias": [2],
    });
  });

  it("has a read gate for each layer, and the settings it is given", async () => {
    const folder = createTinyAdapterFolder({ layerCount: 1, rank: 3, context: { windowTokens: 21 } });
    expect(await folder.readJson("adapter_config.json")).toEqual({
      peft_type: "EDGEINFINITE",
      variant: "paper",
      base_model_name_or_path: "tiny",
      read_gate_rank: 3,
      feature_map: "elu1",
      fusion: "convex",
      window_tokens: 21,
    });
    const { tensors } = await parseSafetensorsHeader(await folder.open("adapter_model.safetensors"));
    expect(Object.fromEntries([...tensors].map(([name, { shape }]) => [name, shape]))).toEqual({
      "layers.0.read_gate.down.weight": [3, 64],
      "layers.0.read_gate.down.bias": [3],
      "layers.0.read_gate.up.weight": [4, 3],
      "layers.0.read_gate.up.bias": [4],
    });
  });
});
