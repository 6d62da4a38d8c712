/**
 * Holds models in float16 to the same models in float32. No GPU is at hand, so their graphs run where each node does
 * what a GPU would (the reference interpreter, which can sum in float16 as GPUs' kernels do), and in ONNX Runtime on
 * the CPU, which takes the same graphs, but multiplies in float32 between its own casts.
 */

import { describe, expect, it } from "vitest";
import { convertToGguf } from "../../test/support/gguf/gguf-model.ts";
import { writeGguf } from "../../test/support/gguf/gguf-writer.ts";
import { editTensors, loadTiny, logitsOf, tinyContext, tinyIds } from "../../test/support/tiny-sessions.ts";
import { UnsupportedError } from "../errors.ts";
import { collectBytes } from "../files/byte-source.ts";
import { type ModelFolder, memoryModelFolder } from "../files/model-folder.ts";
import type { Graph, Node } from "../graph/graph.ts";
import { verifyGraph } from "../graph/verify.ts";
import type { PolicyName } from "../memory/policy.ts";
import { createNodeRuntime } from "../runtime/node.ts";
import { createReferenceRuntime } from "../runtime/reference/interpreter.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { encodeBfloat16 } from "../tensor/half-float.ts";
import {
  createTinyAdapterFolder,
  createTinyModelFolder,
  type TinyModelOptions,
} from "../testing/tiny-model.ts";
import { type LoadOptions, loadModelOn, type Platform } from "./load-model.ts";
import type { Model } from "./model.ts";

/** Four commits of {@link tinyContext}. */
const stream = tinyIds(37 + 3 * 13 + 2);

const ortRuntime = (): Runtime => ({
  ...createNodeRuntime({ threads: 1 }),
  computesFloat16: async () => true,
});
const gpuLikeRuntime = (): Runtime => createReferenceRuntime({ halfSums: "float16" });

interface Kept {
  readonly graphs: Graph[];
  readonly keys: string[];
}

/** Loads in float16 on a runtime that takes it; `kept` sees graphs and what was held anew. */
function loadHalf(
  runtime: Runtime,
  folder: ModelFolder,
  policy: PolicyName = "paper",
  kept: Kept = { graphs: [], keys: [] },
): Promise<Model> {
  const platform: Platform = {
    openFolder: () => Promise.reject(new Error("tiny folders are open")),
    keepWeights(key, write) {
      kept.keys.push(key);
      return collectBytes(key, write());
    },
    createRuntime: async () => ({
      ...runtime,
      createSession(graph, signal) {
        kept.graphs.push(graph);
        return runtime.createSession(graph, signal);
      },
    }),
  };
  const options: LoadOptions = { dtype: "f16", policy, context: tinyContext };
  return loadModelOn(platform, folder, {
    ...options,
    ...(policy === "paper" && { adapter: createTinyAdapterFolder() }),
  });
}

async function read(loading: Promise<Model>): Promise<Float32Array> {
  await using model = await loading;
  const session = model.createSession();
  await session.append(stream);
  return logitsOf(session);
}

/** Returns the distance of two vectors over the length of the first. */
function relativeError(expected: Float32Array, got: Float32Array): number {
  const [difference, length] = [expected.map((value, index) => value - (got[index] ?? Number.NaN)), expected];
  return Math.hypot(...difference) / Math.hypot(...length);
}

const families = [
  "llama",
  "mistral",
  "qwen2",
  "qwen3",
  "smollm3",
  "olmo2",
  "granite",
  "phi3",
  "gemma3_text",
  "gpt_neox",
  "BlueLM",
  "gpt2",
] as const;

