import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  bitsOf,
  generateIds,
  loadTiny,
  logitsOf,
  tinyCapacity,
  tinyContext,
  tinyIds,
  tinyPlus,
  tinyShared,
} from "../../test/support/tiny-sessions.ts";
import { InvalidRequestError } from "../errors.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../testing/tiny-model.ts";
import type { Model } from "./model.ts";
import type { Session } from "./session.ts";

const { segmentTokens: T } = tinyContext;
const C = tinyCapacity;
const support = new URL("../../test/support/tiny-sessions.ts", import.meta.url).href;

let paper: Model;
let plus: Model;
let infini: Model;
let shared: Model;
let keydiff: Model;
let h2o: Model;
let snapkv: Model;
let pyramidkv: Model;
let streaming: Model;
let full: Model;
let all: readonly Model[];
beforeAll(async () => {
  [paper, plus, infini, shared, keydiff, h2o, snapkv, pyramidkv, streaming, full] = await Promise.all([
    loadTiny("paper"),
    loadTiny("plus"),
    loadTiny("infini"),
    loadTiny("plus", { adapter: createTinyAdapterFolder(tinyShared) }),
    loadTiny("keydiff"),
    loadTiny("h2o"),
    loadTiny("snapkv"),
    loadTiny("pyramidkv"),
    loadTiny("streaming"),
    loadTiny("full"),
  ]);
  all = [paper, plus, infini, shared, keydiff, h2o, snapkv, pyramidkv, streaming, full];
});
afterAll(async () => {
  await Promise.all(all.map((model) => model.dispose()));
});

async function sessionOf(model: Model, length: number): Promise<Session> {
  const session = model.createSession();
  if (length > 0) await session.append(tinyIds(length));
  return session;
}

/** Appends and generates across a commit or two; returns the bits of all logits on the way. */
async function goOn(session: Session): Promise<string[]> {
  const bits: string[] = [];
  for (const ids of [[7], tinyIds(T + 2, 5), [9], tinyIds(2, 6)]) {
    await session.append(ids);
    bits.push(bitsOf(logitsOf(session)));
  }
  await generateIds(session, 5);
  return [...bits, bitsOf(logitsOf(session)), JSON.stringify(session.stats.meanGateOpening)];
}

