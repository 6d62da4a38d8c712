import { describe, expect, it } from "vitest";
import { memoryModelFolder } from "../files/model-folder.ts";
import { readTensor } from "../files/safetensors.ts";
import { type AdapterDesign, openAdapter } from "../memory/adapter.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { makeAdapterFiles } from "./adapter-files.ts";

const context = { sinkTokens: 4, slotTokens: 8, windowTokens: 64, segmentTokens: 32 };
const weight = hostTensor("float32", [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6));
const tensors = new Map([["layers.0.read_gate.down.weight", weight]]);

const plain = {
  readGateRank: 2,
  writeGateRank: undefined,
  featureCount: undefined,
  fusion: "convex",
} as const;
const learned = { readGateRank: 2, writeGateRank: 3, featureCount: 5, fusion: "shared-normalizer" } as const;

const designs: readonly AdapterDesign[] = [
  { variant: "paper", linearMemory: plain },
  { variant: "infini", linearMemory: { updateRule: "linear" } },
  { variant: "infini", linearMemory: { updateRule: "delta" } },
  { variant: "plus", retentionRank: 16, slotBiasRank: undefined, linearMemory: plain },
  { variant: "plus", retentionRank: 16, slotBiasRank: 4, linearMemory: learned },
  { variant: "plus", retentionRank: 16, slotBiasRank: 4, linearMemory: undefined },
];

describe("makeAdapterFiles", () => {
  it.each(designs)("writes what openAdapter reads: %j", async (design) => {
    const files = makeAdapterFiles({ baseModel: "org/base", design, context, tensors });
    const adapter = await openAdapter(memoryModelFolder("adapter", Object.fromEntries(files)));
    expect(adapter.baseModel).toBe("org/base");
    expect(adapter.design).toEqual(design);
    expect(adapter.context).toEqual(context);
    const [entry] = adapter.tensors.values();
    if (entry === undefined) throw new Error("there is no tensor");
    expect(entry.name).toBe("layers.0.read_gate.down.weight");
    expect(await readTensor(entry)).toEqual(weight);
    await adapter.close();
  });

  it("names the configuration last, so that a folder with it is whole", () => {
    const [design] = designs;
    if (design === undefined) throw new Error("there is no design");
    const names = [...makeAdapterFiles({ baseModel: "b", design, context, tensors }).keys()];
    expect(names).toEqual(["adapter_model.safetensors", "adapter_config.json"]);
  });
});
