import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InternalError } from "../errors.ts";
import { chooseHighest, TokenNumbers, type TokenNumbersShape } from "./token-numbers.ts";

/** Few different ones, so that there are ties. */
const scores = fc.array(
  fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(-0, 0, Number.NaN, Infinity, -Infinity)),
  {
    minLength: 1,
    maxLength: 40,
  },
);

describe("chooseHighest", () => {
  it("chooses as sorting by score and then by age would", () => {
    fc.assert(
      fc.property(scores, fc.nat(40), (given, wish) => {
        const count = Math.min(wish, given.length);
        const rank = (place: number): number => {
          const score = given[place] ?? Number.NaN;
          return Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score;
        };
        const order = given
          .map((_, place) => place)
          .sort((a, b) => (rank(a) === rank(b) ? b - a : rank(b) - rank(a)));
        const expected = order.slice(0, count).sort((a, b) => a - b);
        expect([...chooseHighest(Float32Array.from(given), count)]).toEqual(expected);
      }),
    );
  });

  it("leaves the scores as they are", () => {
    const given = Float32Array.of(3, 1, 2);
    chooseHighest(given, 1);
    expect([...given]).toEqual([3, 1, 2]);
  });
});

const shape: TokenNumbersShape = {
  layerCount: 2,
  headCount: 3,
  kinds: [{ kind: "retention", rowsPerHead: 1 }],
  capacityTokens: 9,
  dtype: "float32",
};
const rowCount = 6;

function fill(tokenCount: number): TokenNumbers {
  const numbers = new TokenNumbers(shape);
  const data = Float32Array.from({ length: rowCount * tokenCount }, (_, at) => {
    return 100 * Math.floor(at / tokenCount) + (at % tokenCount);
  });
  numbers.write(data, 0, tokenCount);
  return numbers;
}

describe("the numbers of tokens", () => {
  it("lie by layer, head and place", () => {
    const numbers = fill(7);
    numbers.write(
      Float32Array.from({ length: rowCount }, (_, row) => -row),
      7,
      1,
    );
    expect([...(numbers.row("retention", 1, 2) ?? [])]).toEqual([500, 501, 502, 503, 504, 505, 506, -5, 0]);
    expect([...numbers.export(8)].slice(0, 9)).toEqual([0, 1, 2, 3, 4, 5, 6, -0, 100]);
    expect(numbers.sizeBytes).toBe(4 * rowCount * 9);
  });

  it("keep for each head what it chose, and what follows the candidates", () => {
    const numbers = fill(9);
    const before = numbers.clone();
    const chosen = Int32Array.from([0, 1, 0, 2, 0, 3, 1, 2, 1, 3, 2, 3]);
    numbers.keep(chosen, { from: 2, count: 4, keep: 2 });
    for (let row = 0; row < rowCount; row++) {
      const [a = 0, b = 0] = chosen.subarray(2 * row, 2 * row + 2);
      const expected = [0, 1, 2 + a, 2 + b, 6, 7, 8].map((place) => 100 * row + place);
      const held = numbers.row("retention", Math.floor(row / 3), row % 3) ?? [];
      expect([...held].slice(0, 7)).toEqual(expected);
    }
    expect(before.export(9)).toEqual(fill(9).export(9));
  });

  it("are added up in float64 where they say so: those held, and new ones behind the cache's places", () => {
    const numbers = new TokenNumbers({ ...shape, dtype: "float64" });
    const give = (places: number, heldTokens: number, tokenCount: number, value: number): void => {
      const given = new Float32Array(rowCount * (places + tokenCount)).fill(value);
      numbers.add(given, { places, heldTokens, tokenCount });
    };
    give(4, 0, 3, 2 ** 24);
    give(5, 3, 2, 1);
    expect([...(numbers.row("retention", 1, 1) ?? [])].slice(0, 5)).toEqual([
      ...new Array<number>(3).fill(2 ** 24 + 1),
      1,
      1,
    ]);
    expect(numbers.export(5)).toBeInstanceOf(Float64Array);
    expect(() => numbers.add(new Float32Array(1), { places: 1, heldTokens: 1, tokenCount: 1 })).toThrow(
      InternalError,
    );
    numbers.clear();
    expect(numbers.export(5)).toEqual(new Float64Array(5 * rowCount));
  });

  it("refuse a count that is not theirs", () => {
    expect(() => fill(2).write(new Float32Array(rowCount + 1), 2, 1)).toThrow(InternalError);
  });
});