describe("weights in float16", () => {
  it.for(families)("give nearly the logits of float32 (%s)", async (modelType, { annotate }) => {
    const folder = createTinyModelFolder({ modelType });
    const policy = modelType === "gpt2" ? "full" : "streaming";
    const exact = await read(loadTiny(policy, { dtype: "f32" }, folder));
    const gpuLike = relativeError(exact, await read(loadHalf(gpuLikeRuntime(), folder, policy)));
    const onCpu = relativeError(exact, await read(loadHalf(ortRuntime(), folder, policy)));
    await annotate(`relative error ${gpuLike.toExponential(1)} and ${onCpu.toExponential(1)}`);
    // A product of 64 to 128 terms summed in float16 errs by 1.2e-3, fifteen follow one another: 2.1e-3 to 6.2e-3.
    expect(gpuLike).toBeLessThan(0.02);
    // Weights alone are rounded, by 2^-11 at most: 3.6e-4 to 1.4e-3.
    expect(onCpu).toBeLessThan(0.005);
    expect(onCpu).toBeGreaterThan(1e-5);
    expect(gpuLike).toBeGreaterThan(onCpu);
  });

  it("work behind a memory and its gate, through four commits and in pieces", async () => {
    const folder = createTinyModelFolder({ tied: false });
    const exact = await read(loadTiny("paper", { dtype: "f32" }, folder));
    await using float32 = await loadTiny("paper", { dtype: "f32" }, folder);
    for (const create of [gpuLikeRuntime, ortRuntime]) {
      await using model = await loadHalf(create(), folder);
      const [whole, pieces] = [model.createSession(), model.createSession()];
      await whole.append(stream);
      for (let start = 0; start < stream.length; start += 9)
        await pieces.append(stream.slice(start, start + 9));
      expect(whole.stats.commitCount).toBe(4);
      expect(relativeError(exact, logitsOf(whole))).toBeLessThan(0.02);
      expect(relativeError(exact, logitsOf(pieces))).toBeLessThan(0.02);
      expect(whole.stateBytes).toBe(float32.createSession().stateBytes);
    }
  });

  it("make states of their own: sessions do not pass from one form to another", async () => {
    await using exact = await loadTiny("streaming", { dtype: "f32" });
    await using half = await loadHalf(ortRuntime(), createTinyModelFolder(), "streaming");
    const session = half.createSession();
    await session.append(stream);
    const bytes = await session.save();
    expect((await half.restoreSession(bytes)).logits).toEqual(session.logits);
    await expect(exact.restoreSession(bytes)).rejects.toThrow(/another model/);
  });

  it.each(["q8_0", "f16", "bf16"] as const)("are made of a GGUF file of %s", async (type) => {
    const original = createTinyModelFolder({ hiddenSize: 256, mlpSize: 512, headSize: 32 });
    const { fields, tensors } = await convertToGguf(original, { type });
    const folder = memoryModelFolder("gguf", { "model.gguf": writeGguf(fields, tensors) });
    const exact = await read(loadTiny("streaming", { dtype: "f32" }, folder));
    expect(relativeError(exact, await read(loadHalf(ortRuntime(), folder, "streaming")))).toBeLessThan(0.005);
  });
});

/** Lists the nodes that multiply a constant of the checkpoint. */
function products({ nodes, initializers }: Graph): Node[] {
  const constants = new Set(initializers.map(({ value }) => value.name));
  return nodes.filter(
    ({ op, inputs }) => (op === "Gemm" || op === "MatMul") && constants.has(inputs[1]?.name ?? ""),
  );
}

async function graphOf(options: TinyModelOptions, policy: PolicyName = "streaming") {
  const kept: Kept = { graphs: [], keys: [] };
  await using model = await loadHalf(ortRuntime(), createTinyModelFolder(options), policy, kept);
  const [graph] = kept.graphs;
  if (graph === undefined) throw new Error("no graph");
  verifyGraph(graph);
  return { graph, keys: kept.keys, weightBytes: model.memoryEstimate.weightBytes };
}

