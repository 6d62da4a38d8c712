/**
 * The policies that choose by the attention tokens receive, with their real graphs on the reference interpreter: layers
 * of attention alone, over queries, keys and values that are drawn by token.
 */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tinyGeometry } from "../../test/support/tiny-geometry.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph } from "../graph/graph.ts";
import { createReferenceRuntime } from "../runtime/reference/interpreter.ts";
import type { NamedTensors, RuntimeSession } from "../runtime/runtime.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { type AttentionGeometry, type ContextSettings, memoryLayers } from "./geometry.ts";
import { tokensSymbol } from "./local-attention.ts";
import { createPolicy } from "./policies.ts";
import type { MemoryPolicy, MemoryState } from "./policy.ts";
import { SlotState } from "./slot-state.ts";

const plain = tinyGeometry({ layerCount: 2 });
const [kind] = plain.kinds;
if (kind === undefined) throw new Error("no kind");
/** Layer 0 attends within a window and keeps no slots. */
const geometry: AttentionGeometry = {
  ...plain,
  kinds: [kind, { ...kind, windowTokens: 4 }],
  layerKinds: [1, 0],
};
const { layerCount: L, queryHeadCount: H, keyValueHeadCount: K, headSize: D } = geometry;
const context: ContextSettings = { sinkTokens: 2, slotTokens: 4, windowTokens: 5, segmentTokens: 12 };
const { slotTokens: B, segmentTokens: T } = context;
const C = 23;

type Part = "query" | "key" | "value";
const parts: readonly (readonly [Part, number])[] = [
  ["query", H],
  ["key", K],
  ["value", K],
];

/** Gives an element of what a layer projects of token n. */
const elementOf = (part: Part, layer: number, n: number, head: number, i: number): number =>
  2 * Math.sin(0.7 * (97 * n + 31 * layer + 17 * head + 13 * i + part.length) ** 2);

function buildGraph(policy: MemoryPolicy): Graph {
  const b = new GraphBuilder("attention");
  const writer = policy.beginAttention(b);
  const outputs = Array.from({ length: L }, (_, layer) => {
    const input = (part: Part, heads: number) =>
      b.input(`${part}.${layer}`, "float32", [tokensSymbol, heads, D]);
    const [query, key, value] = [input("query", H), input("key", K), input("value", K)];
    return b.named(`output.${layer}`, writer.attend(layer, { query, key, value, hidden: query }));
  });
  return b.finish([...outputs, ...writer.finish()]);
}

function tokenFeeds(first: number, count: number): Record<string, HostTensor> {
  const feeds: Record<string, HostTensor> = {};
  for (let layer = 0; layer < L; layer++) {
    for (const [part, heads] of parts) {
      const data = Float32Array.from({ length: count * heads * D }, (_, at) => {
        const [row, head] = [Math.floor(at / (heads * D)), Math.floor(at / D) % heads];
        return elementOf(part, layer, first + row, head, at % D);
      });
      feeds[`${part}.${layer}`] = hostTensor("float32", [count, heads, D], data);
    }
  }
  return feeds;
}

interface Reader {
  readonly policy: MemoryPolicy;
  /** Reads so many more tokens; gives what every commit on the way chose, and the last run's outputs. */
  read(state: MemoryState, count: number): Promise<{ chosen: number[][]; outputs: NamedTensors }>;
}

async function makeReader(name: "h2o" | "snapkv" | "full"): Promise<Reader> {
  const policy = createPolicy(name, { geometry, context, adapter: undefined });
  const runtime = createReferenceRuntime();
  const session = await runtime.createSession(buildGraph(policy));
  const commitGraph = policy.buildCommitGraph();
  const commit: RuntimeSession | undefined = commitGraph && (await runtime.createSession(commitGraph));
  return {
    policy,
    async read(state, count) {
      const chosen: number[][] = [];
      let outputs: NamedTensors = {};
      for (let left = count; left > 0; ) {
        if (state.roomTokens === 0) {
          await state.commit(commit);
          if (state instanceof SlotState) chosen.push([...(state.lastChosen ?? [])]);
        }
        const run = Math.min(left, state.roomTokens);
        outputs = await session.run({ ...state.feeds(run), ...tokenFeeds(state.lengthTokens, run) });
        state.absorb(outputs, run);
        left -= run;
      }
      return { chosen, outputs };
    },
  };
}

/** Rotates a vector of a head to a position, in float64. */
function rotated(part: Part, layer: number, n: number, head: number): number[] {
  const x = Array.from({ length: D }, (_, i) => Math.fround(elementOf(part, layer, n, head, i)));
  const half = D / 2;
  return x.map((value, i) => {
    const angle = n * (kind?.inverseFrequencies[i % half] ?? 0);
    const partner = i < half ? -(x[i + half] ?? 0) : (x[i - half] ?? 0);
    return value * Math.cos(angle) + partner * Math.sin(angle);
  });
}

