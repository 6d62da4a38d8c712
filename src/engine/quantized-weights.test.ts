import { describe, expect, it } from "vitest";
import { collectBytes, memoryByteSource } from "../files/byte-source.ts";
import { openCheckpointWeights } from "../files/checkpoint-files.ts";
import { parseSafetensorsHeader, readTensor } from "../files/safetensors.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import {
  openQuantizedWeights,
  quantizedBytes,
  quantizedFormats,
  streamQuantizedWeights,
} from "./quantized-weights.ts";

async function quantize(dtype: "q8" | "q4", hiddenSize = 64) {
  const folder = createTinyModelFolder({ hiddenSize, mlpSize: 80, dtype: "bfloat16" });
  const { tensors } = await openCheckpointWeights(folder);
  const format = quantizedFormats[dtype];
  const progress: [number, number][] = [];
  const report = (done: number, total: number): unknown => progress.push([done, total]);
  const source = await collectBytes("tiny", streamQuantizedWeights(tensors, format, report));
  return { tensors, format, progress, source };
}

describe("streamQuantizedWeights", () => {
  for (const dtype of ["q8", "q4"] as const) {
    it(`writes matrices of whole blocks as ${dtype}, and everything else as float32`, async () => {
      const { tensors, source, format } = await quantize(dtype);
      const opened = await openQuantizedWeights(source, tensors, format);
      expect([...opened.keys()]).toEqual([...tensors.keys()]);
      const kinds = new Map(
        [...opened].map(([name, entry]) => [name, "format" in entry ? "blocks" : entry.dtype]),
      );
      expect(kinds.get("model.layers.0.self_attn.q_proj.weight")).toBe("blocks");
      expect(kinds.get("model.embed_tokens.weight")).toBe("blocks");
      expect(kinds.get("model.norm.weight")).toBe("float32");
      // 80 columns are no whole blocks of 32.
      expect(kinds.get("model.layers.0.mlp.down_proj.weight")).toBe("float32");
    });
  }

  it("keeps a matrix to half a step of its blocks", async () => {
    const { tensors, source, format } = await quantize("q8");
    const name = "model.layers.1.mlp.up_proj.weight";
    const original = tensors.get(name);
    const stored = (await parseSafetensorsHeader(source)).tensors;
    const [blocks, scales] = [stored.get(`${name}:blocks`), stored.get(`${name}:scales`)];
    if (original === undefined || blocks === undefined || scales === undefined) throw new Error("missing");
    const quanta = (await readTensor(blocks)).data as Uint8Array;
    const steps = (await readTensor(scales)).data as Float32Array;
    const bits = new Uint32Array(
      Array.from((await readTensor(original)).data as Uint16Array, (half) => half << 16),
    );
    const values = new Float32Array(bits.buffer);
    expect(quanta.length).toBe(values.length);
    for (const [index, value] of values.entries()) {
      const step = steps[Math.floor(index / format.blockSize)] ?? Number.NaN;
      expect(Math.abs(((quanta[index] ?? 0) - 128) * step - value)).toBeLessThanOrEqual(0.5001 * step);
    }
  });

  it("tells its progress up to the length of the file, which is what was estimated", async () => {
    const { progress, source, tensors, format } = await quantize("q4");
    expect(progress).toHaveLength(tensors.size);
    expect(progress.at(-1)).toEqual([source.sizeBytes, source.sizeBytes]);
    const estimated = [...tensors.values()].reduce((sum, entry) => sum + quantizedBytes(entry, format), 0);
    const head = (progress[0]?.[0] ?? 0) - quantizedBytes([...tensors.values()][0] ?? fail(), format);
    expect(source.sizeBytes).toBe(estimated + head);
  });

  it("ends on abort", async () => {
    const { tensors } = await openCheckpointWeights(createTinyModelFolder());
    const stream = streamQuantizedWeights(tensors, quantizedFormats.q8, undefined, AbortSignal.abort());
    await expect(collectBytes("tiny", stream)).rejects.toThrow(/abort/);
  });
});

function fail(): never {
  throw new Error("no tensors");
}

describe("openQuantizedWeights", () => {
  it("refuses a file that is not whole", async () => {
    const { tensors, source, format } = await quantize("q8");
    const half = await source.read(0, Math.floor(source.sizeBytes / 2));
    await expect(openQuantizedWeights(memoryByteSource("half", half), tensors, format)).rejects.toThrow(
      /half/,
    );
  });

  it("refuses a file of another checkpoint", async () => {
    const { source, format } = await quantize("q8");
    const { tensors } = await quantize("q8", 96);
    await expect(openQuantizedWeights(source, tensors, format)).rejects.toThrow(/do not fit the checkpoint/);
  });
});