describe("a restored session", () => {
  it("goes on bit for bit from every kind of place in a stream", async () => {
    for (const length of [0, 1, 2, 3, 4, C - 1, C, C + 1, C + T - 1, C + T, C + T + 1, C + 3 * T + 5]) {
      for (const model of all) {
        const session = await sessionOf(model, length);
        const again = await model.restoreSession(await session.save());
        expect(again.lengthTokens).toBe(length);
        expect(again.stats.tokens).toEqual(session.stats.tokens);
        expect(again.logits).toEqual(session.logits);
        expect(await goOn(again)).toEqual(await goOn(session));
      }
    }
  });

  it("is saved as the same bytes", async () => {
    for (const model of all) {
      const bytes = await (await sessionOf(model, C + T + 4)).save();
      expect(bitsOf(await (await model.restoreSession(bytes)).save())).toBe(bitsOf(bytes));
    }
  });

  it.each(["paper", "plus"] as const)("goes on bit for bit in a new process, policy %s", async (policy) => {
    const folder = await mkdtemp(join(tmpdir(), "edgeinfinite-"));
    try {
      const session = await sessionOf(policy === "paper" ? paper : plus, C + T + 5);
      await writeFile(join(folder, "session"), await session.save());
      const script = `
        import { readFile, writeFile } from "node:fs/promises";
        import { bitsOf, generateIds, loadTiny, logitsOf, tinyIds } from ${JSON.stringify(support)};
        const folder = process.argv[2];
        const model = await loadTiny(${JSON.stringify(policy)});
        const session = await model.restoreSession(await readFile(folder + "/session"));
        await session.append(tinyIds(2 * ${T}, 3));
        const ids = await generateIds(session, 20);
        await writeFile(folder + "/result", JSON.stringify({ ids, bits: bitsOf(logitsOf(session)) }));
        await writeFile(folder + "/later", await session.save());
        await model.dispose();`;
      await writeFile(join(folder, "script.mts"), script);
      const root = new URL("../..", import.meta.url);
      await promisify(execFile)(process.execPath, ["--import", "tsx", join(folder, "script.mts"), folder], {
        cwd: root,
      });
      await session.append(tinyIds(2 * T, 3));
      const ids = await generateIds(session, 20);
      const result: unknown = JSON.parse(await readFile(join(folder, "result"), "utf8"));
      expect(result).toEqual({ ids, bits: bitsOf(logitsOf(session)) });
      // And back: the state itself is the same, not just what was looked at.
      const later = await readFile(join(folder, "later"));
      expect(bitsOf(later)).toBe(bitsOf(await session.save()));
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("keeps what the repetition penalty and the decoder look back at", async () => {
    const session = await sessionOf(paper, C + 2);
    const again = await paper.restoreSession(await session.save());
    const options = { maxNewTokens: 12, repetitionPenalty: 1.6, temperature: 0.8, seed: 3 };
    const texts: unknown[] = [];
    // The clone first: it was made before its original went on.
    for (const each of [session.clone(), session, again]) {
      const events = [];
      for await (const event of each.generate(options)) events.push(event);
      texts.push(events);
    }
    expect(texts[1]).toEqual(texts[0]);
    expect(texts[2]).toEqual(texts[0]);
  });
});

describe("the size of a saved session", () => {
  it("is the state's and under 4 KB more", async () => {
    for (const length of [0, 1, C, C + 1, C + T, C + 5 * T + 3]) {
      for (const model of [paper, plus, infini, keydiff, h2o, snapkv, streaming]) {
        const session = await sessionOf(model, length);
        const bytes = await session.save();
        expect(bytes.length).toBeLessThan(session.stateBytes + 4096);
        // The local cache as far as it is filled; the last logits once there are some.
        const [L, K, D, S] = [2, 2, 16, tinyContext.sinkTokens];
        const { sinks, slots, local } = session.stats.tokens;
        const used = sinks + slots + local;
        const features = model === paper || model === infini ? D : model === plus ? tinyPlus.featureCount : 0;
        const logits = length > 0 ? model.config.vocabularySize : 0;
        const B = model.context.slotTokens;
        // A score, for plus a bias of two query heads and a share; for h2o the score is in float64.
        const numbers =
          model === plus ? 4 : model === keydiff || model === snapkv ? 1 : model === h2o ? 2 : 0;
        const sums = model === keydiff ? L * K * D : model === plus || B === 0 ? L : 0;
        const exact = D * (2 * used + S + B) + numbers * used;
        const payload = 4 * (L * K * (exact + features * (D + 1)) + logits) + 8 * sums;
        expect(bytes.length - payload).toBeGreaterThan(48);
        expect(bytes.length - payload).toBeLessThan(1536);
      }
    }
  });
});

describe("a clone", () => {
  it("goes on as its original does, bit for bit", async () => {
    for (const length of [0, 1, C, C + 1, C + T + 6]) {
      for (const model of all) {
        const session = await sessionOf(model, length);
        expect(await goOn(session.clone())).toEqual(await goOn(session));
      }
    }
  });

  it("diverges from before its sinks are filled, and keeps its own", async () => {
    for (const model of [paper, plus, infini, shared, keydiff, h2o, snapkv, pyramidkv, streaming]) {
      const session = await sessionOf(model, 1);
      const twin = session.clone();
      const [ids, otherIds] = [tinyIds(C + 2 * T, 4), tinyIds(C + 2 * T, 5)];
      // In step with each other, so that anything shared would be overwritten in between.
      for (const [index, id] of ids.entries()) {
        await session.append([id]);
        await twin.append(otherIds.slice(index, index + 1));
      }
      const alone = await sessionOf(model, 1);
      for (const id of ids) await alone.append([id]);
      expect(bitsOf(await session.save())).toBe(bitsOf(await alone.save()));
    }
  });

  it("diverges without a trace in its original, whichever of them goes on first", async () => {
    for (const model of all) {
      const session = await sessionOf(model, C + T);
      const untouched = await sessionOf(model, C + T);
      const [twin, other] = [session.clone(), session.clone()];
      await twin.append(tinyIds(3 * T, 8));
      await generateIds(twin, 3);
      expect(bitsOf(await session.save())).toBe(bitsOf(await untouched.save()));
      expect(await goOn(session)).toEqual(await goOn(untouched));
      expect(bitsOf(logitsOf(twin))).not.toBe(bitsOf(logitsOf(session)));
      expect(other.lengthTokens).toBe(C + T);
      other.dispose();
      expect(await goOn(twin.clone())).toEqual(await goOn(twin));
    }
  });
});

describe("restoreSession refuses", () => {
  let bytes: Uint8Array;
  let adapted: Session;
  beforeAll(async () => {
    adapted = await sessionOf(paper, C + T + 5);
    bytes = await adapted.save();
  });

  it("what is cut or altered anywhere, and goes on working", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (index, flip) => {
        await expect(paper.restoreSession(bytes.subarray(0, index))).rejects.toThrow(InvalidRequestError);
        const altered = bytes.slice();
        altered[index] = (altered[index] ?? 0) ^ flip;
        await expect(paper.restoreSession(altered)).rejects.toMatchObject({ __edgeinfiniteError: true });
      }),
      {
        numRuns: 60,
        examples: [
          [9, 1],
          [12, 8],
          [13, 255],
          [47, 1],
          [48, 1],
        ],
      },
    );
    expect((await paper.restoreSession(bytes)).lengthTokens).toBe(C + T + 5);
  });

  const others: readonly (readonly [string, () => Promise<Model>, RegExp])[] = [
    [
      "a session of another checkpoint",
      () => loadTiny("paper", {}, createTinyModelFolder({ seed: 2 })),
      /saved with another model/,
    ],
    [
      "a session of the same weights under another configuration",
      () => loadTiny("paper", {}, createTinyModelFolder({ config: { rope_theta: 5000 } })),
      /saved with another model/,
    ],
    [
      "a session of another adapter",
      () => loadTiny("paper", { adapter: createTinyAdapterFolder({ seed: 2 }) }),
      /saved with another adapter/,
    ],
    [
      "a session of other context settings",
      () => loadTiny("paper", { context: { ...tinyContext, windowTokens: 22 } }),
      /another context settings, got "S3 B0 W21 T13", expected S3 B0 W22 T13/,
    ],
    [
      "a session of another policy",
      () => loadTiny("streaming"),
      /memory policy, got "paper", expected streaming/,
    ],
    ["a session of an ordinary cache", () => loadTiny("full"), /memory policy, got "paper", expected full/],
  ];
  it.each(others)("%s, saying so", async (_, load, reason) => {
    await using model = await load();
    await expect(model.restoreSession(bytes)).rejects.toThrow(reason);
    await expect(model.restoreSession(bytes)).rejects.toThrow(InvalidRequestError);
  });

  it("a session of other slots of the same sizes, saying so", async () => {
    const saved = await (await sessionOf(h2o, C + T + 5)).save();
    await expect(snapkv.restoreSession(saved)).rejects.toThrow(/memory policy, got "h2o", expected snapkv/);
    await expect(keydiff.restoreSession(saved)).rejects.toThrow(/memory policy, got "h2o", expected keydiff/);
  });

  it("no session of the same model that was loaded again", async () => {
    await using again = await loadTiny("paper");
    expect(await goOn(await again.restoreSession(bytes))).toEqual(await goOn(adapted));
  });

  it("no session of an ordinary cache over the regions' sizes, which it does not have", async () => {
    await using other = await loadTiny("full", { context: { ...tinyContext, windowTokens: 22 } });
    const session = await sessionOf(full, 20);
    expect((await other.restoreSession(await session.save())).logits).toEqual(session.logits);
  });
});
