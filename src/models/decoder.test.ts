import { describe, expect, it } from "vitest";
import { InvalidModelError } from "../errors.ts";
import { openCheckpointWeights } from "../files/checkpoint-files.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import type { TensorEntry } from "../files/safetensors.ts";
import type { Graph } from "../graph/graph.ts";
import { verifyGraph } from "../graph/verify.ts";
import { openAdapter } from "../memory/adapter.ts";
import { memoryLayers } from "../memory/geometry.ts";
import { createPolicy, keepsSlots, policyNames } from "../memory/policies.ts";
import type { PolicyName } from "../memory/policy.ts";
import {
  createTinyAdapterFolder,
  createTinyModelFolder,
  type TinyModelOptions,
} from "../testing/tiny-model.ts";
import { loadModelFamily, modelTypes } from "./registry.ts";

const context = { sinkTokens: 2, slotTokens: 0, windowTokens: 5, segmentTokens: 3 };

type Tensors = Map<string, TensorEntry>;

const folders = new Map<string, ModelFolder>();

function openFolder(options: TinyModelOptions): ModelFolder {
  const key = JSON.stringify(options);
  const folder = folders.get(key) ?? createTinyModelFolder(options);
  folders.set(key, folder);
  return folder;
}

/** Builds the graph of a tiny model whose tensors have been changed. */
async function build(
  options: TinyModelOptions,
  change: (tensors: Tensors) => void = () => {},
  policyName: PolicyName = "streaming",
): Promise<Graph> {
  const folder = openFolder(options);
  const json = await folder.readJson("config.json");
  const family = await loadModelFamily("tiny/config.json", json);
  const config = family.readConfig("tiny/config.json", json);
  const gatedLayers = memoryLayers(config.geometry);
  const { keyValueHeadCount } = config.geometry;
  const adapter =
    policyName === "paper" || policyName === "plus"
      ? await openAdapter(createTinyAdapterFolder({ gatedLayers, keyValueHeadCount, variant: policyName }))
      : undefined;
  const slotTokens = keepsSlots(policyName) ? 3 : 0;
  const policy = createPolicy(policyName, {
    geometry: config.geometry,
    context: { ...context, slotTokens },
    adapter,
  });
  await using weights = await openCheckpointWeights(folder);
  const tensors = new Map(weights.tensors);
  change(tensors);
  return family.buildInferenceGraph("tiny", config, tensors, policy);
}

function constantNames(graph: Graph): Set<string> {
  return new Set(graph.initializers.map(({ value }) => value.name));
}

function rename(tensors: Tensors, from: string, to: string): void {
  const entry = tensors.get(from);
  if (entry === undefined) throw new Error(`no tensor ${from}`);
  tensors.delete(from);
  tensors.set(to, { ...entry, name: to });
}

function copy(tensors: Tensors, from: string, to: string, changes: Partial<TensorEntry> = {}): void {
  const entry = tensors.get(from);
  if (entry === undefined) throw new Error(`no tensor ${from}`);
  tensors.set(to, { ...entry, name: to, ...changes });
}

