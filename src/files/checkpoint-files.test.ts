import { describe, expect, it } from "vitest";
import { hostTensor } from "../tensor/host-tensor.ts";
import { openCheckpointWeights, parseWeightIndex } from "./checkpoint-files.ts";
import { type ModelFolder, memoryModelFolder } from "./model-folder.ts";
import { readTensor } from "./safetensors.ts";
import { writeSafetensors } from "./safetensors-writer.ts";

function tensor(value: number): ReturnType<typeof hostTensor<"float32">> {
  return hostTensor("float32", [1], Float32Array.of(value));
}

const first = writeSafetensors({ a: tensor(1), b: tensor(2) });
const second = writeSafetensors({ c: tensor(3) });
const weightMap = { a: "model-1.safetensors", b: "model-1.safetensors", c: "model-2.safetensors" };

function sharded(map: unknown, extra: Record<string, Uint8Array | string> = {}): ModelFolder {
  return memoryModelFolder("m", {
    "model.safetensors.index.json": JSON.stringify({ metadata: { total_size: 12 }, weight_map: map }),
    "model-1.safetensors": first,
    "model-2.safetensors": second,
    ...extra,
  });
}

describe("openCheckpointWeights", () => {
  it("opens a single file", async () => {
    const weights = await openCheckpointWeights(memoryModelFolder("m", { "model.safetensors": first }));
    expect([...weights.tensors.keys()]).toEqual(["a", "b"]);
    await weights.close();
  });

  it("merges shards, each tensor with its own file", async () => {
    const weights = await openCheckpointWeights(sharded(weightMap));
    expect([...weights.tensors.keys()].sort()).toEqual(["a", "b", "c"]);
    const entry = weights.tensors.get("c");
    if (entry === undefined) throw new Error("no c");
    expect(entry.source.name).toBe("m/model-2.safetensors");
    expect((await readTensor(entry)).data).toEqual(Float32Array.of(3));
  });

  it("prefers the single file over an index", async () => {
    const weights = await openCheckpointWeights(sharded(weightMap, { "model.safetensors": second }));
    expect([...weights.tensors.keys()]).toEqual(["c"]);
  });

  it("closes every file, also when a later one is refused", async () => {
    const counted = (inner: ModelFolder) => {
      let open = 0;
      const folder: ModelFolder = {
        ...inner,
        async open(file) {
          const source = await inner.open(file);
          open++;
          return {
            ...source,
            async close() {
              open--;
            },
          };
        },
      };
      return { folder, count: () => open };
    };
    const good = counted(sharded(weightMap));
    const weights = await openCheckpointWeights(good.folder);
    expect(good.count()).toBe(2);
    await weights[Symbol.asyncDispose]();
    expect(good.count()).toBe(0);
    const bad = counted(sharded(weightMap, { "model-2.safetensors": "short" }));
    await expect(openCheckpointWeights(bad.folder)).rejects.toThrow(/m\/model-2\.safetensors/);
    expect(bad.count()).toBe(0);
  });

  it("refuses a missing shard", async () => {
    await expect(
      openCheckpointWeights(sharded({ ...weightMap, d: "model-3.safetensors" })),
    ).rejects.toMatchObject({
      code: "file",
      message: expect.stringMatching(/m: a shard of the checkpoint is missing.*model-3\.safetensors/),
    });
  });

  it("refuses a tensor that is in no shard or in another one", async () => {
    await expect(openCheckpointWeights(sharded({ ...weightMap, d: "model-2.safetensors" }))).rejects.toThrow(
      /tensor "d" is not in the shard.*no such tensor.*expected model-2/,
    );
    await expect(openCheckpointWeights(sharded({ ...weightMap, b: "model-2.safetensors" }))).rejects.toThrow(
      /tensor "b" is not in the shard.*got "model-1\.safetensors", expected model-2/,
    );
  });

  it("refuses a tensor that is in two shards", async () => {
    const again = writeSafetensors({ c: tensor(3), a: tensor(9) });
    await expect(openCheckpointWeights(sharded(weightMap, { "model-2.safetensors": again }))).rejects.toThrow(
      /tensor "a" is in two shards, got \["model-1.safetensors", "model-2.safetensors"\]/,
    );
  });

  it("says what to do without weights, and about PyTorch's own files", async () => {
    await expect(openCheckpointWeights(memoryModelFolder("m", {}))).rejects.toThrow(
      /m: the folder has no weights .* expected model\.safetensors or/,
    );
    await expect(openCheckpointWeights(memoryModelFolder("m", { "pytorch_model.bin": "x" }))).rejects.toThrow(
      /Convert it to safetensors/,
    );
  });
});

describe("parseWeightIndex", () => {
  it.each([
    ["no object", 3],
    ["no weight_map", {}],
    ["a list", { weight_map: [] }],
    ["no shards", { weight_map: {} }],
    ["a climbing name", { weight_map: { a: "../x.safetensors" } }],
    ["an absolute name", { weight_map: { a: "/x.safetensors" } }],
    ["a number", { weight_map: { a: 1 } }],
    ["another kind of file", { weight_map: { a: "pytorch_model.bin" } }],
  ])("refuses %s", (_case, content) => {
    expect(() => parseWeightIndex("index", content)).toThrow(/^index: /);
  });
});
