/**
 * The state of a segmented stream: sinks and local tokens exact, older ones in the linear memory or forgotten.
 *
 * Local keys are rotated at their index in the stream and never touched again. In-cache positions (local
 * token n at n - T * commits, sink i at i) come out all the same, since only differences count: at a commit
 * the sinks alone are rotated anew, to i + T * commits, from originals kept as they were first read.
 */

import { InternalError } from "../errors.ts";
import type { NamedTensors, RuntimeSession } from "../runtime/runtime.ts";
import type { Tensor, TensorMemory } from "../runtime/tensor-memory.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { GateOpenings } from "./gate-openings.ts";
import {
  type AttentionGeometry,
  type ContextSettings,
  kindOfLayer,
  localCapacityTokens,
  memoryLayers,
} from "./geometry.ts";
import { LinearMemory } from "./linear-memory.ts";
import { LocalCache } from "./local-cache.ts";
import { absorbLocal, localAttentionFeeds } from "./local-feeds.ts";
import type { MemoryState, StateArray, TokenCounts } from "./policy.ts";
import { rotateRows } from "./rotary.ts";
import { SavedArrays } from "./state-arrays.ts";

/** Names the input of the inference graph that says whether the memory is read, bool `[]`. */
export const memoryActiveName = "memory_active";

/** Gives the input that says whether the memory is read. */
export function memorySwitch(path: MemoryState["path"]): NamedTensors {
  return { [memoryActiveName]: hostTensor("bool", [], Uint8Array.of(path === "gated" ? 1 : 0)) };
}

/** Is what makes up a segmented state; parts not given are empty. */
export interface SegmentedParts {
  readonly lengthTokens: number;
  readonly cache: LocalCache;
  /** Keys of the sinks as they were first rotated, `[L, K, S, D]`. */
  readonly sinkKeys: Float32Array;
  readonly memory: LinearMemory | undefined;
  /** Of the layers that have a memory. */
  readonly openings: GateOpenings;
}

/** Makes an empty local cache of the right size. */
export function createSegmentedCache(
  geometry: AttentionGeometry,
  context: ContextSettings,
  memory?: TensorMemory,
): LocalCache {
  const capacityTokens = localCapacityTokens(context);
  const settledTokens = capacityTokens - context.segmentTokens;
  return new LocalCache(geometry, { capacityTokens, settledTokens }, memory);
}

/** Returns how many commits a stream of that length has behind it: a commit is made when a token finds no room. */
export function commitCountAt(context: ContextSettings, lengthTokens: number): number {
  return Math.max(0, Math.ceil((lengthTokens - localCapacityTokens(context)) / context.segmentTokens));
}

/** Is the state of the policies `paper` and `streaming`. */
export class SegmentedState implements MemoryState {
  readonly #geometry: AttentionGeometry;
  readonly #context: ContextSettings;
  readonly #cache: LocalCache;
  readonly #sinkKeys: Float32Array;
  readonly #memory: LinearMemory | undefined;
  readonly #openings: GateOpenings;
  #length: number;
  #commits: number;

  constructor(geometry: AttentionGeometry, context: ContextSettings, parts: SegmentedParts) {
    this.#geometry = geometry;
    this.#context = context;
    this.#cache = parts.cache;
    this.#sinkKeys = parts.sinkKeys;
    this.#memory = parts.memory;
    this.#openings = parts.openings;
    this.#length = parts.lengthTokens;
    this.#commits = (parts.lengthTokens - parts.cache.usedTokens) / context.segmentTokens;
  }

  get lengthTokens(): number {
    return this.#length;
  }

  get commitCount(): number {
    return this.#commits;
  }

  get sizeBytes(): number {
    const fixed = this.#sinkKeys.byteLength + this.#openings.sizeBytes;
    return this.#cache.sizeBytes + fixed + (this.#memory?.sizeBytes ?? 0);
  }

