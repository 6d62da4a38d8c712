import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { poolScores } from "./candidate-scores.ts";

/** A cache of sinks, old candidates, new ones and what lies behind. */
const rows = fc
  .record({
    sinks: fc.nat(3),
    old: fc.nat(6),
    fresh: fc.integer({ min: 1, max: 9 }),
    behind: fc.nat(9),
    reach: fc.nat(4),
  })
  .chain(({ sinks, old, fresh, behind, reach }) => {
    const [newFrom, to] = [sinks + old, sinks + old + fresh];
    const end = to + behind;
    return fc.record({
      // A sum never is -0.
      row: fc
        .float32Array({ minLength: end, maxLength: end, noNaN: true, min: -100, max: 100 })
        .map((row) => row.map((score) => score + 0)),
      stretch: fc.constant({ from: sinks, newFrom, to, end }),
      kernel: fc.constant(2 * reach + 1),
    });
  });

describe("poolScores", () => {
  it("gives the mean of a token and its neighbours, by hand", () => {
    const row = Float32Array.of(9, 7, 1, 2, 6, 4, 100);
    // A sink, an old candidate, three new ones, and one token behind; the last place is empty.
    const stretch = { from: 1, newFrom: 2, to: 5, end: 6 };
    expect([...poolScores(row, stretch, 3)]).toEqual([7, 1.5, 3, 4]);
    expect([...row]).toEqual([9, 7, 1, 2, 6, 4, 100]);
    expect([...poolScores(row, stretch, 9)]).toEqual([7, 3.25, 3.25, 3.25]);
  });

  it("leaves old candidates as they are, and all with a kernel of one", () => {
    fc.assert(
      fc.property(rows, ({ row, stretch, kernel }) => {
        const { from, newFrom, to } = stretch;
        const pooled = poolScores(row, stretch, kernel);
        expect(pooled).toHaveLength(to - from);
        expect(pooled.subarray(0, newFrom - from)).toEqual(row.slice(from, newFrom));
        expect(poolScores(row, stretch, 1)).toEqual(row.slice(from, to));
      }),
    );
  });

  it("never leaves the range of the scores around a token, nor looks at what is older or not read", () => {
    fc.assert(
      fc.property(rows, ({ row, stretch, kernel }) => {
        const { from, newFrom, to, end } = stretch;
        const pooled = poolScores(row, stretch, kernel);
        for (let place = newFrom; place < to; place++) {
          const near = row.slice(
            Math.max(newFrom, place - (kernel - 1) / 2),
            Math.min(end, place + (kernel + 1) / 2),
          );
          expect(pooled[place - from]).toBeGreaterThanOrEqual(Math.min(...near));
          expect(pooled[place - from]).toBeLessThanOrEqual(Math.max(...near));
        }
      }),
    );
  });
});
