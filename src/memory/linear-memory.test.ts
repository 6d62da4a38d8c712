import { describe, expect, it } from "vitest";
import { tinyGeometry } from "../../test/support/tiny-geometry.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { verifyGraph } from "../graph/verify.ts";
import { createReferenceRuntime } from "../runtime/reference/interpreter.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { kindOfLayer } from "./geometry.ts";
import {
  buildLinearMemoryCommit,
  declareLinearMemory,
  LinearMemory,
  writeMemoryRead,
} from "./linear-memory.ts";
import { LocalCache } from "./local-cache.ts";
import { rotateRows } from "./rotary.ts";

const geometry = tinyGeometry({ layerCount: 2, queryHeadCount: 6, keyValueHeadCount: 2, headSize: 4 });
const { layerCount: L, queryHeadCount: H, keyValueHeadCount: K, headSize: D } = geometry;
const context = { sinkTokens: 2, slotTokens: 0, windowTokens: 3, segmentTokens: 5 };
const runtime = createReferenceRuntime();

const phi = (x: number): number => (x > 0 ? x + 1 : Math.exp(x));

/** Gives element `index` of a fixed sequence that looks random, in [-1.5, 1.5]. */
const noise = (index: number): number => 1.5 * Math.sin(index * 12.9898 + index * index * 0.7);

/** The key of a token before rotation, and its value: for layer, head, index in the stream and element. */
const keyAt = (l: number, k: number, n: number, d: number): number => noise(((l * K + k) * 97 + n) * D + d);
const valueAt = (l: number, k: number, n: number, d: number): number =>
  noise(5e4 + ((l * K + k) * 97 + n) * D + d);

/** Writes tokens of the stream into the cache, keys rotated at their index. */
function writeTokens(cache: LocalCache, from: number, count: number): void {
  cache.reserve(count);
  for (let l = 0; l < L; l++) {
    const tabulate = (at: typeof keyAt): Float32Array =>
      Float32Array.from({ length: K * count * D }, (_, i) =>
        at(l, Math.floor(i / (count * D)), from + (Math.floor(i / D) % count), i % D),
      );
    const keys = tabulate(keyAt);
    for (let row = 0; row < K * count; row++) {
      const key = keys.subarray(row * D, (row + 1) * D);
      rotateRows(key, key, kindOfLayer(geometry, l).inverseFrequencies, from + (row % count), D);
    }
    cache.write(l, keys, tabulate(valueAt), count);
  }
  cache.advance(count);
}

/** Sums phi(k) v^T and phi(k) over tokens of the stream, by the formula. */
function closedForm(tokens: readonly number[]): { matrix: number[]; normalizer: number[] } {
  const matrix: number[] = [];
  const normalizer: number[] = [];
  const sum = (term: (n: number) => number): number => tokens.reduce((total, n) => total + term(n), 0);
  for (let l = 0; l < L; l++) {
    for (let k = 0; k < K; k++) {
      for (let i = 0; i < D; i++) {
        normalizer.push(sum((n) => phi(keyAt(l, k, n, i))));
        for (let j = 0; j < D; j++) {
          matrix.push(sum((n) => phi(keyAt(l, k, n, i)) * valueAt(l, k, n, j)));
        }
      }
    }
  }
  return { matrix, normalizer };
}

function expectClose(got: Float32Array, expected: readonly number[]): void {
  expect(got).toHaveLength(expected.length);
  // Keys are rotated and back in float32; sums of ten terms of up to 4 round to 1e-6 of 40.
  got.forEach((value, index) => {
    expect(Math.abs(value - (expected[index] ?? Number.NaN))).toBeLessThan(2e-5);
  });
}

function filledMemory(matrix: Float32Array, normalizer: Float32Array): LinearMemory {
  const memory = new LinearMemory(geometry);
  memory.import(matrix, normalizer);
  return memory;
}

