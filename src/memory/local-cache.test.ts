import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tinyGeometry } from "../../test/support/tiny-geometry.ts";
import { InternalError } from "../errors.ts";
import { hostFloats, type Tensor } from "../runtime/tensor-memory.ts";
import { LocalCache, type LocalCacheOptions } from "./local-cache.ts";

const geometry = tinyGeometry({ layerCount: 2, keyValueHeadCount: 3, headSize: 2 });
const headCount = 2 * 3;

/** Keeps one head's tokens as an array of numbers: key n of head h is h + n / 1000, and so on. */
type Rows = number[];

/** Is the naive model: each head's rows, a number a token. */
interface Naive {
  heads: Rows[];
  next: number;
}

const keyPair = (row: number): number[] => [row, row + 0.25];
const valuePair = (row: number): number[] => [-row, 0.5 - row];

function append(cache: LocalCache, naive: Naive, count: number, spareRows: number): void {
  const rows = Array.from({ length: headCount }, (_, head) =>
    Array.from({ length: count }, (_, index) => head * 10_000 + naive.next + index),
  );
  naive.next += count;
  cache.reserve(count);
  const flat = (layer: number, expand: (row: number) => number[]): Float32Array =>
    Float32Array.from(
      rows
        .slice(layer * 3, layer * 3 + 3)
        // A graph may give more rows than count: those of padding.
        .flatMap((head) => [...head, ...new Array<number>(spareRows).fill(9e5)].flatMap(expand)),
    );
  for (const layer of [0, 1]) cache.write(layer, flat(layer, keyPair), flat(layer, valuePair), count);
  cache.advance(count);
  naive.heads = naive.heads.map((head, index) => [...head, ...(rows[index] ?? [])]);
}

async function expectSame(
  cache: LocalCache,
  naive: Naive,
  { capacityTokens }: LocalCacheOptions,
): Promise<void> {
  const used = naive.heads[0]?.length ?? 0;
  const { places } = cache;
  expect(cache.usedTokens).toBe(used);
  expect(places).toBeGreaterThanOrEqual(used);
  expect(places).toBeLessThanOrEqual(capacityTokens);
  const heldOf = (data: Float32Array): number[] =>
    naive.heads.flatMap((_, head) => [...data.subarray(head * places * 2, (head * places + used) * 2)]);
  const keys = naive.heads.flat().flatMap(keyPair);
  const values = naive.heads.flat().flatMap(valuePair);
  const held = (view: (layer: number) => Tensor): number[] =>
    heldOf(Float32Array.from([0, 1].flatMap((layer) => [...hostFloats(view(layer), "cache")])));
  expect(cache.keys(1).shape).toEqual([3, 1, places, 2]);
  expect(cache.values(0).shape).toEqual([3, 1, places, 2]);
  expect(held((layer) => cache.keys(layer))).toEqual(keys);
  expect(held((layer) => cache.values(layer))).toEqual(values);
  const exported = await cache.export();
  expect([...exported.keys]).toEqual(keys);
  expect([...exported.values]).toEqual(values);
}

type Step =
  | { readonly kind: "append"; readonly count: number; readonly spareRows: number }
  | { readonly kind: "drop"; readonly from: number; readonly count: number }
  | { readonly kind: "clone" | "reload" | "overfill" };

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("append"), count: fc.nat(90), spareRows: fc.nat(2) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("drop"), from: fc.nat(99), count: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("clone", "reload", "overfill") }) },
);

const optionsArbitrary: fc.Arbitrary<LocalCacheOptions> = fc
  .record({ capacityTokens: fc.integer({ min: 1, max: 260 }), settled: fc.nat(100), initial: fc.nat(100) })
  .chain(({ capacityTokens, settled, initial }) => {
    const settledTokens = Math.floor((capacityTokens * settled) / 100);
    const initialTokens = 1 + Math.floor(((capacityTokens - 1) * initial) / 100);
    return fc.constantFrom(
      { capacityTokens, settledTokens },
      { capacityTokens, settledTokens, initialTokens },
    );
  });