describe("buildDecoderGraph", () => {
  for (const modelType of modelTypes as readonly NonNullable<TinyModelOptions["modelType"]>[]) {
    const policies =
      modelType === "gpt2"
        ? (["full"] as const)
        : // Windowed layers have no places to give to others.
          policyNames.filter((name) => modelType !== "gemma3_text" || name !== "pyramidkv");
    it.each(policies)(`builds a sound graph of a ${modelType} with policy %s`, async (policyName) => {
      const graph = await build({ modelType, dtype: "bfloat16", tied: false }, undefined, policyName);
      verifyGraph(graph);
      expect(graph.inputs.slice(0, 2)).toEqual([
        { name: "token_ids", dtype: "int64", shape: ["T"] },
        { name: "logit_rows", dtype: "int64", shape: ["N"] },
      ]);
      expect(graph.outputs[0]).toEqual({ name: "logits", dtype: "float32", shape: ["N", 282] });
    });
  }

  it("refuses pyramidkv where layers have windows of their own", async () => {
    const building = build(
      { modelType: "gemma3_text", dtype: "bfloat16", tied: false },
      undefined,
      "pyramidkv",
    );
    await expect(building).rejects.toThrow(/pyramidkv/);
  });

  it("uses every tensor of a checkpoint once", async () => {
    for (const modelType of modelTypes as readonly NonNullable<TinyModelOptions["modelType"]>[]) {
      let names: string[] = [];
      const record = (tensors: Tensors): void => {
        names = [...tensors.keys()];
      };
      const graph = await build({ modelType, tied: false }, record, "full");
      const fromFile = graph.initializers.filter(({ data }) => data.kind === "external");
      expect(fromFile.map(({ value }) => value.name).sort()).toEqual(names.sort());
    }
  });

  it("reads the output projection from the embedding when they are tied, from lm_head else", async () => {
    expect(constantNames(await build({ tied: true })).has("lm_head.weight")).toBe(false);
    expect(constantNames(await build({ tied: false })).has("lm_head.weight")).toBe(true);
  });

  it("ignores an lm_head beside tied embeddings, whatever its shape", async () => {
    const graph = await build({ tied: true }, (tensors) =>
      copy(tensors, "model.norm.weight", "lm_head.weight"),
    );
    expect(constantNames(graph).has("lm_head.weight")).toBe(false);
  });

  it("ignores the rotary buffers of old checkpoints", async () => {
    const name = "model.layers.1.self_attn.rotary_emb.inv_freq";
    const graph = await build({}, (tensors) => copy(tensors, "model.norm.weight", name));
    expect(constantNames(graph).has(name)).toBe(false);
  });

  it.each([
    ["llama", "model.embed_tokens.weight", "[282, 64]"],
    ["llama", "model.layers.1.self_attn.k_proj.weight", "[32, 64]"],
    ["llama", "model.layers.0.mlp.down_proj.weight", "[64, 128]"],
    ["llama", "model.norm.weight", "[64]"],
    ["llama", "lm_head.weight", "[282, 64]"],
    ["qwen2", "model.layers.1.self_attn.v_proj.bias", "[32]"],
    ["qwen3", "model.layers.0.self_attn.q_norm.weight", "[16]"],
  ] as const)("names a tensor that a %s lacks: %s, with its shape", async (modelType, name, shape) => {
    const failure = build({ modelType, tied: false }, (tensors) => tensors.delete(name));
    await expect(failure).rejects.toThrow(InvalidModelError);
    await expect(failure).rejects.toThrow(
      `tiny, tensor ${name}: the tensor is missing, expected shape ${shape}.`,
    );
  });

  it("names a tensor of another shape, with both shapes", async () => {
    const name = "model.layers.1.self_attn.q_proj.weight";
    const failure = build({}, (tensors) =>
      copy(tensors, "model.layers.1.self_attn.k_proj.weight", name, { name }),
    );
    await expect(failure).rejects.toThrow(InvalidModelError);
    await expect(failure).rejects.toThrow(
      `tiny, tensor ${name}: the shape does not fit, got "[32, 64]", expected [64, 64].`,
    );
  });

  it("names a tensor of a dtype that weights do not have", async () => {
    const name = "model.norm.weight";
    const failure = build({}, (tensors) => copy(tensors, name, name, { dtype: "int8" }));
    await expect(failure).rejects.toThrow(
      `tiny, tensor ${name}: the dtype is not a weight's, got "int8", expected float32, float16 or bfloat16.`,
    );
  });

  it.each([
    ["llama", "model.layers.2.mlp.up_proj.weight"],
    ["llama", "model.layers.0.self_attn.q_proj.bias"],
    ["llama", "model.layers.0.self_attn.q_norm.weight"],
    ["qwen2", "model.layers.0.self_attn.o_proj.bias"],
    ["llama", "vision.weight"],
  ] as const)("names a tensor that a %s has no place for: %s", async (modelType, name) => {
    const failure = build({ modelType }, (tensors) => copy(tensors, "model.norm.weight", name));
    await expect(failure).rejects.toThrow(InvalidModelError);
    await expect(failure).rejects.toThrow(
      `tiny: a tensor has no place in a ${modelType} checkpoint of this configuration, got ["${name}"].`,
    );
  });

  it("counts the tensors that it has no place for", async () => {
    const failure = build({ layerCount: 1 }, (tensors) => {
      for (const name of ["a", "b", "c"]) copy(tensors, "model.norm.weight", name);
    });
    await expect(failure).rejects.toThrow("tiny: 3 tensors have no place in a llama checkpoint");
    await expect(failure).rejects.toThrow('got ["a", "b", "c"].');
  });

  it("names the missing tensor when a checkpoint's names have another prefix", async () => {
    const failure = build({}, (tensors) => {
      for (const name of [...tensors.keys()]) rename(tensors, name, `language_model.${name}`);
    });
    await expect(failure).rejects.toThrow("tensor model.embed_tokens.weight: the tensor is missing");
  });
});
