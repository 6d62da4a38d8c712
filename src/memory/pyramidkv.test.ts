/**
 * PyramidKV with its real graphs on the reference interpreter: layers of attention alone, over what is drawn by token.
 */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tinyGeometry } from "../../test/support/tiny-geometry.ts";
import { InvalidRequestError, UnsupportedError } from "../errors.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph } from "../graph/graph.ts";
import { createReferenceRuntime } from "../runtime/reference/interpreter.ts";
import type { NamedTensors } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import type { AttentionGeometry, ContextSettings } from "./geometry.ts";
import { tokensSymbol } from "./local-attention.ts";
import { createPolicy } from "./policies.ts";
import type { MemoryPolicy, MemoryState, PolicyName } from "./policy.ts";
import { pyramidBudgets } from "./pyramidkv.ts";

const parts = ["query", "key", "value"] as const;

/** Gives an element of what a layer projects of token n. */
const elementOf = (part: string, layer: number, n: number, head: number, i: number): number =>
  2 * Math.sin(0.7 * (97 * n + 31 * layer + 17 * head + 13 * i + part.length) ** 2);

const headsOf = (part: string, { queryHeadCount: H, keyValueHeadCount: K }: AttentionGeometry): number =>
  part === "query" ? H : K;

function buildGraph(policy: MemoryPolicy, geometry: AttentionGeometry): Graph {
  const b = new GraphBuilder("attention");
  const writer = policy.beginAttention(b);
  const outputs = geometry.layerKinds.map((_, layer) => {
    const [query, key, value] = parts.map((part) =>
      b.input(`${part}.${layer}`, "float32", [tokensSymbol, headsOf(part, geometry), geometry.headSize]),
    );
    if (query === undefined || key === undefined || value === undefined) throw new Error("three inputs");
    return b.named(`output.${layer}`, writer.attend(layer, { query, key, value, hidden: query }));
  });
  return b.finish([...outputs, ...writer.finish()]);
}

function tokenFeeds(geometry: AttentionGeometry, first: number, count: number): Record<string, HostTensor> {
  const { headSize: D } = geometry;
  const feeds: Record<string, HostTensor> = {};
  for (const [layer] of geometry.layerKinds.entries()) {
    for (const part of parts) {
      const heads = headsOf(part, geometry);
      const data = Float32Array.from({ length: count * heads * D }, (_, at) =>
        elementOf(part, layer, first + Math.floor(at / (heads * D)), Math.floor(at / D) % heads, at % D),
      );
      feeds[`${part}.${layer}`] = hostTensor("float32", [count, heads, D], data);
    }
  }
  return feeds;
}

/** Reads `pieces` of a stream into a state; gives the outputs of the last run. */
type Read = (state: MemoryState, pieces: readonly number[]) => Promise<NamedTensors>;

async function makeReader(
  name: PolicyName,
  geometry: AttentionGeometry,
  context: ContextSettings,
): Promise<{ readonly policy: MemoryPolicy; readonly read: Read }> {
  const policy = createPolicy(name, { geometry, context, adapter: undefined });
  const runtime = createReferenceRuntime();
  const session = await runtime.createSession(buildGraph(policy, geometry));
  const commitGraph = policy.buildCommitGraph();
  const commitSession = commitGraph && (await runtime.createSession(commitGraph));
  const read: Read = async (state, pieces) => {
    let outputs: NamedTensors = {};
    for (const piece of pieces) {
      for (let left = piece; left > 0; ) {
        if (state.roomTokens === 0) await state.commit(commitSession);
        const run = Math.min(left, state.roomTokens);
        const feeds = { ...tokenFeeds(geometry, state.lengthTokens, run), ...state.feeds(run) };
        const own = session.inputNames.map((input) => [input, feeds[input]] as const);
        outputs = await session.run(Object.fromEntries(own) as NamedTensors);
        state.absorb(outputs, run);
        left -= run;
      }
    }
    return outputs;
  };
  return { policy, read };
}