/** Applies a step as far as it fits; returns the cache to go on with. */
async function apply(
  cache: LocalCache,
  naive: Naive,
  step: Step,
  options: LocalCacheOptions,
): Promise<LocalCache> {
  const used = cache.usedTokens;
  switch (step.kind) {
    case "append":
      append(cache, naive, Math.min(step.count, options.capacityTokens - used), step.spareRows);
      return cache;
    case "drop": {
      const from = Math.min(step.from, used);
      const count = Math.min(step.count, used - from);
      cache.drop(from, count);
      for (const head of naive.heads) head.splice(from, count);
      return cache;
    }
    case "clone": {
      const twin = cache.clone();
      // What happens to the old one must not show in the new one.
      cache.drop(0, used);
      append(cache, { heads: [], next: 5000 }, Math.min(1, options.capacityTokens), 0);
      return twin;
    }
    case "reload": {
      const { keys, values } = await cache.export();
      const fresh = new LocalCache(geometry, options);
      fresh.import(keys, values, used);
      return fresh;
    }
    case "overfill":
      expect(() => cache.reserve(options.capacityTokens - used + 1)).toThrow(InternalError);
      return cache;
  }
}

describe("LocalCache", () => {
  it("holds, after any steps, what an array of rows would hold", async () => {
    await fc.assert(
      fc.asyncProperty(
        optionsArbitrary,
        fc.array(stepArbitrary, { maxLength: 12 }),
        async (options, steps) => {
          let cache = new LocalCache(geometry, options);
          const naive: Naive = { heads: Array.from({ length: headCount }, () => []), next: 1 };
          for (const step of steps) {
            cache = await apply(cache, naive, step, options);
            await expectSame(cache, naive, options);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("has a constant size unless it is told to begin small", () => {
    const options = { capacityTokens: 200, settledTokens: 120 };
    const cache = new LocalCache(geometry, options);
    const naive: Naive = { heads: Array.from({ length: headCount }, () => []), next: 1 };
    const sizeBytes = 2 * headCount * 200 * 2 * 4;
    for (const count of [0, 1, 70, 50, 79]) {
      expect(cache.sizeBytes).toBe(sizeBytes);
      append(cache, naive, count, 0);
    }
    const small = new LocalCache(geometry, { ...options, initialTokens: 10 });
    expect(small.sizeBytes).toBeLessThan(sizeBytes / 2);
    append(small, { heads: [], next: 1 }, 200, 0);
    expect(small.sizeBytes).toBe(sizeBytes);
  });

  it("has few places beyond its tokens: steps of 64, none at the settled size", () => {
    const cache = new LocalCache(geometry, { capacityTokens: 200, settledTokens: 120 });
    const naive: Naive = { heads: Array.from({ length: headCount }, () => []), next: 1 };
    const seen = new Map<number, number>();
    for (let tokens = 0; tokens < 200; tokens++) {
      append(cache, naive, 1, 0);
      seen.set(cache.places, tokens + 1);
    }
    // Places, and the most tokens that they were seen with.
    expect([...seen]).toEqual([
      [64, 64],
      [120, 120],
      [184, 184],
      [200, 200],
    ]);
    cache.drop(0, 80);
    expect(cache.places).toBe(120);
  });

  it("gives and replaces the first keys of every head", async () => {
    const cache = new LocalCache(geometry, { capacityTokens: 9, settledTokens: 4 });
    const naive: Naive = { heads: Array.from({ length: headCount }, () => []), next: 1 };
    append(cache, naive, 5, 0);
    const first = await cache.readKeys(2);
    expect([...first]).toEqual(naive.heads.flatMap((head) => head.slice(0, 2).flatMap(keyPair)));
    cache.replaceKeys(
      2,
      first.map((key) => -key),
    );
    for (const head of naive.heads) {
      head[0] = -(head[0] ?? 0);
      head[1] = -(head[1] ?? 0);
    }
    const negated = (row: number): number[] => keyPair(Math.abs(row)).map((key) => (row < 0 ? -key : key));
    expect([...(await cache.export()).keys]).toEqual(naive.heads.flat().flatMap(negated));
  });
});
