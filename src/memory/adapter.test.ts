import { describe, expect, it } from "vitest";
import { tinyGeometry } from "../../test/support/tiny-geometry.ts";
import { FileError, InvalidModelError, UnsupportedError } from "../errors.ts";
import { type ModelFolder, memoryModelFolder } from "../files/model-folder.ts";
import { writeSafetensors } from "../files/safetensors-writer.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { zeros } from "../tensor/host-tensor.ts";
import { createTinyAdapterFolder } from "../testing/tiny-model.ts";
import { openAdapter } from "./adapter.ts";
import { createPolicy } from "./policies.ts";

const config = {
  peft_type: "EDGEINFINITE",
  variant: "paper",
  base_model_name_or_path: "some/model",
  read_gate_rank: 3,
  feature_map: "elu1",
  fusion: "convex",
};

const paperMemory = {
  readGateRank: 3,
  writeGateRank: undefined,
  featureCount: undefined,
  fusion: "convex",
} as const;

const gateShapes: Readonly<Record<string, readonly number[]>> = {
  "down.weight": [3, 16],
  "down.bias": [3],
  "up.weight": [4, 3],
  "up.bias": [4],
};

/** Lists the tensors of an adapter for two layers, four heads of four. */
function adapterShapes(): Record<string, readonly number[]> {
  const entries = [0, 1].flatMap((layer) =>
    Object.entries(gateShapes).map(([name, shape]) => [`layers.${layer}.read_gate.${name}`, shape] as const),
  );
  return Object.fromEntries(entries);
}

function folderOf(
  fields: Readonly<Record<string, unknown>> = {},
  shapes: Readonly<Record<string, readonly number[] | undefined>> = {},
): ModelFolder {
  const all = Object.entries({ ...adapterShapes(), ...shapes });
  const tensors = all.flatMap(([name, shape]) =>
    shape === undefined ? [] : [[name, zeros("float32", shape)] as const],
  );
  return memoryModelFolder("gate", {
    "adapter_config.json": JSON.stringify({ ...config, ...fields }),
    "adapter_model.safetensors": writeSafetensors(Object.fromEntries(tensors)),
  });
}

