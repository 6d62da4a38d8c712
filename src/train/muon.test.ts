import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createReferenceRuntime } from "../runtime/reference/interpreter.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { makeAdamW } from "./adamw.ts";
import { createMuon, type MuonOptions } from "./muon.ts";
import { type OptimizerState, standardGroups } from "./optimizer.ts";
import { buildOrthogonalization, stackNames } from "./orthogonalize.ts";

const runtime = createReferenceRuntime();

/** Returns the rows of an orthonormal basis: the identity, turned in each plane of two neighbours. */
function turnBasis(angles: readonly number[]): number[][] {
  const size = angles.length + 1;
  const rows = Array.from({ length: size }, (_, row) =>
    Array.from({ length: size }, (__, at) => +(at === row)),
  );
  angles.forEach((angle, at) => {
    const [a = [], b = []] = [rows[at], rows[at + 1]];
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    rows[at] = a.map((value, column) => cos * value - sin * (b[column] ?? 0));
    rows[at + 1] = a.map((value, column) => sin * value + cos * (b[column] ?? 0));
  });
  return rows;
}

/** Sums stretch_k left_k right_k^T. */
function compose(stretches: readonly number[], left: number[][], right: number[][]): Float32Array {
  const [rows, columns] = [left.length, right.length];
  return Float32Array.from({ length: rows * columns }, (_, place) => {
    const [row, column] = [Math.floor(place / columns), place % columns];
    return stretches.reduce((sum, s, k) => sum + s * (left[k]?.[row] ?? 0) * (right[k]?.[column] ?? 0), 0);
  });
}

/** Returns left_k^T M right_l for all k and l: what a matrix does between two bases. */
function express(matrix: Float32Array, left: number[][], right: number[][]): number[][] {
  const columns = right.length;
  return left.map((a) =>
    right.map((b) =>
      a.reduce(
        (sum, x, row) => sum + x * b.reduce((dot, y, at) => dot + y * (matrix[row * columns + at] ?? 0), 0),
        0,
      ),
    ),
  );
}

const angles = (size: number) =>
  fc.array(fc.double({ min: 0, max: 6.28, noNaN: true }), { minLength: size - 1, maxLength: size - 1 });
const stretches = fc.array(fc.double({ min: 0.05, max: 1, noNaN: true }), { minLength: 3, maxLength: 3 });

describe("orthogonalization", () => {
  it.each([
    [3, 5],
    [5, 3],
    [3, 3],
  ])("of %i x %i keeps the singular vectors and brings the singular values near 1", async (rows, columns) => {
    const property = fc.asyncProperty(angles(rows), angles(columns), stretches, async (a, b, stretch) => {
      const [left, right] = [turnBasis(a), turnBasis(b)];
      const given = compose(stretch, left, right);
      // A second matrix in the stack: each is normalised by itself.
      const both = Float32Array.from([...given, ...given.map((value) => -1000 * value)]);
      await using session = await runtime.createSession(
        buildOrthogonalization([{ count: 2, rows, columns }]),
      );
      const feeds = { [stackNames.given(0)]: hostTensor("float32", [2, rows, columns], both) };
      const results = await session.run(feeds);
      const got = hostFloats(results[stackNames.orthogonal(0)], "orthogonal");
      for (const [place, sign] of [1, -1].entries()) {
        const part = got.slice(place * rows * columns, (place + 1) * rows * columns);
        for (const [k, row] of express(part, left, right).entries()) {
          for (const [l, value] of row.entries()) {
            if (k !== l || k >= 3) expect(Math.abs(value)).toBeLessThan(1e-4);
            else expect(Math.abs(sign * value - 0.95)).toBeLessThan(0.3);
          }
        }
      }
    });
    await fc.assert(property, { numRuns: 30 });
  });

  it("leaves zeros as they are", async () => {
    await using session = await runtime.createSession(
      buildOrthogonalization([{ count: 1, rows: 2, columns: 3 }]),
    );
    const results = await session.run({
      [stackNames.given(0)]: hostTensor("float32", [1, 2, 3], new Float32Array(6)),
    });
    expect([...hostFloats(results[stackNames.orthogonal(0)], "orthogonal")]).toEqual(Array(6).fill(0));
  });
});

