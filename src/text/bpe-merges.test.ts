import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CountedWord, findMerges, type Merge } from "./bpe-merges.ts";

/** The definition: all pairs counted anew before each merge, the smallest of the most frequent taken. */
function* countAnew(
  words: readonly CountedWord[],
  leastCount: number,
  firstSymbol: number,
): Generator<Merge> {
  let current = words.map(({ symbols, count }) => ({ symbols: [...symbols], count }));
  for (let symbol = firstSymbol; ; symbol++) {
    const counts = new Map<string, number>();
    for (const { symbols, count } of current) {
      for (let index = 1; index < symbols.length; index++) {
        const pair = `${symbols[index - 1]},${symbols[index]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + count);
      }
    }
    const most = Math.max(0, ...counts.values());
    if (most < leastCount || most === 0) return;
    const [merge] = [...counts]
      .filter(([, count]) => count === most)
      .map(([pair]) => pair.split(",").map(Number))
      .sort(([a = 0, b = 0], [c = 0, d = 0]) => a - c || b - d);
    const [first = 0, second = 0] = merge ?? [];
    current = current.map(({ symbols, count }) => {
      const merged: number[] = [];
      for (let index = 0; index < symbols.length; index++) {
        if (symbols[index] === first && symbols[index + 1] === second) {
          merged.push(symbol);
          index++;
        } else merged.push(symbols[index] ?? 0);
      }
      return { symbols: merged, count };
    });
    yield [first, second];
  }
}

function merge(words: readonly CountedWord[], leastCount: number, firstSymbol: number): Merge[] {
  let next = firstSymbol;
  return [...findMerges(words, leastCount, () => next++)];
}

const wordsOf = (...words: readonly (readonly [string, number])[]): CountedWord[] =>
  words.map(([text, count]) => ({ symbols: [...text].map((letter) => letter.charCodeAt(0)), count }));

describe("findMerges", () => {
  it("merges the most frequent pairs first", () => {
    const [l, o, w, e, r] = [..."lower"].map((letter) => letter.charCodeAt(0));
    // lo and ow occur 7 times: the smaller symbols go first. Of we, er and low + e there are 2.
    expect(merge(wordsOf(["low", 5], ["lower", 2]), 3, 200)).toEqual([
      [l, o],
      [200, w],
    ]);
    expect(merge(wordsOf(["er", 2]), 1, 200)).toEqual([[e, r]]);
    expect(merge(wordsOf(["e", 2]), 1, 200)).toEqual([]);
    expect(merge([], 1, 200)).toEqual([]);
  });

  it("takes pairs of one symbol from the left", () => {
    const a = "a".charCodeAt(0);
    expect(merge(wordsOf(["aaaaa", 1]), 1, 200)).toEqual([
      [a, a],
      [200, a],
      [200, 201],
    ]);
  });

  it("agrees with counting everything anew before each merge", () => {
    const word = fc.record({
      symbols: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 12 }),
      count: fc.integer({ min: 1, max: 5 }),
    });
    const property = fc.property(
      fc.array(word, { maxLength: 12 }),
      fc.integer({ min: 1, max: 4 }),
      (words, least) => {
        expect(merge(words, least, 100)).toEqual([...countAnew(words, least, 100)]);
      },
    );
    fc.assert(property, { numRuns: 300 });
  });

  it("goes on rightly when a merge makes a symbol that was there", () => {
    // ab + c and a + bc are one symbol here, as they are one text.
    const names = new Map<string, number>();
    const texts = ["a", "b", "c", "d"];
    const name = ([first, second]: Merge): number => {
      const text = `${texts[first]}${texts[second]}`;
      const symbol = names.get(text) ?? texts.push(text) - 1;
      names.set(text, symbol);
      return symbol;
    };
    const words = [
      { symbols: [0, 1, 2], count: 5 },
      { symbols: [1, 2], count: 9 },
      { symbols: [0, 1], count: 8 },
      { symbols: [3, 0, 1, 2], count: 1 },
    ];
    const merges = [...findMerges(words, 1, name)].map(([first, second]) => [texts[first], texts[second]]);
    expect(merges).toEqual([
      ["b", "c"],
      ["a", "b"],
      ["a", "bc"],
      ["d", "abc"],
    ]);
  });
});