describe("openAdapter", () => {
  it("reads what the adapter is", async () => {
    const adapter = await openAdapter(folderOf({ sink_tokens: 0, window_tokens: 64, segment_tokens: 32 }));
    expect(adapter).toMatchObject({
      name: "gate",
      baseModel: "some/model",
      design: { variant: "paper", linearMemory: paperMemory },
      context: { sinkTokens: 0, windowTokens: 64, segmentTokens: 32 },
    });
    expect([...adapter.tensors.keys()].sort()).toEqual(Object.keys(adapterShapes()).sort());
    await adapter.close();
  });

  it("reads how layers share slots, and refuses them beside a linear memory", async () => {
    const open = async (fields: Readonly<Record<string, unknown>>) =>
      (await openAdapter(folderOf({ variant: "plus", slot_shares: [1, 3], ...fields }))).design;
    expect(await open({ linear_memory: false })).toMatchObject({ slotShares: [1, 3] });
    await expect(open({})).rejects.toThrow(UnsupportedError);
    await expect(open({})).rejects.toThrow(/slot_shares beside a linear memory/);
    await expect(open({ linear_memory: false, slot_shares: [1, 0] })).rejects.toThrow(InvalidModelError);
  });

  it("reads how many tokens a score is pooled over: an odd number", async () => {
    const open = async (score_kernel: unknown) =>
      (await openAdapter(folderOf({ variant: "plus", score_kernel }))).design;
    expect(await open(5)).toMatchObject({ scoreKernel: 5 });
    expect(await open(1)).toMatchObject({ scoreKernel: undefined });
    for (const wrong of [0, 4, 2.5, 257, "3"])
      await expect(open(wrong)).rejects.toThrow(/field score_kernel/);
  });

  it("reads which networks an adapter of variant plus has", async () => {
    const design = async (fields: Readonly<Record<string, unknown>>) =>
      (await openAdapter(folderOf({ variant: "plus", ...fields }))).design;
    expect(await design({})).toEqual({
      variant: "plus",
      retentionRank: 32,
      slotBiasRank: undefined,
      linearMemory: paperMemory,
    });
    expect(await design({ linear_memory: false, read_gate_rank: undefined, retention_rank: 7 })).toEqual({
      variant: "plus",
      retentionRank: 7,
      slotBiasRank: undefined,
      linearMemory: undefined,
    });
    const learned = { feature_map: "learned", feature_count: 9, fusion: "shared-normalizer" };
    expect(await design({ ...learned, slot_bias: true, write_gate: true })).toEqual({
      variant: "plus",
      retentionRank: 32,
      slotBiasRank: 8,
      linearMemory: { readGateRank: 3, writeGateRank: 16, featureCount: 9, fusion: "shared-normalizer" },
    });
    expect(
      await design({ slot_bias: true, slot_bias_rank: 2, write_gate: true, write_gate_rank: 4 }),
    ).toEqual({
      variant: "plus",
      retentionRank: 32,
      slotBiasRank: 2,
      linearMemory: { ...paperMemory, writeGateRank: 4 },
    });
  });

  it("reads by which rule the memory of an adapter of variant infini takes in what leaves", async () => {
    const design = async (fields: Readonly<Record<string, unknown>>) =>
      (await openAdapter(folderOf({ variant: "infini", read_gate_rank: undefined, ...fields }))).design;
    expect(await design({})).toEqual({ variant: "infini", linearMemory: { updateRule: "linear" } });
    const delta = { variant: "infini", linearMemory: { updateRule: "delta" } };
    expect(await design({ update_rule: "delta" })).toEqual(delta);
    await expect(design({ update_rule: "gated" })).rejects.toThrow(
      'this version does not run update_rule, got "gated", expected linear or delta.',
    );
  });

  it("says nothing of settings that the adapter does not say", async () => {
    expect((await openAdapter(folderOf())).context).toEqual({});
    expect((await openAdapter(createTinyAdapterFolder())).context).toEqual({});
    expect((await openAdapter(createTinyAdapterFolder({ context: { slotTokens: 8 } }))).context).toEqual({
      slotTokens: 8,
    });
  });

  it("has the paper's feature map and fusion where none is named", async () => {
    const adapter = await openAdapter(folderOf({ feature_map: undefined, fusion: undefined }));
    expect(adapter.design).toEqual({ variant: "paper", linearMemory: paperMemory });
  });

  it.each([
    ["variant", "minus", "paper or infini or plus"],
    ["feature_map", "learned", "elu1"],
    ["fusion", "shared-normalizer", "convex"],
    ["update_rule", "delta", "linear"],
  ])("refuses %s %o by name", async (field, value, known) => {
    const failure = openAdapter(folderOf({ [field]: value }));
    await expect(failure).rejects.toThrow(UnsupportedError);
    await expect(failure).rejects.toThrow(
      `gate/adapter_config.json: this version does not run ${field}, got "${value}", expected ${known}.`,
    );
  });

  it.each([
    ["peft_type", undefined],
    ["peft_type", "LORA"],
    ["variant", undefined],
    ["read_gate_rank", undefined],
    ["read_gate_rank", 0],
    ["read_gate_rank", 2.5],
    ["read_gate_rank", 1e6],
    ["retention_rank", 0],
    ["linear_memory", "yes"],
    ["slot_bias", 1],
    ["write_gate_rank", -1],
    ["feature_count", 0.5],
    ["window_tokens", -1],
    ["segment_tokens", "32"],
  ])("refuses %s of %o, naming it", async (field, value) => {
    const failure = openAdapter(folderOf({ [field]: value }));
    await expect(failure).rejects.toThrow(InvalidModelError);
    await expect(failure).rejects.toThrow(`gate/adapter_config.json: field ${field}: `);
  });

  it("refuses learned features whose number is not told, and those of plus that nobody knows", async () => {
    const missing = openAdapter(folderOf({ variant: "plus", feature_map: "learned" }));
    await expect(missing).rejects.toThrow("gate/adapter_config.json: field feature_count: is missing");
    const other = openAdapter(folderOf({ variant: "plus", feature_map: "fourier" }));
    await expect(other).rejects.toThrow('does not run feature_map, got "fourier", expected elu1 or learned.');
    const sum = openAdapter(folderOf({ variant: "plus", fusion: "sum" }));
    await expect(sum).rejects.toThrow('fusion, got "sum", expected convex or shared-normalizer.');
  });

  it("refuses a folder that lacks a file, or whose file is damaged", async () => {
    await expect(openAdapter(memoryModelFolder("gate", {}))).rejects.toThrow(FileError);
    const json = JSON.stringify(config);
    const half = memoryModelFolder("gate", { "adapter_config.json": json });
    await expect(openAdapter(half)).rejects.toThrow("adapter_model.safetensors");
    const torn = memoryModelFolder("gate", {
      "adapter_config.json": json,
      "adapter_model.safetensors": writeSafetensors({ a: zeros("float32", [8]) }).subarray(0, -1),
    });
    await expect(openAdapter(torn)).rejects.toThrow(InvalidModelError);
    const text = memoryModelFolder("gate", { "adapter_config.json": "[" });
    await expect(openAdapter(text)).rejects.toThrow("gate/adapter_config.json: the file is not JSON");
  });
});