/** Sums what tokens before any commit receive from queries that count, `[N, K, length]`, by the plainest loops. */
function receivedBy(length: number, isObserved: (n: number) => boolean): number[] {
  const group = H / K;
  const sums: number[] = [];
  for (const layer of memoryLayers(geometry)) {
    for (let head = 0; head < K; head++) {
      const own = new Array<number>(length).fill(0);
      for (let n = 0; n < length; n++) {
        if (!isObserved(n)) continue;
        for (let queryHead = head * group; queryHead < (head + 1) * group; queryHead++) {
          const query = rotated("query", layer, n, queryHead);
          const weights = Array.from({ length: n + 1 }, (_, m) => {
            const key = rotated("key", layer, m, head);
            return Math.exp(query.reduce((sum, x, i) => sum + x * (key[i] ?? 0), 0) / Math.sqrt(D));
          });
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          for (const [m, weight] of weights.entries()) own[m] = (own[m] ?? 0) + weight / total / group;
        }
      }
      sums.push(...own);
    }
  }
  return sums;
}

describe.each(["h2o", "snapkv"] as const)("the policy %s", (name) => {
  it("sums the attention that each token receives from the queries that count", async () => {
    const reader = await makeReader(name);
    // The last min(32, W, T) = 5 before the commit, which comes after 23.
    const isObserved = (n: number): boolean => name === "h2o" || n >= C - 5;
    for (const pieces of [[C], [1, 1, 4, 5, 3, 1, 2], [9, 11]]) {
      const state = reader.policy.createState();
      for (const piece of pieces) await reader.read(state, piece);
      const sums = (await state.exportArrays()).find((array) => array.name === "token_numbers")?.data;
      const expected = receivedBy(state.lengthTokens, isObserved);
      expect(sums?.length).toBe(expected.length);
      // Softmax in float32: weights of up to 1, and sums of up to 23 of them.
      for (const [at, sum] of expected.entries()) expect(sums?.[at]).toBeCloseTo(sum, 5);
    }
  });

  it("keeps exactly its budget at every commit, the same tokens however the stream is cut", async () => {
    const reader = await makeReader(name);
    const length = C + 3 * T + 2;
    const whole = (await reader.read(reader.policy.createState(), length)).chosen;
    expect(whole).toHaveLength(4);
    for (const chosen of whole) {
      expect(chosen).toHaveLength(memoryLayers(geometry).length * K * B);
      for (const [at, index] of chosen.entries()) {
        expect(index).toBeLessThan(B + T);
        if (at % B > 0) expect(index).toBeGreaterThan(chosen[at - 1] ?? Number.NaN);
      }
    }
    // Heads and commits differ.
    expect(
      new Set(whole.flatMap((chosen) => [chosen.slice(0, B), chosen.slice(B, 2 * B)]).map(String)).size,
    ).toBeGreaterThan(2);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 8 }), async (pieces) => {
        const state = reader.policy.createState();
        const chosen: number[][] = [];
        for (const piece of [...pieces, length]) {
          const count = Math.min(piece, length - state.lengthTokens);
          chosen.push(...(await reader.read(state, count)).chosen);
          expect(state.tokenCounts.slots).toBe(state.commitCount > 0 ? B : 0);
        }
        expect(chosen).toEqual(whole);
      }),
      { numRuns: 5 },
    );
  });

  it("gives what an ordinary cache gives, bit for bit, until the first commit", async () => {
    const [reader, ordinary] = [await makeReader(name), await makeReader("full")];
    const [state, other] = [reader.policy.createState(), ordinary.policy.createState()];
    for (const piece of [1, 5, 1, 11, 5, 1]) {
      const isBase = state.lengthTokens + piece <= C;
      const [a, b] = [(await reader.read(state, piece)).outputs, (await ordinary.read(other, piece)).outputs];
      // What the layer with a window sees is the same after it, too.
      const same = String(dataOf(a, 1)) === String(dataOf(b, 1));
      expect(same).toBe(isBase);
    }
  });

  it("goes on the same when it is restored before a commit is due", async () => {
    const reader = await makeReader(name);
    for (const length of [C - 2, C, C + T + 5]) {
      const state = reader.policy.createState();
      await reader.read(state, length);
      const arrays = new Map((await state.exportArrays()).map((array) => [array.name, array.data]));
      const again = reader.policy.restoreState(length, arrays);
      const [a, b] = [await reader.read(state, T + 3), await reader.read(again, T + 3)];
      expect(b).toEqual(a);
      expect(a.chosen.length).toBeGreaterThan(0);
      // What was received is part of it: without it, others would be chosen.
      arrays.get("token_numbers")?.fill(0);
      const bare = reader.policy.restoreState(length, arrays);
      if (length === C)
        expect((await reader.read(bare, T)).chosen.slice(0, 1)).not.toEqual(a.chosen.slice(0, 1));
    }
  });
});

function dataOf(outputs: NamedTensors, layer: number): ArrayLike<number | bigint> {
  const tensor = outputs[`output.${layer}`];
  if (tensor === undefined || !("data" in tensor)) throw new Error("no output");
  return tensor.data;
}
