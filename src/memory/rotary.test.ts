import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rotaryTables, rotateRows } from "./rotary.ts";

const frequencies = Float64Array.of(1, 0.25, 0.01);
const kind = { inverseFrequencies: frequencies, rotaryScale: 1 };
const size = 2 * frequencies.length;

const rowArbitrary = fc
  .array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: size, maxLength: size })
  .map((values) => Float32Array.from(values));

function rotated(row: Float32Array, position: number): Float32Array {
  const result = new Float32Array(row.length);
  rotateRows(row, result, frequencies, position, size);
  return result;
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? Number.NaN), 0);
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return Math.max(...a.map((value, index) => Math.abs(value - (b[index] ?? Number.NaN))));
}

describe("rotaryTables", () => {
  it("holds cosines and sines of position times frequency, a row a position", () => {
    const { cos, sin } = rotaryTables(kind, 7, 2);
    expect(cos.shape).toEqual([1, 2, 3]);
    expect(sin.shape).toEqual([1, 2, 3]);
    const angles = [7, 7 * 0.25, 7 * 0.01, 8, 8 * 0.25, 8 * 0.01];
    expect([...cos.data]).toEqual(angles.map((angle) => Math.fround(Math.cos(angle))));
    expect([...sin.data]).toEqual(angles.map((angle) => Math.fround(Math.sin(angle))));
  });

  it("undoes the rotation in direction -1", () => {
    const there = rotaryTables(kind, 5, 3);
    const back = rotaryTables(kind, 5, 3, -1);
    expect(back.cos.data).toEqual(there.cos.data);
    expect(back.sin.data).toEqual(there.sin.data.map((value) => -value));
  });

  it("scales what it rotates, and undoes that in direction -1", () => {
    const scaled = { ...kind, rotaryScale: 1.5 };
    const [plain, there, back] = [
      rotaryTables(kind, 5, 2),
      rotaryTables(scaled, 5, 2),
      rotaryTables(scaled, 5, 2, -1),
    ];
    for (const [index, cos] of plain.cos.data.entries()) {
      expect(there.cos.data[index]).toBeCloseTo(1.5 * cos, 6);
      expect(back.cos.data[index]).toBeCloseTo(cos / 1.5, 6);
      expect(back.sin.data[index]).toBeCloseTo(-(plain.sin.data[index] ?? 0) / 1.5, 6);
    }
  });

  it("gives the same numbers wherever a table begins, and whatever was asked for before", () => {
    const direct = (first: number, count: number): number[] =>
      Array.from({ length: count * 3 }, (_, at) =>
        Math.fround(Math.sin((first + Math.floor(at / 3)) * (frequencies[at % 3] ?? 0))),
      );
    const stretch = fc.record({ first: fc.nat(100_000_000), count: fc.nat(300) });
    fc.assert(
      fc.property(fc.array(stretch, { minLength: 1, maxLength: 5 }), (stretches) => {
        for (const { first, count } of stretches)
          expect([...rotaryTables(kind, first, count).sin.data]).toEqual(direct(first, count));
      }),
    );
    // More than is kept of these frequencies, and back to the beginning.
    for (const first of [0, 100_000, 0])
      expect([...rotaryTables(kind, first, 50_000).sin.data]).toEqual(direct(first, 50_000));
  });

  it("is empty for no positions", () => {
    expect(rotaryTables(kind, 5, 0).cos).toMatchObject({ shape: [1, 0, 3], data: new Float32Array() });
  });
});

describe("rotateRows", () => {
  it("rotates pairs (i, i + D/2) by the angles of the tables", () => {
    fc.assert(
      fc.property(rowArbitrary, fc.nat(10_000), (row, position) => {
        const { cos, sin } = rotaryTables(kind, position, 1);
        const expected = row.map((value, index) => {
          const pair = index % frequencies.length;
          const other = index < frequencies.length ? -(row[pair + 3] ?? 0) : (row[pair] ?? 0);
          return value * (cos.data[pair] ?? 0) + other * (sin.data[pair] ?? 0);
        });
        // Tables are rounded to float32 and multiply values up to 2, twice.
        expect(largestDifference(rotated(row, position), expected)).toBeLessThan(1e-6);
      }),
    );
  });

  it("rotates every row by the same positions, also in place", () => {
    const rows = Float32Array.from({ length: 4 * size }, (_, index) => Math.sin(index));
    const expected = [0, 1, 2, 3].flatMap((row) => [...rotated(rows.slice(row * size, (row + 1) * size), 9)]);
    const copy = new Float32Array(rows.length);
    rotateRows(rows, copy, frequencies, 9, size);
    expect([...copy]).toEqual(expected);
    rotateRows(rows, rows, frequencies, 9, size);
    expect([...rows]).toEqual(expected);
  });

  it("leaves the end of a head as it is when there are fewer frequencies than pairs", () => {
    const rows = Float32Array.from({ length: 2 * (size + 3) }, (_, index) => Math.sin(index));
    const turned = new Float32Array(rows.length);
    rotateRows(rows, turned, frequencies, 9, size + 3);
    for (const start of [0, size + 3]) {
      expect([...turned.slice(start, start + size)]).toEqual([
        ...rotated(rows.slice(start, start + size), 9),
      ]);
      expect(turned.slice(start + size, start + size + 3)).toEqual(
        rows.slice(start + size, start + size + 3),
      );
    }
  });

  it("is undone by the same number of positions back", () => {
    fc.assert(
      fc.property(rowArbitrary, fc.integer({ min: -1e6, max: 1e6 }), (row, position) => {
        expect(largestDifference(rotated(rotated(row, position), -position), row)).toBeLessThan(1e-6);
      }),
    );
  });

  it("leaves scores to the distance alone, up to positions of 10^8", () => {
    fc.assert(
      fc.property(rowArbitrary, rowArbitrary, fc.nat(2000), fc.nat(100_000_000), (q, k, distance, base) => {
        const near = dot(rotated(q, distance), k);
        const far = dot(rotated(q, base + distance), rotated(k, base));
        // Scores reach 24; float32 rounding of six products of up to 8 is 5e-6.
        expect(Math.abs(far - near)).toBeLessThan(1e-5);
      }),
    );
  });
});
