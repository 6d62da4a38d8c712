import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  bitsOf,
  generateIds,
  largestDifference,
  loadTiny,
  logitsOf,
  tinyCapacity,
  tinyContext,
  tinyIds,
  tinyPlus,
  tinySlotContext,
} from "../../test/support/tiny-sessions.ts";
import { localCapacityTokens } from "../memory/geometry.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import type { Model } from "./model.ts";

const { sinkTokens: S, segmentTokens: T } = tinyContext;
const C = tinyCapacity;

describe("routing", () => {
  let gated: Model;
  let plain: Model;
  beforeAll(async () => {
    [gated, plain] = await Promise.all([loadTiny("paper"), loadTiny("streaming")]);
  });
  afterAll(async () => {
    await Promise.all([gated.dispose(), plain.dispose()]);
  });

  it("gives the base model's logits, bit for bit, until the first commit, and others after it", async () => {
    const [a, b] = [gated.createSession(), plain.createSession()];
    const ids = tinyIds(C + T);
    for (const [index, id] of ids.entries()) {
      await a.append([id]);
      await b.append([id]);
      const same = bitsOf(logitsOf(a)) === bitsOf(logitsOf(b));
      expect({ length: index + 1, same }).toEqual({ length: index + 1, same: index < C });
    }
    // Not a stray last bit: the memory takes part.
    expect(largestDifference(logitsOf(a), logitsOf(b))).toBeGreaterThan(1e-2);
  });

  it("gives the base model's logits in runs of many tokens, too", async () => {
    const [a, b] = [gated.createSession(), plain.createSession()];
    const ids = tinyIds(C);
    for (const [from, to] of [
      [0, 5],
      [5, 18],
      [18, C],
    ] as const) {
      await a.append(ids.slice(from, to));
      await b.append(ids.slice(from, to));
      expect(bitsOf(logitsOf(a))).toBe(bitsOf(logitsOf(b)));
    }
    expect(await generateIds(a.clone(), 1)).toEqual(await generateIds(b.clone(), 1));
  });

  it("switches the path at the first commit, for appended and generated tokens alike", async () => {
    const appended = gated.createSession();
    await appended.append(tinyIds(C));
    expect(appended.stats).toMatchObject({ path: "base", commitCount: 0, meanGateOpening: [] });
    const generated = appended.clone();
    await appended.append([5]);
    expect(appended.stats).toMatchObject({ path: "gated", commitCount: 1 });
    await generateIds(generated, 1);
    expect(generated.stats).toMatchObject({ path: "gated", commitCount: 1, lengthTokens: C + 1 });
  });

  it("gives the base model's logits, bit for bit, until slots are filled at the first commit", async () => {
    for (const policy of ["plus", "keydiff", "h2o", "snapkv", "pyramidkv"] as const) {
      await using model = await loadTiny(policy);
      expect(localCapacityTokens(model.context)).toBe(C);
      for (const pieces of [
        tinyIds(C + 1).map((id) => [id]),
        [tinyIds(5), tinyIds(13, 2), tinyIds(C - 18, 3), [5]],
      ]) {
        const [a, b] = [model.createSession(), plain.createSession()];
        for (const piece of pieces) {
          await a.append(piece);
          await b.append(piece);
          const isBase = a.lengthTokens <= C;
          expect(bitsOf(logitsOf(a)) === bitsOf(logitsOf(b))).toBe(isBase);
        }
        // What a slot keeps is not what the window would have kept.
        expect(largestDifference(logitsOf(a), logitsOf(b))).toBeGreaterThan(1e-3);
      }
    }
  });

  it("knows at every length which tokens are in slots, and how many have left", async () => {
    for (const policy of ["plus", "keydiff", "h2o", "snapkv"] as const) {
      await using model = await loadTiny(policy);
      const session = model.createSession();
      const { slotTokens: B } = model.context;
      for (const [index, id] of tinyIds(C + 2 * T + 1).entries()) {
        await session.append([id]);
        const length = index + 1;
        const commitCount = Math.max(0, Math.ceil((length - C) / T));
        const [sinks, slots, left] = [Math.min(S, length), commitCount === 0 ? 0 : B, commitCount * T];
        const [memory, dropped] = policy === "plus" ? [left, 0] : [0, left];
        const tokens = { sinks, slots, local: length - sinks - slots - left, memory, dropped };
        const path = policy === "plus" && commitCount > 0 ? "gated" : "base";
        expect(session.stats).toMatchObject({ policy, path, commitCount, tokens });
        expect(session.stateBytes).toBe(model.memoryEstimate.stateBytes);
      }
    }
  });

  it("never leaves the base path without an adapter, and says that what left is forgotten", async () => {
    const session = plain.createSession();
    await session.append(tinyIds(C + 2 * T));
    expect(session.stats).toMatchObject({
      policy: "streaming",
      path: "base",
      commitCount: 2,
      tokens: { sinks: S, slots: 0, local: C - S, memory: 0, dropped: 2 * T },
      meanGateOpening: [],
    });
  });

  it("knows at every length where each token is", async () => {
    const session = gated.createSession();
    const ids = tinyIds(C + 3 * T + 1);
    expect(session.stats.tokens).toEqual({ sinks: 0, slots: 0, local: 0, memory: 0, dropped: 0 });
    for (const [index, id] of ids.entries()) {
      await session.append([id]);
      const length = index + 1;
      const commits = Math.max(0, Math.ceil((length - C) / T));
      const sinks = Math.min(S, length);
      const memory = commits * T;
      const tokens = { sinks, slots: 0, local: length - sinks - memory, memory, dropped: 0 };
      expect(session.stats).toMatchObject({ lengthTokens: length, commitCount: commits, tokens });
    }
  });

  it("tells how far the gates of each layer and head open, between 0 and 1, whatever the cut", async () => {
    const ids = tinyIds(C + 4 * T);
    const session = gated.createSession();
    await session.append(ids);
    const { meanGateOpening } = session.stats;
    expect(meanGateOpening).toHaveLength(2);
    for (const opening of meanGateOpening) {
      expect(opening).toBeGreaterThan(0.01);
      expect(opening).toBeLessThan(0.99);
    }
    expect(meanGateOpening[0]).not.toBeCloseTo(meanGateOpening[1] ?? 0, 4);
    const { gateOpening } = session.stats;
    for (const [layer, heads] of gateOpening.entries()) {
      expect(heads).toHaveLength(gated.config.geometry.queryHeadCount);
      expect(heads[0]).not.toBeCloseTo(heads[1] ?? 0, 4);
      expect(heads.reduce((sum, one) => sum + one, 0) / heads.length).toBeCloseTo(
        meanGateOpening[layer] ?? 0,
        12,
      );
    }
    const cut = gated.createSession();
    for (const id of ids) await cut.append([id]);
    // Sums of float32 means in another order.
    for (const [layer, opening] of cut.stats.meanGateOpening.entries())
      expect(opening).toBeCloseTo(meanGateOpening[layer] ?? 0, 5);
  });

  it("keeps the bytes of a session constant, and estimated right", async () => {
    for (const model of [gated, plain]) {
      const session = model.createSession();
      const { stateBytes, fullCacheBytesPerToken } = model.memoryEstimate;
      expect(session.stateBytes).toBe(stateBytes);
      for (const count of [1, C - 1, 1, T, 3 * T + 2]) {
        await session.append(tinyIds(count));
        expect(session.stateBytes).toBe(stateBytes);
        expect(session.stats.stateBytes).toBe(stateBytes);
        expect(session.stats.fullCacheBytes).toBe(fullCacheBytesPerToken * session.lengthTokens);
      }
      expect(session.clone().stateBytes).toBe(stateBytes);
      expect((await model.restoreSession(await session.save())).stateBytes).toBe(stateBytes);
    }
  });

  it("counts a state's bytes in closed form", () => {
    // Keys and values [2, L, K, C, D], sink keys [L, K, S, D], M and z [L, K, D, D + 1]; gate sums [L, H] in float64.
    const [L, H, K, D] = [2, 4, 2, 16];
    const V = gated.config.vocabularySize;
    const streaming = 4 * L * K * D * (2 * C + S) + 4 * (V + 64);
    expect(plain.memoryEstimate.stateBytes).toBe(streaming);
    expect(gated.memoryEstimate.stateBytes).toBe(streaming + 4 * L * K * D * (D + 1) + 8 * L * H);
    expect(gated.memoryEstimate.fullCacheBytesPerToken).toBe(2 * 4 * L * K * D);
  });

  it("counts the bytes of slots in closed form", async () => {
    // Slots are places of the cache; besides: their keys as projected [L, K, B, D], and for each token and head a
    // score, a bias of two query heads, a share.
    const [L, H, K, D] = [2, 4, 2, 16];
    const V = gated.config.vocabularySize;
    const B = tinySlotContext.slotTokens;
    const exact = (numbers: number) => 4 * L * K * (D * (2 * C + S + B) + numbers * C) + 4 * (V + 64);
    const features = tinyPlus.featureCount;
    await using plus = await loadTiny("plus");
    await using keydiff = await loadTiny("keydiff");
    expect(plus.memoryEstimate.stateBytes).toBe(exact(4) + 4 * L * K * features * (D + 1) + 8 * L * H);
    expect(keydiff.memoryEstimate.stateBytes).toBe(exact(1) + 8 * L * K * D);
    // What tokens have received is summed in float64 where it is never forgotten.
    await using h2o = await loadTiny("h2o");
    await using snapkv = await loadTiny("snapkv");
    expect(h2o.memoryEstimate.stateBytes).toBe(exact(2));
    expect(snapkv.memoryEstimate.stateBytes).toBe(exact(1));
  });

  it("grows with the stream under the policy full, up to its estimate", async () => {
    await using full = await loadTiny("full", {});
    const session = full.createSession();
    const before = session.stateBytes;
    await session.append(tinyIds(400));
    expect(session.stateBytes).toBeGreaterThan(before);
    await session.append(tinyIds(2048 - 400));
    expect(session.stateBytes).toBe(full.memoryEstimate.stateBytes);
    expect(session.stats).toMatchObject({ path: "base", commitCount: 0, tokens: { local: 2048 } });
  });

  it("measures speed and the time to the first token", async () => {
    const session = plain.createSession();
    expect(session.stats).toMatchObject({
      prefillTokens: 0,
      prefillTokensPerSecond: undefined,
      decodeTokens: 0,
      decodeTokensPerSecond: undefined,
      timeToFirstTokenMs: undefined,
    });
    const start = performance.now();
    await session.append(tinyIds(20));
    expect(session.stats.timeToFirstTokenMs).toBeUndefined();
    await generateIds(session, 3);
    const elapsed = performance.now() - start;
    const { stats } = session;
    expect(stats).toMatchObject({ prefillTokens: 20, decodeTokens: 3 });
    expect(stats.timeToFirstTokenMs).toBeGreaterThan(0);
    expect(stats.timeToFirstTokenMs).toBeLessThan(elapsed);
    // All the work fits into the time that passed.
    const worked =
      20 / (stats.prefillTokensPerSecond ?? Number.NaN) + 3 / (stats.decodeTokensPerSecond ?? Number.NaN);
    expect(worked * 1000).toBeLessThan(elapsed);
  });

  it.each(["mistral", "qwen2", "qwen3"] as const)("routes a %s checkpoint so", async (modelType) => {
    const folder = createTinyModelFolder({ modelType, tied: false, dtype: "bfloat16" });
    await using withGate = await loadTiny("paper", {}, folder);
    await using without = await loadTiny("streaming", {}, folder);
    const [a, b] = [withGate.createSession(), without.createSession()];
    await Promise.all([a, b].map((session) => session.append(tinyIds(C))));
    expect(bitsOf(logitsOf(a))).toBe(bitsOf(logitsOf(b)));
    await Promise.all([a, b].map((session) => session.append([5])));
    expect(largestDifference(logitsOf(a), logitsOf(b))).toBeGreaterThan(1e-2);
  });
});
