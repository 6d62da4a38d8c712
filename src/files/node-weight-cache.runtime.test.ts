import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hostTensor } from "../tensor/host-tensor.ts";
import { keepWeights, weightCacheDir } from "./node-weight-cache.ts";
import { writeSafetensors } from "./safetensors-writer.ts";

let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "edgeinfinite-cache-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

const bytes = writeSafetensors({ w: hostTensor("float32", [2], Float32Array.of(1, 2)) });

/** Counts how often the weights are made. */
function makeWriter(delayMs = 0) {
  const writer = {
    count: 0,
    async *write() {
      writer.count += 1;
      yield bytes.subarray(0, 10);
      await new Promise((done) => setTimeout(done, delayMs));
      yield bytes.subarray(10);
    },
  };
  return writer;
}

async function keep(write: () => AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Uint8Array> {
  const source = await keepWeights("key", write, { EDGEINFINITE_CACHE: folder }, signal);
  const read = await source.read(0, source.sizeBytes);
  await source.close();
  return read;
}

describe("weightCacheDir", () => {
  it("lies beside the hub cache, or where the environment says", () => {
    expect(weightCacheDir({ HF_HOME: "/data/hf" })).toBe("/data/hf/edgeinfinite");
    expect(weightCacheDir({ HF_HUB_CACHE: "/data/hub" })).toBe("/data/edgeinfinite");
    expect(weightCacheDir({ EDGEINFINITE_CACHE: "/other" })).toBe("/other");
  });
});

describe("keepWeights", () => {
  it("writes once and then finds what it wrote", async () => {
    const writer = makeWriter();
    expect(await keep(writer.write)).toEqual(new Uint8Array(bytes));
    expect(await keep(writer.write)).toEqual(new Uint8Array(bytes));
    expect(writer.count).toBe(1);
    expect(await readdir(folder)).toEqual(["key.safetensors"]);
  });

  it("writes once when two ask at the same time", async () => {
    const writer = makeWriter(50);
    await Promise.all([keep(writer.write), keep(writer.write)]);
    expect(writer.count).toBe(1);
  });

  it("writes anew over a damaged file", async () => {
    await writeFile(join(folder, "key.safetensors"), bytes.subarray(0, 20));
    const writer = makeWriter();
    expect(await keep(writer.write)).toEqual(new Uint8Array(bytes));
    expect(writer.count).toBe(1);
  });

  it("leaves nothing behind when the writing fails", async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 10);
      throw new Error("no more");
    }
    await expect(keep(failing)).rejects.toThrow("no more");
    expect(await readdir(folder)).toEqual([]);
  });

  it("says so when the folder cannot be made", async () => {
    const file = join(folder, "file");
    await writeFile(file, "");
    const kept = keepWeights("key", makeWriter().write, { EDGEINFINITE_CACHE: join(file, "sub") });
    await expect(kept).rejects.toMatchObject({ code: "file" });
  });
});