/** Gives the last token's outputs of all layers. */
function lastOutputs(
  outputs: NamedTensors,
  { layerCount, queryHeadCount: H, headSize: D }: AttentionGeometry,
) {
  return Array.from({ length: layerCount }, (_, layer) =>
    [...hostFloats(outputs[`output.${layer}`], "output")].slice(-H * D),
  ).flat();
}

/** Counts the tokens that each layer sees, by the masks of the next run. */
function seenTokens(state: MemoryState, layerCount: number): number[] {
  const feeds = state.feeds(1);
  return Array.from({ length: layerCount }, (_, layer) => {
    const places = feeds[`past_keys.${layer}`]?.shape[2];
    const mask = Object.entries(feeds).find(
      ([name, { shape }]) =>
        name.startsWith("past_mask") && shape[0] === places && isMaskOf(feeds, name, layer, layerCount),
    );
    return [...hostFloats(mask?.[1], "mask")].filter((value) => value === 0).length;
  });
}

/** Kinds are numbered by their first layers, and here every layer is of its own. */
function isMaskOf(feeds: NamedTensors, name: string, layer: number, layerCount: number): boolean {
  const masks = Object.keys(feeds).filter((input) => input.startsWith("past_mask"));
  return masks.length < layerCount || name === (layer === 0 ? "past_mask" : `past_mask.${layer}`);
}

describe("pyramidBudgets", () => {
  it("never rises, gives every layer a slot, and adds up to as many a layer", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 80 }), fc.integer({ min: 1, max: 4096 }), (layers, slots) => {
        const budgets = pyramidBudgets(layers, slots);
        expect(budgets).toHaveLength(layers);
        expect(budgets.reduce((sum, budget) => sum + budget, 0)).toBe(layers * slots);
        for (const [layer, budget] of budgets.entries()) {
          expect(budget).toBeGreaterThanOrEqual(1);
          expect(budget).toBeLessThanOrEqual(budgets[layer - 1] ?? Number.POSITIVE_INFINITY);
          // On the paper's line, up to rounding.
          const last = Math.max(1, slots / 20);
          const onLine = last + (2 * (slots - last) * (layers - 1 - layer)) / Math.max(1, layers - 1);
          if (layers > 1) expect(Math.abs(budget - onLine)).toBeLessThanOrEqual(1 + 1e-9);
        }
      }),
    );
  });

  it("is the paper's: a twentieth of the mean in the last layer, the rest of twice the mean in the first", () => {
    expect(pyramidBudgets(4, 200)).toEqual([390, 263, 137, 10]);
    expect(pyramidBudgets(1, 7)).toEqual([7]);
    expect(pyramidBudgets(3, 1)).toEqual([1, 1, 1]);
  });
});

const contexts: fc.Arbitrary<ContextSettings> = fc.record({
  sinkTokens: fc.nat(3),
  slotTokens: fc.integer({ min: 1, max: 9 }),
  windowTokens: fc.integer({ min: 1, max: 6 }),
  segmentTokens: fc.integer({ min: 1, max: 7 }),
});

