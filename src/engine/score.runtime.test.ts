import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bitsOf, largestDifference, loadTiny, logitsOf, tinyIds } from "../../test/support/tiny-sessions.ts";
import type { Model } from "./model.ts";
import type { ScoreResult } from "./score.ts";

const policies = [
  "paper",
  "plus",
  "infini",
  "keydiff",
  "h2o",
  "snapkv",
  "pyramidkv",
  "streaming",
  "full",
] as const;

/** Float32 sums in another order: a few units of the sixth digit of logits of order 1 to 10. */
const tolerance = 1e-4;

interface Scores {
  readonly likelihoods: readonly number[];
  readonly commits: readonly number[];
}

/** Scores a stream token by token: from the logits before each, by the plainest formula. */
async function scoreSlowly(model: Model, ids: readonly number[]): Promise<Scores> {
  using session = model.createSession();
  const [likelihoods, commits]: [number[], number[]] = [[], []];
  for (const id of ids) {
    const { logits } = session;
    commits.push(session.stats.commitCount);
    if (logits === undefined) likelihoods.push(Number.NaN);
    else {
      const total = Array.from(logits).reduce((sum, logit) => sum + Math.exp(logit), 0);
      likelihoods.push(Math.log(Math.exp(logits[id] ?? Number.NaN) / total));
    }
    await session.append([id]);
  }
  return { likelihoods, commits };
}

/** Scores a stream in pieces of these lengths; the last one takes the rest. */
async function scoreCut(model: Model, ids: readonly number[], lengths: readonly number[]): Promise<Scores> {
  using session = model.createSession();
  const parts: ScoreResult[] = [];
  let start = 0;
  for (const length of [...lengths, ids.length]) {
    const piece = ids.slice(start, start + length);
    if (piece.length > 0) parts.push(await session.score(piece));
    start += length;
  }
  return {
    likelihoods: parts.flatMap(({ logLikelihoods }) => [...logLikelihoods]),
    commits: parts.flatMap(({ commitCounts }) => [...commitCounts]),
  };
}

function expectSame(got: Scores, wanted: Scores): void {
  expect(got.commits).toEqual(wanted.commits);
  expect(got.likelihoods[0]).toBeNaN();
  const [a, b] = [got, wanted].map(({ likelihoods }) => Float32Array.from(likelihoods.slice(1)));
  expect(largestDifference(a ?? new Float32Array(), b ?? new Float32Array(1))).toBeLessThan(tolerance);
}

describe.each(policies)("Session.score under the policy %s", (policy) => {
  it("gives what the logits before each token say, over several commits, however it is cut", async () => {
    await using model = await loadTiny(policy);
    const ids = tinyIds(100);
    const slow = await scoreSlowly(model, ids);
    expect(slow.commits.at(-1)).toBe(policy === "full" ? 0 : 5);
    const lengths = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(lengths, async (cuts) => expectSame(await scoreCut(model, ids, cuts), slow)),
      { numRuns: 12, examples: [[[]]] },
    );
  });

  it("leaves the session as appending does, between other calls too", async () => {
    await using model = await loadTiny(policy);
    const ids = tinyIds(90);
    using scored = model.createSession();
    await scored.append(ids.slice(0, 30));
    const { tokenCount, lengthTokens, logLikelihoods } = await scored.score(ids.slice(30));
    expect([tokenCount, lengthTokens]).toEqual([60, 90]);
    expect(logLikelihoods.every((value) => value < 0)).toBe(true);
    using appended = model.createSession();
    await appended.append(ids.slice(0, 30));
    await appended.append(ids.slice(30));
    expect(largestDifference(logitsOf(scored), logitsOf(appended))).toBeLessThan(tolerance);
    expect(scored.stats.tokens).toEqual(appended.stats.tokens);
    expect(scored.stats.prefillTokens).toBe(90);
    using restored = await model.restoreSession(await scored.save());
    expect(bitsOf(logitsOf(restored))).toBe(bitsOf(logitsOf(scored)));
  });
});

describe("Session.score", () => {
  it("takes text, and refuses what append refuses", async () => {
    await using model = await loadTiny("streaming");
    using session = model.createSession();
    const { tokenCount, logLikelihoods } = await session.score("The rain fell on the roof.");
    expect(logLikelihoods).toHaveLength(tokenCount);
    expect(session.lengthTokens).toBe(tokenCount);
    await expect(session.score("")).rejects.toThrow(/there is nothing to append/);
    await expect(session.score([1e9])).rejects.toThrow(/token id 0: out of range/);
    const under = session.score([5]);
    await expect(session.score([5])).rejects.toThrow(/session\.score: the session is busy/);
    await under;
  });
});
