import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  generateIds,
  largestDifference,
  loadTiny,
  logitsOf,
  tinyIds,
  tinyShared,
} from "../../test/support/tiny-sessions.ts";
import { localCapacityTokens } from "../memory/geometry.ts";
import { keepsSlots, policyNames } from "../memory/policies.ts";
import { createTinyAdapterFolder } from "../testing/tiny-model.ts";
import type { Model } from "./model.ts";
import type { Session } from "./session.ts";

/** Float32 sums in another order: a few units of the sixth digit of logits of order 1 to 10. */
const tolerance = 1e-4;

/** Is how one part of a stream reaches the session. */
type Step = { readonly append: number } | { readonly generate: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        append: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 40 })),
      }),
    },
    { weight: 1, arbitrary: fc.record({ generate: fc.integer({ min: 1, max: 9 }) }) },
  ),
  { minLength: 2, maxLength: 12 },
);

const sizes = fc.record({
  sinkTokens: fc.nat(5),
  slotTokens: fc.nat(12),
  windowTokens: fc.integer({ min: 1, max: 24 }),
  segmentTokens: fc.integer({ min: 1, max: 12 }),
});

/** Takes a session through the steps; returns the stream's ids. */
async function follow(session: Session, path: readonly Step[], seed: number): Promise<number[]> {
  const ids: number[] = [];
  for (const [index, step] of path.entries()) {
    if ("generate" in step && ids.length > 0) {
      ids.push(...(await generateIds(session, step.generate)));
      continue;
    }
    const piece = tinyIds("append" in step ? step.append : step.generate, seed + index);
    await session.append(piece);
    ids.push(...piece);
  }
  return ids;
}

async function differenceToOneCall(model: Model, path: readonly Step[], seed: number): Promise<number> {
  const cut = model.createSession();
  const ids = await follow(cut, path, seed);
  const whole = model.createSession();
  await whole.append(ids);
  expect(cut.lengthTokens).toBe(ids.length);
  expect(cut.stats.tokens).toEqual(whole.stats.tokens);
  return largestDifference(logitsOf(cut), logitsOf(whole));
}

const endless = policyNames.filter((name) => name !== "full");

describe.each([
  ...endless.map((policy) => ({ policy, title: policy, adapter: undefined })),
  { policy: "plus", title: "plus with slots shared unequally", adapter: tinyShared } as const,
])("under the policy $title", ({ policy, adapter }) => {
  it("logits do not depend on how the stream was cut, for any S, B, W and T", async () => {
    let commits = 0;
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.array(steps, { minLength: 3, maxLength: 3 }),
        fc.nat(1000),
        async (drawn, paths, seed) => {
          const slotTokens = keepsSlots(policy)
            ? drawn.slotTokens + (policy === "plus" && adapter === undefined ? 0 : 1)
            : 0;
          const context = { ...drawn, slotTokens };
          await using model = await loadTiny(policy, {
            context,
            ...(adapter && { adapter: createTinyAdapterFolder(adapter) }),
          });
          for (const path of paths) {
            expect(await differenceToOneCall(model, path, seed)).toBeLessThan(tolerance);
            const length = path.reduce(
              (sum, step) => sum + ("append" in step ? step.append : step.generate),
              0,
            );
            commits += Math.max(0, (length - localCapacityTokens(context)) / context.segmentTokens);
          }
        },
      ),
      { numRuns: 20 },
    );
    // The property is about commits: on average several a stream.
    expect(commits).toBeGreaterThan(2 * 60);
  });
});

describe("under the policy full", () => {
  it("logits do not depend on how the stream was cut, whatever the length of a run", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 50 }),
        steps,
        fc.nat(1000),
        async (segmentTokens, path, seed) => {
          await using model = await loadTiny("full", {
            context: { sinkTokens: 0, windowTokens: 1, segmentTokens },
          });
          expect(await differenceToOneCall(model, path, seed)).toBeLessThan(tolerance);
        },
      ),
      { numRuns: 15 },
    );
  });
});

describe("one token at a time", () => {
  it.each(["paper", "plus", "infini", "keydiff", "h2o", "snapkv", "pyramidkv", "streaming", "full"] as const)(
    "gives at every length what one call to there gives: %s",
    async (policy) => {
      const slotTokens = keepsSlots(policy) ? 3 : 0;
      await using model = await loadTiny(policy, {
        context: { sinkTokens: 2, slotTokens, windowTokens: 7 - slotTokens, segmentTokens: 5 },
      });
      const ids = tinyIds(34);
      const slow = model.createSession();
      for (const [index, id] of ids.entries()) {
        await slow.append([id]);
        const fast = model.createSession();
        await fast.append(ids.slice(0, index + 1));
        expect(largestDifference(logitsOf(slow), logitsOf(fast))).toBeLessThan(tolerance);
      }
    },
  );

  it("is told apart from a stream of one other token long before the window", async () => {
    // The tolerance means something: what the memory holds moves logits by far more.
    await using model = await loadTiny("paper", {
      context: { sinkTokens: 2, windowTokens: 7, segmentTokens: 5 },
    });
    const ids = tinyIds(60);
    const [a, b] = [model.createSession(), model.createSession()];
    await a.append(ids);
    await b.append(ids.with(20, 3));
    expect(largestDifference(logitsOf(a), logitsOf(b))).toBeGreaterThan(30 * tolerance);
  });
});
