/**
 * Holds every policy to what the interface promises of its states, with runs and commits that compute nothing.
 */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tinyGeometry } from "../../test/support/tiny-geometry.ts";
import { InternalError, InvalidRequestError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import type { NamedTensors, RuntimeSession } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { type HostTensor, hostTensor, zeros } from "../tensor/host-tensor.ts";
import { createTinyAdapterFolder } from "../testing/tiny-model.ts";
import { type Adapter, openAdapter } from "./adapter.ts";
import { type ContextSettings, kindOfLayer } from "./geometry.ts";
import { createPolicy, keepsSlots, policyNames } from "./policies.ts";
import type { MemoryPolicy, MemoryState, PolicyName } from "./policy.ts";
import { rotateRows } from "./rotary.ts";
import { commitCountAt } from "./segmented-state.ts";

const geometry = tinyGeometry({ layerCount: 2, keyValueHeadCount: 2, headSize: 4, maxPositions: 300 });
const { layerCount: L, keyValueHeadCount: K, queryHeadCount: H, headSize: D } = geometry;
/** The openings of a layer's heads: each a sixteenth more than the one before. */
const headsFrom = (first: number): number[] => Array.from({ length: H }, (_, head) => first + head / 16);
const sizes = { hiddenSize: 6, headSize: D };
const adapters: { readonly [Name in PolicyName]?: Adapter } = {
  paper: await openAdapter(createTinyAdapterFolder(sizes)),
  plus: await openAdapter(createTinyAdapterFolder({ ...sizes, variant: "plus" })),
  infini: await openAdapter(createTinyAdapterFolder({ ...sizes, variant: "infini" })),
};
const remembering: ReadonlySet<PolicyName> = new Set(["paper", "plus", "infini"]);
const forgetting: ReadonlySet<PolicyName> = new Set(["streaming", "keydiff", "h2o", "snapkv", "pyramidkv"]);

/** Makes the policy; the slots of one that keeps none go to its window. */
function makePolicy(name: PolicyName, given: ContextSettings): MemoryPolicy {
  const { slotTokens: B, windowTokens } = given;
  const context = keepsSlots(name) ? given : { ...given, slotTokens: 0, windowTokens: windowTokens + B };
  return createPolicy(name, { geometry, context, adapter: adapters[name] });
}

const contextArbitrary: fc.Arbitrary<ContextSettings> = fc.record({
  sinkTokens: fc.nat(5),
  slotTokens: fc.integer({ min: 1, max: 9 }),
  windowTokens: fc.integer({ min: 1, max: 30 }),
  segmentTokens: fc.integer({ min: 1, max: 20 }),
});

/** Stands for a commit graph: gives back a memory that counts its commits, and zeros of whatever else it gives. */
function makeCommitSession(graph: Graph | undefined): RuntimeSession {
  return {
    inputNames: [],
    outputNames: [],
    async run(feeds: NamedTensors) {
      const outputs = (graph?.outputs ?? []).map(({ name, shape }): [string, HostTensor] => {
        const before = feeds[name.replace("new_", "memory_")];
        if (before === undefined) return [name, zeros("float32", shape.map(Number))];
        const data = hostFloats(before, name).map((element) => element + 1);
        return [name, hostTensor("float32", before.shape, data)];
      });
      return Object.fromEntries(outputs);
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** Gives what an inference graph would: every key of token n is n, every value 1000 + n. */
function outputsFor(
  firstToken: number,
  count: number,
  openings: readonly number[],
  feeds: NamedTensors = {},
): NamedTensors {
  const rows = (base: number) =>
    hostTensor(
      "float32",
      [K, count, D],
      Float32Array.from(
        { length: K * count * D },
        (_, index) => base + firstToken + (Math.floor(index / D) % count),
      ),
    );
  const layers = Array.from({ length: L }, (_, layer) => [
    [`new_keys.${layer}`, rows(0)] as const,
    [`new_values.${layer}`, rows(1000)] as const,
  ]);
  const masks = Object.entries(feeds).filter(([name]) => name.startsWith("past_mask"));
  const received = masks.map(([name, { shape }]) => [
    name.replace("past_mask", "received_attention"),
    zeros("float32", [masks.length > 1 ? 1 : L, K, (shape[0] ?? 0) + count]),
  ]);
  return {
    ...Object.fromEntries(layers.flat()),
    gate_opening: hostTensor("float32", [1, L * H], Float32Array.from(openings.flatMap(headsFrom))),
    token_numbers: zeros("float32", [L, 1, K, count]),
    ...Object.fromEntries(received),
    new_key_sums: zeros("float32", [L, K, D]),
  };
}

type Read = (state: MemoryState, count: number, openings?: readonly number[]) => Promise<void>;

/** Reads tokens as the engine does: a commit when there is no room, runs of at most the room. */
function readerOf(policy: MemoryPolicy): Read {
  const commitSession = makeCommitSession(policy.buildCommitGraph());
  return async (state, count, openings = [0.5, 0.25]) => {
    for (let left = count; left > 0; ) {
      if (state.roomTokens === 0) await state.commit(commitSession);
      const run = Math.min(left, state.roomTokens);
      state.absorb(outputsFor(state.lengthTokens, run, openings, state.feeds(run)), run);
      left -= run;
    }
  };
}

/** Creates an empty state of a policy, and what reads into it. */
function begin(
  name: PolicyName,
  context: ContextSettings,
): { readonly state: MemoryState; readonly read: Read } {
  const policy = makePolicy(name, context);
  return { state: policy.createState(), read: readerOf(policy) };
}

describe.each(policyNames)("the policy %s", (name) => {
  it("counts every token once, wherever it is, and tells its path", async () => {
    await fc.assert(
      fc.asyncProperty(
        contextArbitrary,
        fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 7 }),
        async (context, pieces) => {
          const { state, read } = begin(name, context);
          const { sinkTokens: S, slotTokens, windowTokens, segmentTokens: T } = context;
          const [B, W] = keepsSlots(name) ? [slotTokens, windowTokens] : [0, windowTokens + slotTokens];
          let length = 0;
          for (const piece of [0, ...pieces]) {
            await read(state, piece);
            length += piece;
            const { sinks, slots, local, memory, dropped } = state.tokenCounts;
            expect([state.lengthTokens, sinks + slots + local + memory + dropped]).toEqual([length, length]);
            expect(state.roomTokens).toBeGreaterThanOrEqual(0);
            expect(state.roomTokens).toBeLessThanOrEqual(T);
            const commits = name === "full" ? 0 : Math.max(0, Math.ceil((length - S - B - W - T) / T));
            expect(state.commitCount).toBe(commits);
            const left = commits * T + (commits === 0 ? 0 : B - slots);
            const isGone = [remembering, forgetting].map((names) => names.has(name));
            expect([memory, dropped]).toEqual(isGone.map((gone) => (gone ? left : 0)));
            if (name !== "full") {
              expect(sinks).toBe(Math.min(S, length));
              // Under pyramidkv some layers fill their slots from commit to commit.
              if (name !== "pyramidkv" || commits * T >= B) expect(slots).toBe(commits === 0 ? 0 : B);
              expect(local).toBeLessThanOrEqual(W + T + (commits === 0 ? B : 0));
              expect(local).toBeGreaterThanOrEqual(Math.min(length - sinks, W));
            }
            expect(state.path).toBe(remembering.has(name) && commits > 0 ? "gated" : "base");
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it("has the bytes that it foretells, constant if its streams have no end", async () => {
    const context = { sinkTokens: 2, slotTokens: 3, windowTokens: 6, segmentTokens: 5 };
    const policy = makePolicy(name, context);
    const read = readerOf(policy);
    const state = policy.createState();
    if (policy.maxLengthTokens === Number.POSITIVE_INFINITY) {
      for (const piece of [0, 1, 15, 1, 30]) {
        await read(state, piece);
        expect(state.sizeBytes).toBe(policy.stateBytesAt(state.lengthTokens));
      }
      expect(policy.stateBytesAt(1e9)).toBe(policy.stateBytesAt(0));
    } else {
      await read(state, policy.maxLengthTokens);
      expect(state.sizeBytes).toBe(policy.stateBytesAt(policy.maxLengthTokens));
      expect(state.roomTokens).toBe(0);
    }
  });

  it("is restored from its arrays, of the sizes that it foretells, and goes on alike", async () => {
    const context = { sinkTokens: 2, slotTokens: 3, windowTokens: 6, segmentTokens: 5 };
    const policy = makePolicy(name, context);
    const read = readerOf(policy);
    for (const length of [0, 1, 2, 16, 17, 40]) {
      const state = policy.createState();
      await read(state, length);
      const arrays = await state.exportArrays();
      const sizes = policy.arraySizes(length);
      expect(arrays.map((array) => ({ name: array.name, length: array.data.length }))).toEqual(
        sizes.map((size) => ({ name: size.name, length: size.length })),
      );
      expect(arrays.map(({ data }) => data instanceof Float64Array)).toEqual(
        sizes.map(({ dtype }) => dtype === "float64"),
      );
      const again = policy.restoreState(length, new Map(arrays.map(({ name: key, data }) => [key, data])));
      await read(state, 23);
      await read(again, 23);
      expect(await again.exportArrays()).toEqual(await state.exportArrays());
      expect(again.feeds(1)).toEqual(state.feeds(1));
      expect(again.tokenCounts).toEqual(state.tokenCounts);
      expect(again.gateOpening).toEqual(state.gateOpening);
      expect(again.sizeBytes).toBe(state.sizeBytes);
    }
  });

  it("clones into states that go on apart", async () => {
    const context = { sinkTokens: 2, slotTokens: 3, windowTokens: 6, segmentTokens: 5 };
    const { state, read } = begin(name, context);
    await read(state, 20);
    const before = await state.exportArrays();
    const twin = state.clone();
    await read(twin, 13);
    expect(await state.exportArrays()).toEqual(before);
    await read(state, 13);
    expect(await twin.exportArrays()).toEqual(await state.exportArrays());
    expect(twin.commitCount).toBe(state.commitCount);
  });

  it("tells which inputs choose the parts of the graph, as its states feed them on their path", async () => {
    const context = { sinkTokens: 1, slotTokens: 1, windowTokens: 2, segmentTokens: 2 };
    for (const name of policyNames) {
      const policy = makePolicy(name, context);
      const [read, commitSession] = [readerOf(policy), makeCommitSession(policy.buildCommitGraph())];
      const state = policy.createState();
      for (const length of [0, 9]) {
        await read(state, length, [1, 1]);
        if (state.roomTokens === 0) await state.commit(commitSession);
        for (const count of [1, 2]) {
          const switches = policy.switches(count, state.path);
          expect(state.feeds(count)).toMatchObject(switches);
          expect(Object.values(switches).every(({ dtype }) => dtype === "bool")).toBe(true);
        }
      }
    }
    const paths = (["base", "gated"] as const).map((path) => makePolicy("paper", context).switches(1, path));
    expect(paths[0]).not.toEqual(paths[1]);
  });

  it("writes a commit graph only when its commits compute", () => {
    const context = { sinkTokens: 2, slotTokens: 3, windowTokens: 6, segmentTokens: 5 };
    expect(makePolicy(name, context).buildCommitGraph()?.name).toBe(
      adapters[name] === undefined && !keepsSlots(name) ? undefined : "commit",
    );
  });
});

describe("segmented states", () => {
  const context = { sinkTokens: 2, slotTokens: 0, windowTokens: 4, segmentTokens: 3 };

  it("keep the sinks and the latest tokens, in order", async () => {
    const { state, read } = begin("streaming", context);
    await read(state, 17);
    // 9 fit; three commits took tokens 2 to 10.
    const values = (await state.exportArrays()).find(({ name }) => name === "values")?.data ?? [];
    expect([...values].filter((_, index) => index % D === 0).slice(0, 8)).toEqual(
      [0, 1, 11, 12, 13, 14, 15, 16].map((token) => 1000 + token),
    );
  });

  it("move the sinks' keys along, from the originals, by T positions a commit", async () => {
    const { state, read } = begin("streaming", context);
    await read(state, 9 + 40 * 3);
    expect(state.commitCount).toBe(40);
    const original = Float32Array.of(0, 0, 0, 0, 1, 1, 1, 1);
    const expected = new Float32Array(8);
    rotateRows(original, expected, kindOfLayer(geometry, 0).inverseFrequencies, 40 * 3, D);
    const keys = (await state.exportArrays()).find(({ name }) => name === "keys")?.data ?? [];
    expect([...keys.slice(0, 8)]).toEqual([...expected]);
    expect([...keys.slice(8, 12)]).toEqual([122, 122, 122, 122]);
  });

  it("average the gates over the tokens that passed them, whatever the runs", async () => {
    const { state, read } = begin("paper", context);
    await read(state, 9, [0.9, 0.9]);
    expect(state.gateOpening).toEqual([]);
    await read(state, 1, [0.5, 0.25]);
    expect(state.gateOpening).toEqual([0.5, 0.25].map(headsFrom));
    await read(state, 2, [0.875, 1]);
    expect(state.gateOpening).toEqual([0.75, 0.75].map(headsFrom));
    const { state: without, read: readWithout } = begin("streaming", context);
    await readWithout(without, 12);
    expect(without.gateOpening).toEqual([]);
  });

  it("feed the memory as it is, and say that it is read after the first commit alone", async () => {
    const { state, read } = begin("paper", context);
    await read(state, 9);
    expect(state.feeds(1).memory_active).toEqual(hostTensor("bool", [], Uint8Array.of(0)));
    await read(state, 1);
    expect(state.feeds(1).memory_active).toEqual(hostTensor("bool", [], Uint8Array.of(1)));
    await read(state, 5);
    expect(state.commitCount).toBe(2);
    expect(state.feeds(1)["memory_matrix.1"]).toEqual(
      hostTensor("float32", [K, D, D], new Float32Array(K * D * D).fill(2)),
    );
  });

  it("commit only with the commit graph, and change nothing without", async () => {
    const { state, read } = begin("paper", context);
    const commitSession = makeCommitSession(undefined);
    await read(state, 9);
    const before = await state.exportArrays();
    await expect(state.commit(undefined)).rejects.toThrow(InternalError);
    const failing = { ...commitSession, run: () => Promise.reject(new Error("device lost")) };
    await expect(state.commit(failing)).rejects.toThrow("device lost");
    expect(await state.exportArrays()).toEqual(before);
    expect(state.commitCount).toBe(0);
    await read(state, 1);
    expect(state.commitCount).toBe(1);
  });

  it("have commitCountAt commits: one when a token finds no room", () => {
    expect([0, 9, 10, 12, 13, 15, 16].map((length) => commitCountAt(context, length))).toEqual([
      0, 0, 1, 1, 2, 2, 3,
    ]);
  });
});

describe("the policy full", () => {
  it("holds the trained positions and no more, and has no commits", async () => {
    const context = { sinkTokens: 2, slotTokens: 0, windowTokens: 9, segmentTokens: 50 };
    const policy = makePolicy("full", context);
    const read = readerOf(policy);
    expect(policy.maxLengthTokens).toBe(300);
    const state = policy.createState();
    await read(state, 290);
    expect(state.roomTokens).toBe(10);
    expect(() => state.absorb(outputsFor(0, 11, [0, 0]), 11)).toThrow(InternalError);
    expect(state.lengthTokens).toBe(290);
    await expect(state.commit(undefined)).rejects.toThrow(InternalError);
  });
});

describe("createPolicy", () => {
  const request = { geometry, context: { sinkTokens: 1, slotTokens: 0, windowTokens: 2, segmentTokens: 2 } };

  it("makes the policy of the name", () => {
    expect(policyNames).toEqual([
      "paper",
      "plus",
      "infini",
      "keydiff",
      "h2o",
      "snapkv",
      "pyramidkv",
      "streaming",
      "full",
    ]);
    for (const name of policyNames)
      expect(makePolicy(name, { ...request.context, slotTokens: 1 }).name).toBe(name);
  });

  it.each(["infinite", "", "constructor"])("refuses the name %o", (name) => {
    const make = (): MemoryPolicy =>
      createPolicy(name as PolicyName, { ...request, adapter: adapters.paper });
    expect(make).toThrow(InvalidRequestError);
    expect(make).toThrow(`policy: unknown, got "${name}", expected ${policyNames.join(", ")}.`);
  });

  it.each([
    ["paper", undefined, "policy: paper needs a trained memory, got"],
    ["plus", undefined, "policy: plus needs a trained memory, got"],
    [
      "paper",
      adapters.plus,
      'policy: the adapter tiny-adapter was not trained for it, got "paper", expected plus.',
    ],
    [
      "plus",
      adapters.paper,
      'policy: the adapter tiny-adapter was not trained for it, got "plus", expected paper.',
    ],
    [
      "infini",
      adapters.paper,
      'policy: the adapter tiny-adapter was not trained for it, got "infini", expected paper.',
    ],
    [
      "keydiff",
      undefined,
      "context.slotTokens: keydiff remembers in slots alone, got 0, expected at least 1.",
    ],
    ["h2o", undefined, "context.slotTokens: h2o remembers in slots alone, got 0, expected at least 1."],
  ] as const)("refuses %s without what it needs, and says what", (name, adapter, message) => {
    const make = (): MemoryPolicy => createPolicy(name, { ...request, adapter });
    expect(make).toThrow(InvalidRequestError);
    expect(make).toThrow(message);
  });

  it("refuses an adapter without a linear memory when there are no slots either", async () => {
    const options = { ...sizes, variant: "plus", linearMemory: false } as const;
    const adapter = await openAdapter(createTinyAdapterFolder(options));
    expect(() => createPolicy("plus", { ...request, adapter })).toThrow(
      "context.slotTokens: the adapter tiny-adapter has no linear memory, so that without slots nothing would be",
    );
    expect(createPolicy("plus", { ...request, adapter: adapters.plus }).name).toBe("plus");
  });
});
