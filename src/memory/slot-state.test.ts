/**
 * Slot states with real commit graphs on the reference interpreter, and runs that compute nothing.
 */

import { describe, expect, it } from "vitest";
import { tinyGeometry } from "../../test/support/tiny-geometry.ts";
import { createReferenceRuntime } from "../runtime/reference/interpreter.ts";
import type { NamedTensors } from "../runtime/runtime.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { createTinyAdapterFolder } from "../testing/tiny-model.ts";
import { openAdapter } from "./adapter.ts";
import { type AttentionGeometry, type ContextSettings, kindOfLayer } from "./geometry.ts";
import { createPolicy } from "./policies.ts";
import type { MemoryPolicy, MemoryState } from "./policy.ts";

const full = tinyGeometry({ layerCount: 3, keyValueHeadCount: 2, headSize: 4 });
const [kind] = full.kinds;
if (kind === undefined) throw new Error("no kind");
/** Layer 0 attends to all and is rotated, layer 1 attends within a window, layer 2 is not rotated. */
const geometry: AttentionGeometry = {
  ...full,
  kinds: [
    { ...kind, rotaryScale: 1.5 },
    { ...kind, windowTokens: 4 },
    { ...kind, inverseFrequencies: new Float64Array(0) },
  ],
  layerKinds: [0, 1, 2],
};
const { layerCount: L, keyValueHeadCount: K, headSize: D } = geometry;
const context: ContextSettings = { sinkTokens: 2, slotTokens: 3, windowTokens: 4, segmentTokens: 3 };
const { sinkTokens: S, slotTokens: B, segmentTokens: T } = context;
const C = 12;

const adapter = await openAdapter(
  createTinyAdapterFolder({ hiddenSize: 6, headSize: D, variant: "plus", linearMemory: false }),
);
const policy: MemoryPolicy = createPolicy("plus", { geometry, context, adapter });
const graph = policy.buildCommitGraph();
if (graph === undefined) throw new Error("no commit graph");
const commitSession = await createReferenceRuntime().createSession(graph);

/** Is how much a head of a layer wants token n: each wants others. */
const scoreOf = (layer: number, head: number, n: number): number => (n * (5 + 2 * layer + head)) % 17;

/** Gives an element of a key that has not been rotated. */
const keyOf = (layer: number, head: number, n: number, i: number): number =>
  Math.sin(1 + n + 10 * layer + 100 * head + 1000 * i);

/** Rotates a key to a position, in float64. */
function rotated(layer: number, head: number, n: number, position: number): number[] {
  const { inverseFrequencies, rotaryScale } = kindOfLayer(geometry, layer);
  const key = Array.from({ length: D }, (_, i) => keyOf(layer, head, n, i));
  if (inverseFrequencies.length === 0) return key;
  return key.map((value, i) => {
    const angle = position * (inverseFrequencies[i % 2] ?? 0);
    const partner = i < 2 ? -(key[i + 2] ?? 0) : (key[i - 2] ?? 0);
    return rotaryScale * (value * Math.cos(angle) + partner * Math.sin(angle));
  });
}

/** Gives what an inference graph would for tokens that were rotated at their index, and whose values are their index. */
function outputsFor(first: number, count: number): NamedTensors {
  const rows = (element: (head: number, n: number) => number[]) =>
    hostTensor(
      "float32",
      [K, count, D],
      Float32Array.from(
        Array.from({ length: K * count }, (_, row) =>
          element(Math.floor(row / count), first + (row % count)),
        ).flat(),
      ),
    );
  const layers = Array.from({ length: L }, (_, layer) => [
    [`new_keys.${layer}`, rows((head, n) => rotated(layer, head, n, n))] as const,
    [`new_values.${layer}`, rows((_head, n) => new Array<number>(D).fill(n))] as const,
  ]);
  const numbers = [0, 2].flatMap((layer) =>
    Array.from({ length: K }, (_, head) =>
      Array.from({ length: count }, (_unused, row) => scoreOf(layer, head, first + row)),
    ),
  );
  return {
    ...Object.fromEntries(layers.flat()),
    token_numbers: hostTensor("float32", [2, 1, K, count], Float32Array.from(numbers.flat())),
  };
}

async function read(state: MemoryState, length: number): Promise<void> {
  while (state.lengthTokens < length) {
    if (state.roomTokens === 0) await state.commit(commitSession);
    const count = Math.min(state.roomTokens, length - state.lengthTokens);
    state.absorb(outputsFor(state.lengthTokens, count), count);
  }
}