  get #leftTokens(): number {
    return this.#commits * this.#context.segmentTokens;
  }

  /** Rotary position of the first token that the next commit moves. */
  get #firstLeavingPosition(): number {
    return this.#context.sinkTokens + this.#leftTokens;
  }

  get tokenCounts(): TokenCounts {
    const sinks = Math.min(this.#context.sinkTokens, this.#length);
    const local = this.#cache.usedTokens - sinks;
    const left = this.#leftTokens;
    const remembered = this.#memory !== undefined;
    return { sinks, slots: 0, local, memory: remembered ? left : 0, dropped: remembered ? 0 : left };
  }

  get path(): "base" | "gated" {
    return this.#memory !== undefined && this.#commits > 0 ? "gated" : "base";
  }

  get gateOpening(): readonly (readonly number[])[] {
    return this.#openings.means(Math.max(0, this.#length - localCapacityTokens(this.#context)));
  }

  get roomTokens(): number {
    const free = localCapacityTokens(this.#context) - this.#cache.usedTokens;
    return Math.min(free, this.#context.segmentTokens);
  }

  feeds(tokenCount: number): NamedTensors {
    const feeds = localAttentionFeeds(this.#geometry, () => this.#cache, this.#length, tokenCount);
    if (this.#memory === undefined) return feeds;
    return { ...feeds, ...this.#memory.feeds(), ...memorySwitch(this.path) };
  }

  absorb(outputs: NamedTensors, tokenCount: number): void {
    absorbLocal(this.#geometry, () => this.#cache, outputs, tokenCount);
    this.#length += tokenCount;
    if (this.path === "gated") this.#openings.absorb(outputs, tokenCount);
  }

  /** Gives what the commit graph is fed at the next commit, which must be due; nothing without a memory. */
  commitFeeds(): NamedTensors {
    return this.#memory?.commitFeeds(this.#cache, this.#context, this.#firstLeavingPosition) ?? {};
  }

  async commit(session: RuntimeSession<Tensor> | undefined): Promise<void> {
    const { sinkTokens, segmentTokens } = this.#context;
    // What can fail comes before what changes the cache.
    const originals = this.#commits === 0 ? await this.#cache.readKeys(sinkTokens) : undefined;
    if (this.#memory !== undefined) {
      if (session === undefined) throw new InternalError({ where: "commit", what: "no commit graph" });
      await this.#memory.write(session, this.#cache, this.#context, this.#firstLeavingPosition);
    }
    if (originals !== undefined) this.#sinkKeys.set(originals);
    this.#cache.drop(sinkTokens, segmentTokens);
    this.#commits += 1;
    this.#cache.replaceKeys(sinkTokens, this.#rotateSinks());
  }

  /** Rotates the sinks from their originals to where they are after the commits so far, `[L, K, S, D]`. */
  #rotateSinks(): Float32Array {
    const { layerCount, keyValueHeadCount, headSize } = this.#geometry;
    const size = keyValueHeadCount * this.#context.sinkTokens * headSize;
    const rotated = new Float32Array(this.#sinkKeys.length);
    for (let layer = 0; layer < layerCount; layer++) {
      const range = [layer * size, (layer + 1) * size] as const;
      const { inverseFrequencies } = kindOfLayer(this.#geometry, layer);
      const [from, to] = [this.#sinkKeys.subarray(...range), rotated.subarray(...range)];
      rotateRows(from, to, inverseFrequencies, this.#leftTokens, headSize);
    }
    return rotated;
  }

  clone(): SegmentedState {
    return new SegmentedState(this.#geometry, this.#context, {
      lengthTokens: this.#length,
      cache: this.#cache.clone(),
      sinkKeys: this.#sinkKeys.slice(),
      memory: this.#memory?.clone(),
      openings: this.#openings.clone(),
    });
  }

  release(): void {
    this.#cache.release();
    this.#memory?.release();
  }

  async exportArrays(): Promise<readonly StateArray[]> {
    const { keys, values } = await this.#cache.export();
    const arrays: StateArray[] = [
      { name: "keys", data: keys },
      { name: "values", data: values },
      { name: "sink_keys", data: this.#sinkKeys.slice() },
      { name: "gate_sums", data: this.#openings.export() },
    ];
    if (this.#memory === undefined) return arrays;
    const { matrix, normalizer } = await this.#memory.export();
    return [
      ...arrays,
      { name: "memory_matrix", data: matrix },
      { name: "memory_normalizer", data: normalizer },
    ];
  }
}

/** Restores a state from the arrays that {@link SegmentedState.exportArrays} gave. */
export function restoreSegmentedState(
  geometry: AttentionGeometry,
  context: ContextSettings,
  tokens: { readonly length: number; readonly used: number },
  arrays: ReadonlyMap<string, Float32Array | Float64Array>,
  memory?: TensorMemory,
): SegmentedState {
  const saved = new SavedArrays(arrays);
  const cache = createSegmentedCache(geometry, context, memory);
  cache.import(saved.floats("keys"), saved.floats("values"), tokens.used);
  const linear = saved.has("memory_matrix") ? new LinearMemory(geometry, memory) : undefined;
  linear?.import(saved.floats("memory_matrix"), saved.floats("memory_normalizer"));
  const gateLayers = linear === undefined ? 0 : memoryLayers(geometry).length;
  const openings = new GateOpenings(gateLayers, geometry.queryHeadCount);
  openings.import(saved.doubles("gate_sums"));
  return new SegmentedState(geometry, context, {
    lengthTokens: tokens.length,
    cache,
    sinkKeys: saved.floats("sink_keys"),
    memory: linear,
    openings,
  });
}