describe("a graph in float16", () => {
  it("multiplies every matrix in float16, once for those of one input, and everything else in float32", async () => {
    const { graph, weightBytes } = await graphOf({ layerCount: 2 });
    // Query, key and value; output; gate and up; down; and the embedding, again as the output projection.
    expect(products(graph)).toHaveLength(4 * 2 + 1);
    expect(products(graph).map(({ inputs }) => inputs.map(({ dtype }) => dtype))).toEqual(
      Array.from({ length: 9 }, () => ["float16", "float16"]),
    );
    const half = [...graph.nodes].filter(({ outputs }) => outputs.some(({ dtype }) => dtype === "float16"));
    expect(new Set(half.map(({ op }) => op))).toEqual(new Set(["Gemm", "Cast", "Gather"]));
    expect(half.filter(({ op }) => op === "Cast")).toHaveLength(4 * 2 + 1);
    expect([...graph.inputs, ...graph.outputs].filter(({ dtype }) => dtype === "float16")).toEqual([]);
    const halves = graph.initializers.filter(({ value }) => value.dtype === "float16");
    const heldBytes = halves.reduce(
      (sum, { value }) => sum + 2 * value.shape.map(Number).reduce((a, b) => a * b),
      0,
    );
    // Five norms of 64 in float32 beside them.
    expect(weightBytes).toBe(heldBytes + 4 * 5 * 64);
  });

  it.each(["float32", "bfloat16"] as const)("has matrices of %s rounded once, and kept", async (dtype) => {
    const { keys } = await graphOf({ dtype });
    expect(keys).toEqual([expect.stringMatching(/^[0-9a-f]{64}-f16-v\d+$/)]);
  });

  it("takes matrices of float16 as they lie in the file", async () => {
    const { graph, keys, weightBytes } = await graphOf({ dtype: "float16", tied: false });
    expect(keys).toEqual([]);
    // Gate and up happen to lie behind one another; query, key and value do not.
    expect(products(graph)).toHaveLength(6 * 2 + 1);
    expect(products(graph).every(({ inputs }) => inputs[1]?.dtype === "float16")).toBe(true);
    const { weightBytes: ofBfloat16 } = await graphOf({ dtype: "bfloat16", tied: false });
    expect(weightBytes).toBe(ofBfloat16);
  });

  it("leaves the gate of an adapter in float32", async () => {
    const { graph } = await graphOf({}, "paper");
    const gates = graph.initializers.filter(({ value }) => value.name.includes("read_gate"));
    expect(gates.length).toBeGreaterThan(0);
    expect(gates.every(({ value }) => value.dtype === "float32")).toBe(true);
  });
});

describe("what float16 cannot hold", () => {
  const file = "model.safetensors";

  it.each(["float32", "bfloat16"] as const)("is refused as a weight, by its name (%s)", async (dtype) => {
    const name = "model.layers.1.mlp.up_proj.weight";
    const folder = await editTensors(createTinyModelFolder({ dtype }), file, (tensors) => {
      const { data } = tensors[name] ?? {};
      if (data instanceof Float32Array) data[70] = -65536;
      if (data instanceof Uint16Array) data.set(encodeBfloat16([-65536]), 70);
    });
    const loading = loadHalf(ortRuntime(), folder);
    await expect(loading).rejects.toBeInstanceOf(UnsupportedError);
    await expect(loading).rejects.toThrow(
      `tensor ${name}: float16 cannot hold a weight, got -65536, expected magnitudes up to 65504. Choose dtype "q8" or "f32".`,
    );
  });

  it("is refused as a product, and leaves the session as it was", async () => {
    // OLMo 2 multiplies the embedding itself: 64 times 60000 is beyond 65504, each weight is not.
    const tokenId = 7;
    const original = createTinyModelFolder({ modelType: "olmo2", tied: false });
    const folder = await editTensors(original, file, (tensors) => {
      const { data } = tensors["model.embed_tokens.weight"] ?? {};
      if (data instanceof Float32Array) data.fill(60000, 64 * tokenId, 64 * (tokenId + 1));
    });
    await using model = await loadHalf(gpuLikeRuntime(), folder, "streaming");
    const session = model.createSession();
    await session.append([5, 9]);
    const before = logitsOf(session).slice();
    // Not the last token: what it leaves behind is seen by those that follow.
    const failed = session.append([tokenId, 12, 13]);
    await expect(failed).rejects.toBeInstanceOf(UnsupportedError);
    await expect(failed).rejects.toThrow(
      /has left the range of float16.*Load it with dtype "q8" or "f32"\.$/,
    );
    expect(session.lengthTokens).toBe(2);
    expect(session.logits).toEqual(before);
    await session.append([12, 13]);
    const fresh = model.createSession();
    await fresh.append([5, 9, 12, 13]);
    expect(logitsOf(session)).toEqual(logitsOf(fresh));
  });
});

describe("a device that does not multiply in float16", () => {
  it("is refused before weights are touched, with what it lacks", async () => {
    const loading = loadTiny("streaming", { dtype: "f16" });
    await expect(loading).rejects.toBeInstanceOf(UnsupportedError);
    await expect(loading).rejects.toThrow(
      'dtype: onnxruntime-node cpu does not multiply in float16, got "f16", expected device "webgpu" on a GPU with shader-f16. Choose dtype "q8" or "f32".',
    );
  });
});