/** Lists the tokens that a head should hold after that many commits, in order of places. */
function expectedTokens(layer: number, head: number, length: number, commits: number): number[] {
  const isLocal = layer === 1;
  const wish = (n: number): number => (isLocal ? n : scoreOf(layer, head, n));
  let slots: number[] = [];
  let next = S;
  for (let commit = 0; commit < commits; commit++) {
    const fresh = Array.from({ length: commit === 0 ? B + T : T }, () => next++);
    slots = [...slots, ...fresh]
      .sort((a, b) => wish(b) - wish(a) || b - a)
      .slice(0, B)
      .sort((a, b) => a - b);
  }
  const local = Array.from({ length: length - next }, (_, index) => next + index);
  return [...Array.from({ length: S }, (_, n) => n), ...slots, ...local];
}

async function arrayOf(state: MemoryState, name: string): Promise<Float32Array> {
  const data = (await state.exportArrays()).find((array) => array.name === name)?.data;
  if (data instanceof Float32Array) return data;
  throw new Error(`no array ${name}`);
}

/** Expects every key and value to be where the definition has it. */
async function expectPlaces(
  state: MemoryState,
  tokensOf: (layer: number, head: number) => number[],
): Promise<void> {
  const [keys, values] = [await arrayOf(state, "keys"), await arrayOf(state, "values")];
  const used = values.length / (L * K * D);
  for (let layer = 0; layer < L; layer++) {
    for (let head = 0; head < K; head++) {
      const start = (layer * K + head) * used * D;
      const held = Array.from({ length: used }, (_, place) => values[start + place * D] ?? 0);
      expect(held).toEqual(tokensOf(layer, head));
      for (const [place, n] of held.entries()) {
        const got = Array.from(keys.subarray(start + place * D, start + (place + 1) * D));
        const expected = rotated(layer, head, n, place + state.commitCount * T);
        // Once rotated and turned back in float32, then rotated anew.
        for (const [i, value] of expected.entries())
          expect(Math.abs((got[i] ?? NaN) - value)).toBeLessThan(1e-6);
      }
    }
  }
}

describe("a state with slots", () => {
  it("holds for each layer and head its own choice, in stream order, at in-cache positions", async () => {
    const state = policy.createState();
    for (const length of [C, C + 1, C + T, C + T + 1, C + 9 * T + 2]) {
      await read(state, length);
      const commits = Math.ceil((length - C) / T);
      expect(state.commitCount).toBe(commits);
      await expectPlaces(state, (layer, head) => expectedTokens(layer, head, length, commits));
    }
  });

  it("moves sinks and slots without an error that grows, past a million commits", async () => {
    const state = policy.createState();
    await read(state, C + T + 1);
    const arrays = new Map((await state.exportArrays()).map(({ name, data }) => [name, data]));
    const slots = (layer: number, head: number) => expectedTokens(layer, head, C + T + 1, 2).slice(S, S + B);
    // The same slots, a million commits later: their scores win for ever.
    const used = C - T + 1;
    const numbers = arrays.get("token_numbers");
    for (let row = 0; row < 2 * K; row++) numbers?.fill(99, row * used + S, row * used + S + B);
    const commits = 3_000_000;
    const later = policy.restoreState(commits * T + used, arrays);
    expect(later.commitCount).toBe(commits);
    await read(later, commits * T + C + 1);
    const keys = await arrayOf(later, "keys");
    const places = keys.length / (L * K * D);
    for (const layer of [0, 2]) {
      for (let head = 0; head < K; head++) {
        const kept = [0, 1, ...slots(layer, head)];
        for (const [place, n] of kept.entries()) {
          const start = ((layer * K + head) * places + place) * D;
          const expected = rotated(layer, head, n, place + later.commitCount * T);
          for (const [i, value] of expected.entries())
            expect(Math.abs((keys[start + i] ?? NaN) - value)).toBeLessThan(1e-6);
        }
      }
    }
  });

  it("is as it was when a commit fails", async () => {
    const state = policy.createState();
    await read(state, C + T);
    const before = await state.exportArrays();
    const failing = { ...commitSession, run: () => Promise.reject(new Error("device lost")) };
    await expect(state.commit(failing)).rejects.toThrow("device lost");
    await expect(state.commit(undefined)).rejects.toThrow("no commit graph");
    expect(await state.exportArrays()).toEqual(before);
    await read(state, C + 2 * T);
    await expectPlaces(state, (layer, head) => expectedTokens(layer, head, C + 2 * T, 2));
  });
});