const create = (changes: Partial<MuonOptions> = {}) =>
  createMuon({
    matrices: new Map([
      ["a.weight", [2, 3]],
      ["b.weight", [2, 3]],
      ["c.weight", [4, 1]],
    ]),
    others: makeAdamW(),
    runtime,
    groups: standardGroups(0),
    ...changes,
  });

const parametersOf = (): Map<string, Float32Array> =>
  new Map([
    ["a.weight", Float32Array.from([1, 2, 3, 4, 5, 6])],
    ["norm.weight", Float32Array.from([1, 1])],
    ["b.weight", Float32Array.from([0, 0, 0, 1, 1, 1])],
    ["c.weight", Float32Array.from([1, 1, 1, 1])],
  ]);

const slopesOf = (scale: number): Map<string, Float32Array> =>
  new Map(
    [...parametersOf()].map(([name, array]) => [
      name,
      array.map((_, index) => scale * Math.sin(1 + index + name.charCodeAt(0))),
    ]),
  );

describe("Muon", () => {
  it("moves a column by 0.2 sqrt(4) rates along its gradient, however small that is", async () => {
    await using optimizer = await create();
    const parameters = parametersOf();
    const gradients = slopesOf(1e-3);
    const moved = gradients.get("c.weight") ?? new Float32Array();
    const norm = Math.hypot(...moved);
    const state = await optimizer.update(parameters, gradients, optimizer.init(parameters), 0.1);
    expect(state.step).toBe(1);
    const step = [...(parameters.get("c.weight") ?? [])].map((value) => (1 - value) / (0.1 * 0.2 * 2));
    const along = step.reduce((sum, value, index) => sum + (value * (moved[index] ?? 0)) / norm, 0);
    expect(along).toBeCloseTo(Math.hypot(...step), 5);
    expect(Math.abs(along - 0.95)).toBeLessThan(0.3);
  });

  it("moves the rest as the other optimizer does, and decays matrices", async () => {
    const groups = standardGroups(0.5);
    const others = makeAdamW({ groups });
    await using optimizer = await create({ groups, others });
    const [parameters, alone] = [parametersOf(), parametersOf()];
    const zeros = slopesOf(0);
    zeros.set("norm.weight", Float32Array.from([0.3, -2]));
    await optimizer.update(parameters, zeros, optimizer.init(parameters), 0.1);
    await others.update(alone, zeros, others.init(alone), 0.1);
    // Without a gradient both shrink matrices by rate times decay.
    for (const [name, array] of alone)
      expect([...(parameters.get(name) ?? [])]).toEqual([...array].map((value) => expect.closeTo(value, 6)));
  });

  it("continues from a copied state bit for bit", async () => {
    const clone = (arrays: ReadonlyMap<string, Float32Array>) =>
      new Map([...arrays].map(([name, array]) => [name, array.slice()]));
    await using optimizer = await create();
    const whole = parametersOf();
    let state = optimizer.init(whole);
    for (const scale of [1, -0.3]) state = await optimizer.update(whole, slopesOf(scale), state, 0.01);
    await using other = await create();
    const resumed = clone(whole);
    let copy: OptimizerState = { ...state, first: clone(state.first), second: clone(state.second) };
    for (const scale of [2, 0.1]) {
      state = await optimizer.update(whole, slopesOf(scale), state, 0.01);
      copy = await other.update(resumed, slopesOf(scale), copy, 0.01);
    }
    expect(resumed).toEqual(whole);
    expect(copy).toEqual(state);
  });

  it("refuses what does not fit, by name", async () => {
    await expect(create({ momentum: 1 })).rejects.toThrow(/Muon: momentum: out of range, got 1/);
    await using optimizer = await create();
    const parameters = parametersOf();
    const state = optimizer.init(parameters);
    await expect(optimizer.update(parameters, slopesOf(1), state, -1)).rejects.toThrow(/learning rate/);
    await expect(optimizer.update(parameters, new Map(), state, 0.1)).rejects.toThrow(/a\.weight/);
    const short = new Map([...parameters, ["c.weight", new Float32Array(3)]] as const);
    await expect(optimizer.update(short, short, optimizer.init(short), 0.1)).rejects.toThrow(
      /c\.weight.*got 3, expected 4 times 1 elements/,
    );
    const less = new Map([...parameters].filter(([name]) => name !== "b.weight"));
    await expect(optimizer.update(less, less, optimizer.init(less), 0.1)).rejects.toThrow(/b\.weight/);
  });
});
