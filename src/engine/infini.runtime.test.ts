import { describe, expect, it } from "vitest";
import {
  bitsOf,
  largestDifference,
  loadModel,
  logitsOf,
  tinyCapacity,
  tinyContext,
  tinyIds,
} from "../../test/support/tiny-sessions.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import type { Model } from "./model.ts";

const load = (policy: "infini" | "streaming"): Promise<Model> =>
  loadModel(createTinyModelFolder(), { policy, context: tinyContext, threads: 1 });

async function logitsAfter(model: Model, length: number): Promise<Float32Array> {
  using session = model.createSession();
  await session.append(tinyIds(length));
  return logitsOf(session).slice();
}

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
