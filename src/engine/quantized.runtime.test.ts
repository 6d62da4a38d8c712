import { mkdtemp, readdir, rm, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { editTensors, loadTiny } from "../../test/support/tiny-sessions.ts";
import type { PolicyName } from "../memory/policy.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { createTinyModelFolder, type TinyModelOptions } from "../testing/tiny-model.ts";
import type { WeightDType } from "./memory-estimate.ts";

let cache = "";
let before: string | undefined;

beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), "edgeinfinite-weights-"));
  before = process.env.EDGEINFINITE_CACHE;
  process.env.EDGEINFINITE_CACHE = cache;
});

afterAll(async () => {
  if (before === undefined) delete process.env.EDGEINFINITE_CACHE;
  else process.env.EDGEINFINITE_CACHE = before;
  await rm(cache, { recursive: true });
});

const stream = Array.from({ length: 90 }, (_, index) => 2 + ((index * 37) % 250));

async function logitsOf(
  dtype: WeightDType,
  options: TinyModelOptions = {},
  policy: PolicyName = "paper",
): Promise<Float32Array> {
  await using model = await loadTiny(policy, { dtype }, createTinyModelFolder(options));
  const session = model.createSession();
  await session.append(stream);
  return session.logits ?? new Float32Array();
}

/** Returns the distance of two vectors over the length of the first. */
function relativeError(expected: Float32Array, got: Float32Array): number {
  let [difference, length] = [0, 0];
  for (const [index, value] of expected.entries()) {
    difference += (value - (got[index] ?? Number.NaN)) ** 2;
    length += value ** 2;
  }
  return Math.sqrt(difference / length);
}

describe("quantised weights", () => {
  for (const modelType of ["llama", "qwen2", "qwen3"] as const) {
    it(`of a ${modelType} give nearly the same logits, the nearer the more bits`, async () => {
      const exact = await logitsOf("f32", { modelType });
      const [q8, q4] = [await logitsOf("q8", { modelType }), await logitsOf("q4", { modelType })];
      // Weights of 8 bits err by 1/256 of their block, activations as much (measured in all: 0.02 to 0.032);
      // with 4 bits it is 16 times that for the weights.
      expect(relativeError(exact, q8)).toBeLessThan(0.05);
      expect(relativeError(exact, q8)).toBeGreaterThan(0);
      expect(relativeError(exact, q4)).toBeLessThan(0.4);
      expect(relativeError(exact, q4)).toBeGreaterThan(relativeError(exact, q8));
    });
  }

  it.each(["smollm3", "olmo2", "granite", "phi3", "gemma3_text", "gpt_neox", "BlueLM"] as const)(
    "of a %s give nearly the same logits",
    async (modelType) => {
      const exact = await logitsOf("f32", { modelType }, "streaming");
      expect(relativeError(exact, await logitsOf("q8", { modelType }, "streaming"))).toBeLessThan(0.05);
    },
  );

  it("leave out buffers that are no weights, as older checkpoints of gpt_neox have them", async () => {
    const plain = createTinyModelFolder({ modelType: "gpt_neox" });
    const folder = await editTensors(plain, "model.safetensors", (tensors) => {
      tensors["gpt_neox.layers.0.attention.bias"] = hostTensor(
        "bool",
        [1, 1, 2, 2],
        Uint8Array.of(1, 0, 1, 1),
      );
    });
    await using model = await loadTiny("streaming", { dtype: "q8" }, folder);
    const session = model.createSession();
    await session.append(stream);
    expect(session.logits).toEqual(await logitsOf("q8", { modelType: "gpt_neox" }, "streaming"));
  });

  it("work for an output projection of its own", async () => {
    const exact = await logitsOf("f32", { tied: false });
    expect(relativeError(exact, await logitsOf("q8", { tied: false }))).toBeLessThan(0.05);
  });

  it("are kept, used again, and made anew when the file is damaged", async () => {
    const options = { seed: 77 } satisfies TinyModelOptions;
    const files = await readdir(cache);
    const first = await logitsOf("q8", options);
    const added = (await readdir(cache)).filter((file) => !files.includes(file));
    expect(added).toHaveLength(1);
    const path = join(cache, added[0] ?? "");
    const { mtimeMs, size } = await stat(path);
    expect(await logitsOf("q8", options)).toEqual(first);
    expect((await stat(path)).mtimeMs).toBe(mtimeMs);
    await truncate(path, 1000);
    expect(await logitsOf("q8", options)).toEqual(first);
    expect((await stat(path)).size).toBe(size);
  });

  it("take the memory that was estimated: less than float32, the less the fewer bits", async () => {
    const bytes: number[] = [];
    for (const dtype of ["f32", "q8", "q4"] as const) {
      await using model = await loadTiny("streaming", { dtype });
      bytes.push(model.memoryEstimate.weightBytes);
    }
    const [f32 = 0, q8 = 0, q4 = 0] = bytes;
    expect(q8).toBeLessThan(0.4 * f32);
    expect(q4).toBeLessThan(0.7 * q8);
  });

  it("make states of their own: sessions do not pass from one form to another", async () => {
    await using exact = await loadTiny("paper", { dtype: "f32" });
    await using quantized = await loadTiny("paper", { dtype: "q8" });
    const session = exact.createSession();
    await session.append(stream);
    await expect(quantized.restoreSession(await session.save())).rejects.toThrow(/another model/);
  });
});
