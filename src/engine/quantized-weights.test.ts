import { describe, expect, it } from "vitest";
import { collectBytes, memoryByteSource } from "../files/byte-source.ts";
import { openCheckpointWeights } from "../files/checkpoint-files.ts";
import { parseSafetensorsHeader, readTensor } from "../files/safetensors.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import { heldBytes, openHeldWeights, streamHeldWeights } from "./held-weights.ts";
import { quantizedFormats, quantizeWeights } from "./quantized-weights.ts";

async function quantize(dtype: "q8" | "q4", hiddenSize = 64) {
  const folder = createTinyModelFolder({ hiddenSize, mlpSize: 80, dtype: "bfloat16" });
  const { tensors } = await openCheckpointWeights(folder);
  const format = quantizedFormats[dtype];
  const progress: [number, number][] = [];
  const onProgress = (done: number, total: number): unknown => progress.push([done, total]);
  const held = quantizeWeights(tensors, format);
  const source = await collectBytes("tiny", streamHeldWeights(held, { fused: [], onProgress }));
  return { tensors, format, progress, source, held };
}

describe("quantizeWeights", () => {
  for (const dtype of ["q8", "q4"] as const) {
    it(`writes matrices of whole blocks as ${dtype}, and everything else as float32`, async () => {
      const { tensors, source, held } = await quantize(dtype);
      const opened = await openHeldWeights(source, held);
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
    const { progress, source, tensors, held } = await quantize("q4");
    expect(progress).toHaveLength(tensors.size);
    expect(progress.at(-1)).toEqual([source.sizeBytes, source.sizeBytes]);
    const estimated = held.reduce((sum, weight) => sum + heldBytes(weight), 0);
    const head = (progress[0]?.[0] ?? 0) - heldBytes(held[0] ?? fail());
    expect(source.sizeBytes).toBe(estimated + head);
  });

  it("ends on abort", async () => {
    const { tensors } = await openCheckpointWeights(createTinyModelFolder());
    const held = quantizeWeights(tensors, quantizedFormats.q8);
    const stream = streamHeldWeights(held, { fused: [], signal: AbortSignal.abort() });
    await expect(collectBytes("tiny", stream)).rejects.toThrow(/abort/);
  });
});

function fail(): never {
  throw new Error("no tensors");
}

describe("openHeldWeights", () => {
  it("refuses a file that is not whole", async () => {
    const { source, held } = await quantize("q8");
    const half = await source.read(0, Math.floor(source.sizeBytes / 2));
    await expect(openHeldWeights(memoryByteSource("half", half), held)).rejects.toThrow(/half/);
  });

  it("refuses a file of another checkpoint", async () => {
    const { source } = await quantize("q8");
    const { held } = await quantize("q8", 96);
    await expect(openHeldWeights(source, held)).rejects.toThrow(/do not fit the checkpoint/);
  });
});