describe("the commit graph", () => {
  it("is sound", () => {
    verifyGraph(buildLinearMemoryCommit(geometry, context));
  });

  it("adds phi(k) v^T and phi(k) of the tokens behind the sinks, keys as they were before rotation", async () => {
    await using session = await runtime.createSession(buildLinearMemoryCommit(geometry, context));
    const cache = new LocalCache(geometry, { capacityTokens: 10, settledTokens: 5 });
    const memory = new LinearMemory(geometry);
    writeTokens(cache, 0, 10);
    await memory.write(session, cache, context, 2);
    const first = closedForm([2, 3, 4, 5, 6]);
    expectClose((await memory.export()).matrix, first.matrix);
    expectClose((await memory.export()).normalizer, first.normalizer);
    expect(cache.usedTokens).toBe(10);
    cache.drop(2, 5);
    writeTokens(cache, 10, 4);
    await memory.write(session, cache, context, 7);
    const both = closedForm([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expectClose((await memory.export()).matrix, both.matrix);
    expectClose((await memory.export()).normalizer, both.normalizer);
  });
});

describe("the delta rule", () => {
  it("writes of each value what the memory before the commit does not give for its key", async () => {
    await using session = await runtime.createSession(buildLinearMemoryCommit(geometry, context, "delta"));
    const cache = new LocalCache(geometry, { capacityTokens: 10, settledTokens: 5 });
    const memory = new LinearMemory(geometry);
    writeTokens(cache, 0, 10);
    await memory.write(session, cache, context, 2);
    // An empty memory gives nothing.
    const first = closedForm([2, 3, 4, 5, 6]);
    expectClose((await memory.export()).matrix, first.matrix);
    cache.drop(2, 5);
    writeTokens(cache, 10, 4);
    await memory.write(session, cache, context, 7);
    const second = [7, 8, 9, 10, 11];
    const expected: number[] = [];
    for (let head = 0; head < L * K; head++) {
      const [l, k] = [Math.floor(head / K), head % K];
      const features = (n: number) => Array.from({ length: D }, (_, i) => phi(keyAt(l, k, n, i)));
      const recalled = (n: number, j: number): number => {
        const own = features(n);
        const total = own.reduce((sum, x, i) => sum + x * (first.normalizer[head * D + i] ?? 0), 0);
        const sum = own.reduce((all, x, i) => all + x * (first.matrix[(head * D + i) * D + j] ?? 0), 0);
        return sum / total;
      };
      for (let i = 0; i < D; i++) {
        for (let j = 0; j < D; j++) {
          const added = second.map((n) => (features(n)[i] ?? 0) * (valueAt(l, k, n, j) - recalled(n, j)));
          expected.push(added.reduce((sum, x) => sum + x, first.matrix[(head * D + i) * D + j] ?? 0));
        }
      }
    }
    expectClose((await memory.export()).matrix, expected);
    const both = closedForm([2, 3, 4, 5, 6, ...second]);
    expectClose((await memory.export()).normalizer, both.normalizer);
  });
});

describe("LinearMemory", () => {
  it("is a matrix and a row a head: 4 L K D (D + 1) bytes", () => {
    expect(new LinearMemory(geometry).sizeBytes).toBe(4 * L * K * D * (D + 1));
  });

  it("feeds each layer its own part", () => {
    const matrix = Float32Array.from({ length: L * K * D * D }, (_, index) => index);
    const normalizer = Float32Array.from({ length: L * K * D }, (_, index) => -index);
    const feeds = filledMemory(matrix, normalizer).feeds();
    expect(feeds["memory_matrix.1"]).toEqual(hostTensor("float32", [K, D, D], matrix.slice(K * D * D)));
    expect(feeds["memory_normalizer.0"]).toEqual(
      hostTensor("float32", [K, D, 1], normalizer.slice(0, K * D)),
    );
  });

  it("clones and exports copies", async () => {
    const memory = filledMemory(new Float32Array(L * K * D * D).fill(1), new Float32Array(L * K * D));
    const twin = memory.clone();
    (await memory.export()).matrix.fill(2);
    hostFloats(memory.feeds()["memory_matrix.0"], "memory_matrix.0").fill(3);
    expect((await twin.export()).matrix.every((element) => element === 1)).toBe(true);
    expect((await memory.export()).matrix[0]).toBe(3);
  });
});

describe("the memory read", () => {
  const tokenCount = 3;
  const b = new GraphBuilder("read");
  const query = b.input("query", "float32", ["T", H, D]);
  const read = writeMemoryRead(b, geometry, query, declareLinearMemory(b, geometry, 1)).output;
  const graph = b.finish([b.named("read", read)]);
  const queries = Float32Array.from({ length: H * tokenCount * D }, (_, index) => noise(1e5 + index));

  async function run(memory: LinearMemory): Promise<Float32Array> {
    await using session = await runtime.createSession(graph);
    const feeds = memory.feeds();
    const own = Object.fromEntries(
      session.inputNames.flatMap((name) => (feeds[name] ? [[name, feeds[name]]] : [])),
    );
    const outputs = await session.run({
      query: hostTensor("float32", [tokenCount, H, D], queries),
      ...own,
    });
    return outputs.read?.data as Float32Array;
  }

  it("is phi(q) M / (phi(q) z), with the memory of the head's group", async () => {
    const { matrix, normalizer } = closedForm([2, 3, 4]);
    const got = await run(filledMemory(Float32Array.from(matrix), Float32Array.from(normalizer)));
    const expected: number[] = [];
    for (let t = 0; t < tokenCount; t++) {
      for (let h = 0; h < H; h++) {
        const head = K + Math.floor(h / (H / K)); // of layer 1
        const features = Array.from({ length: D }, (_, i) => phi(queries[(t * H + h) * D + i] ?? 0));
        const weigh = (column: (i: number) => number): number =>
          features.reduce((sum, feature, i) => sum + feature * column(i), 0);
        const total = weigh((i) => normalizer[head * D + i] ?? 0);
        for (let j = 0; j < D; j++) expected.push(weigh((i) => matrix[(head * D + i) * D + j] ?? 0) / total);
      }
    }
    expectClose(got, expected);
  });

  it("is zero, not NaN, while the memory is empty", async () => {
    expect((await run(new LinearMemory(geometry))).every((value) => value === 0)).toBe(true);
  });
});
