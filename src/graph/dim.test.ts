import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ShapeError } from "../errors.ts";
import {
  addDims,
  bindDim,
  broadcastShapes,
  type Dim,
  evaluateDim,
  multiplyDims,
  sameElementCount,
} from "./dim.ts";

const symbols = ["A", "B", "long_name2"];
const count = fc.nat({ max: 9 });
const dims: fc.Arbitrary<Dim> = fc
  .tuple(count, count, count, count)
  .map(([a, b, c, constant]) =>
    addDims(...[a, b, c].map((factor, index) => multiplyDims(factor, symbols[index] ?? 0)), constant),
  );
const bindings = fc
  .tuple(count, count, count)
  .map((values) => new Map(values.map((value, index) => [symbols[index] ?? "", value])));

describe("addDims", () => {
  it.each<[Dim[], Dim]>([
    [[], 0],
    [["T"], "T"],
    [["T", 0], "T"],
    [[2, 3], 5],
    [["T", "P", "T"], "P+2*T"],
    [["P+2*T+1", 3, "T"], "P+3*T+4"],
    [["2+T+1"], "T+3"],
  ])("adds %j to %j", (given, sum) => {
    expect(addDims(...given)).toBe(sum);
  });

  it("is commutative and associative, to the very string", () => {
    fc.assert(
      fc.property(dims, dims, dims, (a, b, c) => {
        expect(addDims(a, b)).toBe(addDims(b, a));
        expect(addDims(addDims(a, b), c)).toBe(addDims(a, addDims(b, c)));
      }),
    );
  });

  it("and evaluateDim change places", () => {
    fc.assert(
      fc.property(dims, dims, bindings, (a, b, values) => {
        expect(evaluateDim(addDims(a, b), values)).toBe(evaluateDim(a, values) + evaluateDim(b, values));
      }),
    );
  });

  it.each<Dim>(["T-1", "", "2T", "T*2", "A*B", -1, 1.5])("refuses %j", (dim) => {
    expect(() => addDims(dim)).toThrow(ShapeError);
  });
});

describe("multiplyDims", () => {
  it.each<[Dim[], Dim]>([
    [[], 1],
    [[2, 3], 6],
    [[2, "T", 3], "6*T"],
    [["P+2*T+1", 2], "2*P+4*T+2"],
    [["T", 0], 0],
    [["T"], "T"],
  ])("multiplies %j to %j", (given, product) => {
    expect(multiplyDims(...given)).toBe(product);
  });

  it("and evaluateDim change places", () => {
    fc.assert(
      fc.property(dims, count, bindings, (dim, factor, values) => {
        expect(evaluateDim(multiplyDims(dim, factor), values)).toBe(factor * evaluateDim(dim, values));
      }),
    );
  });

  it("refuses a product of symbols", () => {
    expect(() => multiplyDims("T", "P")).toThrow(/product of symbolic extents/);
  });
});

describe("evaluateDim", () => {
  it("names a symbol that is not bound", () => {
    expect(() => evaluateDim("T+P", new Map([["T", 1]]))).toThrow(/got "T\+P", expected P/);
  });
});

describe("bindDim", () => {
  it("finds the symbol that makes an extent its size", () => {
    fc.assert(
      fc.property(dims, bindings, (dim, values) => {
        const size = evaluateDim(dim, values);
        const known = new Map([...values].slice(1));
        expect(bindDim(dim, size, known)).toBe(true);
        expect(evaluateDim(dim, new Map([...values, ...known]))).toBe(size);
      }),
    );
  });

  it.each<[Dim, number, boolean]>([
    [3, 3, true],
    [3, 4, false],
    ["T", 2, true],
    ["T", 3, false],
    ["T+P", 1, false],
    ["2*P", 3, false],
    ["P+Q", 1, true],
  ])("matches %j with size %d where T = 2: %j", (dim, size, matches) => {
    expect(bindDim(dim, size, new Map([["T", 2]]))).toBe(matches);
  });
});

describe("sameElementCount", () => {
  it.each<[Dim[], Dim[], boolean]>([
    [[], [1], true],
    [[2, 3], [6], true],
    [[2, 3], [5], false],
    [["T", 4], [2, "T", 2], true],
    [["2*T+4", 3], ["T+2", 6], true],
    [["T", "P"], ["P", 1, "T"], true],
    [["T"], ["P"], false],
    [["T", "T"], ["T"], false],
    [["T", 0], [0, "P"], true],
  ])("of %j and %j: %j", (a, b, same) => {
    expect(sameElementCount(a, b)).toBe(same);
  });
});

describe("broadcastShapes", () => {
  it.each<[Dim[][], Dim[]]>([
    [[], []],
    [[[2, 3]], [2, 3]],
    [
      [
        [2, 1, 3],
        [4, 1],
      ],
      [2, 4, 3],
    ],
    [
      [[], ["T", 3], [1, 1]],
      ["T", 3],
    ],
    [
      [
        [0, 3],
        [1, 3],
      ],
      [0, 3],
    ],
  ])("of %j gives %j", (shapes, shape) => {
    expect(broadcastShapes("here", ...shapes)).toEqual(shape);
  });

  it.each<[Dim[], Dim[]]>([
    [[2], [3]],
    [[0], [2]],
    [["T"], [2]],
    [["T"], ["P"]],
  ])("refuses %j and %j", (a, b) => {
    expect(() => broadcastShapes("here", a, b)).toThrow(/^here: shapes do not broadcast/);
  });
});
