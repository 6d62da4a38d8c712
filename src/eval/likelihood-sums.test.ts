import { describe, expect, it } from "vitest";
import { summarizeLikelihoods } from "./likelihood-summary.ts";
import { bitsPerByte, bucketStart, describeBucket, meanNll, sumLikelihoods } from "./likelihood-sums.ts";

describe("sumLikelihoods", () => {
  it("counts each token once, by position and by commits, without the first", () => {
    // A token at position p has p nats, and one commit every 50 tokens.
    const likelihoods = Float64Array.from({ length: 130 }, (_, position) =>
      position === 0 ? Number.NaN : -position,
    );
    const commits = Uint32Array.from({ length: 130 }, (_, position) => Math.floor(position / 50));
    const total = (from: number, end: number): number => ((end - from) * (from + end - 1)) / 2;
    const { byPosition, byCommits, pastWindow } = sumLikelihoods(likelihoods, commits, 100);
    expect(byPosition).toEqual([
      { from: 0, tokenCount: 63, totalNll: total(1, 64) },
      { from: 64, tokenCount: 64, totalNll: total(64, 128) },
      { from: 128, tokenCount: 2, totalNll: total(128, 130) },
    ]);
    expect(byCommits).toEqual([
      { from: 0, tokenCount: 49, totalNll: total(1, 50) },
      { from: 1, tokenCount: 50, totalNll: total(50, 100) },
      { from: 2, tokenCount: 30, totalNll: total(100, 130) },
    ]);
    expect(pastWindow).toEqual({ from: 100, tokenCount: 30, totalNll: total(100, 130) });
    expect(meanNll(byPosition)).toBe(65);
  });

  it("has buckets that begin at 0 and at powers of two, exactly", () => {
    expect([0, 63, 64, 127, 128, 2 ** 20 - 1, 2 ** 20].map((position) => bucketStart(position, 64))).toEqual([
      ...[0, 0, 64, 64, 128, 2 ** 19, 2 ** 20],
    ]);
    expect([0, 1, 2, 3, 4].map((commits) => bucketStart(commits, 1))).toEqual([0, 1, 2, 2, 4]);
    expect([0, 64].map((from) => describeBucket("byPosition", from))).toEqual(["0 to 63", "64 to 127"]);
    expect([0, 1, 2].map((from) => describeBucket("byCommits", from))).toEqual(["0", "1", "2 to 3"]);
  });
});

describe("summarizeLikelihoods", () => {
  it("takes means over documents, and leaves out those that do not reach a bucket", () => {
    const document = (nll: number, length: number) =>
      sumLikelihoods(new Float64Array(length).fill(-nll), new Uint32Array(length), 64);
    const summary = summarizeLikelihoods([document(1, 100), document(3, 100), document(9, 20)]);
    expect(summary?.byPosition).toMatchObject([
      { from: 0, nll: 13 / 3, documentCount: 3, tokenCount: 148 },
      { from: 64, nll: 2, documentCount: 2, tokenCount: 72, interval: [1, 3] },
    ]);
    expect(summary?.pastWindow).toMatchObject({ from: 64, nll: 2, documentCount: 2 });
    expect(summarizeLikelihoods([document(1, 20)])?.pastWindow).toBeUndefined();
    expect(summarizeLikelihoods([])).toBeUndefined();
  });
});

describe("bitsPerByte", () => {
  const document = (bits: number, byteCount?: number) => ({
    ...sumLikelihoods(new Float64Array([-bits * Math.LN2]), new Uint32Array(1), 64),
    byteCount,
  });

  it("divides all bits by all bytes", () => {
    expect(bitsPerByte([document(8, 4), document(16, 20)])).toBeCloseTo(1, 12);
    expect(summarizeLikelihoods([document(6, 4)])?.bitsPerByte).toBeCloseTo(1.5, 12);
  });

  it("is not known where some document's bytes are not", () => {
    expect(bitsPerByte([document(8, 4), document(16)])).toBeUndefined();
    expect(bitsPerByte([document(0, 0)])).toBeUndefined();
  });
});