/** Writes the attention of a model with an adapter, as a model family does. */
async function write(folder: ModelFolder): Promise<void> {
  const geometry = tinyGeometry({ layerCount: 2, queryHeadCount: 4, keyValueHeadCount: 2, headSize: 4 });
  const adapter = await openAdapter(folder);
  const slotTokens = adapter.design.variant === "plus" ? 2 : 0;
  const context = { sinkTokens: 1, slotTokens, windowTokens: 3, segmentTokens: 2 };
  const policy = createPolicy(adapter.design.variant, { geometry, context, adapter });
  const b = new GraphBuilder("inference");
  const query = b.input("query", "float32", ["T", 4, 4]);
  const key = b.input("key", "float32", ["T", 2, 4]);
  const value = b.input("value", "float32", ["T", 2, 4]);
  const hidden = b.input("hidden", "float32", ["T", 6]);
  const writer = policy.beginAttention(b);
  for (const layer of [0, 1]) writer.attend(layer, { query, key, value, hidden });
  writer.finish();
  policy.buildCommitGraph();
}

const plusShapes: Readonly<Record<string, readonly number[]>> = {
  ...Object.fromEntries(
    ["retention", "slot_bias", "write_gate"].flatMap((name) => [
      [`${name}.down.weight`, [5, 6]],
      [`${name}.down.bias`, [5]],
      [`${name}.up.weight`, [2, 5]],
      [`${name}.up.bias`, [2]],
    ]),
  ),
  "slot_bias.head.bias": [4],
  "feature_map.query.weight": [2, 7, 4],
  "feature_map.key.weight": [2, 7, 4],
};
const readGateShapes = Object.fromEntries(
  Object.entries(gateShapes).map(([name, shape]) => [`read_gate.${name}`, shape]),
);

/** Makes an adapter of a variant for two layers, with other shapes of some tensors, or without them. */
function adapterOf(
  variant: "paper" | "plus",
  shapes: Readonly<Record<string, readonly number[] | undefined>> = {},
): ModelFolder {
  const own = variant === "plus" ? Object.entries(plusShapes) : [];
  const layers = [0, 1].flatMap((layer) =>
    own.map(([name, shape]) => [`layers.${layer}.${name}`, shape] as const),
  );
  const plus = {
    retention_rank: 5,
    slot_bias: true,
    slot_bias_rank: 5,
    write_gate: true,
    write_gate_rank: 5,
    feature_map: "learned",
    feature_count: 7,
    fusion: "shared-normalizer",
  };
  return folderOf({ variant, ...(variant === "plus" && plus) }, { ...Object.fromEntries(layers), ...shapes });
}

const tensorsOf = { paper: readGateShapes, plus: { ...readGateShapes, ...plusShapes } } as const;

describe.each(["paper", "plus"] as const)("an adapter of variant %s and its checkpoint", (variant) => {
  it("fit when every tensor has its shape", async () => {
    await write(adapterOf(variant));
  });

  it.each(Object.entries(tensorsOf[variant]))(
    "do not fit without %s: its name and shape are told",
    async (name, shape) => {
      const tensor = `layers.1.${name}`;
      const failure = write(adapterOf(variant, { [tensor]: undefined }));
      await expect(failure).rejects.toThrow(InvalidModelError);
      await expect(failure).rejects.toThrow(
        `adapter gate, tensor ${tensor}: the tensor is missing, expected shape [${shape.join(", ")}].`,
      );
    },
  );

  it.each(Object.entries(tensorsOf[variant]))(
    "do not fit when %s has another shape: both are told",
    async (name, shape) => {
      const tensor = `layers.0.${name}`;
      const other = shape.map((extent) => extent + 1);
      const failure = write(adapterOf(variant, { [tensor]: other }));
      await expect(failure).rejects.toThrow(InvalidModelError);
      await expect(failure).rejects.toThrow(
        `adapter gate, tensor ${tensor}: the shape does not fit, got "[${other.join(", ")}]", expected [${shape.join(", ")}].`,
      );
    },
  );

  it.each(["layers.2.read_gate.up.bias", "layers.0.other_gate.up.bias", "extra"])(
    "do not fit when the adapter has %s beyond them",
    async (tensor) => {
      const failure = write(adapterOf(variant, { [tensor]: [4] }));
      await expect(failure).rejects.toThrow(InvalidModelError);
      await expect(failure).rejects.toThrow(
        `adapter gate: a tensor has no place in this checkpoint, got "${tensor}". The adapter was probably trained for another model.`,
      );
    },
  );
});
