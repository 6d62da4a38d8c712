import { describe, expect, it } from "vitest";
import {
  bitsOf,
  editTensors,
  largestDifference,
  loadModel,
  loadTiny,
  logitsOf,
  tinyCapacity,
  tinyContext,
  tinyIds,
} from "../../test/support/tiny-sessions.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../testing/tiny-model.ts";
import type { Model } from "./model.ts";

const load = (policy: "infini" | "streaming"): Promise<Model> =>
  loadModel(createTinyModelFolder(), { policy, context: tinyContext, threads: 1 });

async function logitsAfter(model: Model, length: number): Promise<Float32Array> {
  using session = model.createSession();
  await session.append(tinyIds(length));
  return logitsOf(session).slice();
}

describe("Infini-attention with an adapter", () => {
  it("tells the gate of each layer and head as it was trained: sigmoid(beta), whatever the tokens", async () => {
    const [layerCount, headCount] = [2, 4];
    const betas = Array.from({ length: layerCount }, (_, layer) =>
      Array.from({ length: headCount }, (__, head) => layer - head / 2),
    );
    const drawn = createTinyAdapterFolder({ variant: "infini" });
    const adapter = await editTensors(drawn, "adapter_model.safetensors", (tensors) => {
      for (const [layer, heads] of betas.entries())
        tensors[`layers.${layer}.read_gate.beta`] = hostTensor(
          "float32",
          [headCount],
          Float32Array.from(heads),
        );
    });
    await using model = await loadTiny("infini", { adapter });
    using session = model.createSession();
    await session.append(tinyIds(tinyCapacity));
    expect(session.stats.gateOpening).toEqual([]);
    await session.append(tinyIds(3 * tinyContext.segmentTokens));
    const { gateOpening, meanGateOpening } = session.stats;
    expect(gateOpening.map((heads) => heads.length)).toEqual([headCount, headCount]);
    for (const [layer, heads] of betas.entries()) {
      const expected = heads.map((beta) => 1 / (1 + Math.exp(-beta)));
      for (const [head, opening] of expected.entries())
        expect(gateOpening[layer]?.[head]).toBeCloseTo(opening, 6);
      const mean = expected.reduce((sum, one) => sum + one, 0) / headCount;
      expect(meanGateOpening[layer]).toBeCloseTo(mean, 6);
    }
  });
});

describe("Infini-attention without an adapter", () => {
  it("is the base model, bit for bit, until the first commit", async () => {
    await using infini = await load("infini");
    await using plain = await load("streaming");
    for (const length of [1, 20, tinyCapacity])
      expect(bitsOf(await logitsAfter(infini, length))).toBe(bitsOf(await logitsAfter(plain, length)));
  });

  it("has gates that are sigmoid(-4) open, and says so", async () => {
    await using infini = await load("infini");
    expect(infini.notices.join(" ")).toMatch(/gates of Infini-attention are untrained: 1.8% open/);
    using session = infini.createSession();
    await session.append(tinyIds(tinyCapacity + 20));
    for (const opening of session.stats.meanGateOpening)
      expect(opening).toBeCloseTo(1 / (1 + Math.exp(4)), 6);
    await using streaming = await load("streaming");
    const difference = largestDifference(logitsOf(session), await logitsAfter(streaming, tinyCapacity + 20));
    expect(difference).toBeGreaterThan(1e-4);
  });
});