describe("the policy pyramidkv", () => {
  const geometry = tinyGeometry({ layerCount: 3, queryHeadCount: 2, keyValueHeadCount: 1, headSize: 4 });

  it("holds as many tokens as snapkv in all layers together, in as many bytes", {
    timeout: 60_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(contexts, async (context) => {
        const { sinkTokens: S, slotTokens: B, windowTokens: W, segmentTokens: T } = context;
        const { policy, read } = await makeReader("pyramidkv", geometry, context);
        const snapkv = createPolicy("snapkv", { geometry, context, adapter: undefined });
        expect(policy.stateBytesAt(0)).toBe(snapkv.stateBytesAt(0));
        const state = policy.createState();
        const budgets = pyramidBudgets(3, B);
        for (const length of [1, S + B + W + T, S + B + W + T + 1, S + 3 * B + W + 3 * T + 1]) {
          await read(state, [length - state.lengthTokens]);
          expect(state.sizeBytes).toBe(policy.stateBytesAt(length));
        }
        const { local, sinks, slots } = state.tokenCounts;
        expect([sinks, slots]).toEqual([S, B]);
        const seen = seenTokens(state, 3).map((count) => count - S - local);
        if (B > 1) expect(seen).toEqual(budgets);
        expect(seen.reduce((sum, count) => sum + count, 0)).toBe(3 * B);
      }),
      { numRuns: 12 },
    );
  });

  it("is snapkv where there is one layer, bit for bit", async () => {
    const one = tinyGeometry({ layerCount: 1 });
    const context = { sinkTokens: 2, slotTokens: 4, windowTokens: 5, segmentTokens: 6 };
    const outputs: number[][] = [];
    for (const name of ["pyramidkv", "snapkv"] as const) {
      const { policy, read } = await makeReader(name, one, context);
      outputs.push(lastOutputs(await read(policy.createState(), [40, 3]), one));
    }
    expect(outputs[0]).toEqual(outputs[1]);
  });

  it("is full attention until the first commit, bit for bit", async () => {
    const context = { sinkTokens: 2, slotTokens: 4, windowTokens: 5, segmentTokens: 6 };
    for (const [length, isSame] of [
      [1, true],
      [17, true],
      [18, false],
    ] as const) {
      const outputs: number[][] = [];
      for (const name of ["pyramidkv", "full"] as const) {
        const { policy, read } = await makeReader(name, geometry, context);
        outputs.push(
          lastOutputs(await read(policy.createState(), new Array<number>(length).fill(1)), geometry),
        );
      }
      if (isSame) expect(outputs[0]).toEqual(outputs[1]);
      else expect(outputs[0]).not.toEqual(outputs[1]);
    }
  });

  it("does not depend on how the stream is cut, and goes on alike when restored", {
    timeout: 60_000,
  }, async () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 15 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(contexts, cuts, fc.nat(20), async (context, pieces, more) => {
        const { policy, read } = await makeReader("pyramidkv", geometry, context);
        const length = pieces.reduce((sum, piece) => sum + piece, 0);
        const [cut, straight] = [policy.createState(), policy.createState()];
        await read(cut, pieces);
        await read(straight, [length]);
        const arrays = await cut.exportArrays();
        expect(arrays.map(({ name, data }) => ({ name, length: data.length }))).toEqual(
          policy.arraySizes(length).map(({ name, length: count }) => ({ name, length: count })),
        );
        const restored = policy.restoreState(length, new Map(arrays.map(({ name, data }) => [name, data])));
        const next = await Promise.all(
          [cut, straight, restored].map(async (state) =>
            lastOutputs(await read(state, [more + 1]), geometry),
          ),
        );
        expect(next[2]).toEqual(next[0]);
        for (const [index, value] of (next[1] ?? []).entries())
          expect(Math.abs(value - (next[0]?.[index] ?? Number.NaN))).toBeLessThan(1e-4);
        expect(restored.tokenCounts).toEqual(straight.tokenCounts);
      }),
      { numRuns: 15 },
    );
  });

  it("refuses what it cannot share slots in, and says what", () => {
    const context = { sinkTokens: 2, slotTokens: 4, windowTokens: 5, segmentTokens: 6 };
    const [kind] = geometry.kinds;
    if (kind === undefined) throw new Error("no kind");
    const mixed = { ...geometry, kinds: [kind, { ...kind, windowTokens: 4 }], layerKinds: [0, 1, 0] };
    const create = (of: AttentionGeometry, given: ContextSettings) => () =>
      createPolicy("pyramidkv", { geometry: of, context: given, adapter: undefined });
    expect(create(mixed, context)).toThrow(UnsupportedError);
    expect(create(mixed, context)).toThrow(/some attend within a window, got "2 of 3 layers/);
    expect(create(geometry, { ...context, slotTokens: 0 })).toThrow(/pyramidkv remembers in slots alone/);
    const short = { ...geometry, maxPositions: 19 };
    expect(create(short, context)).toThrow(InvalidRequestError);
    expect(create(short, context)).toThrow(/layer 0 has 7 slots.*got 20, expected at most 19/);
  });
});
