/**
 * The policy `full`: an ordinary KV cache that grows with the stream, up to the model's trained positions.
 * It is what the others are measured against.
 */

import { InternalError } from "../errors.ts";
import type { NamedTensors } from "../runtime/runtime.ts";
import type { TensorMemory } from "../runtime/tensor-memory.ts";
import type { AttentionGeometry } from "./geometry.ts";
import { LocalCache } from "./local-cache.ts";
import { absorbLocal, localAttentionFeeds, localSwitches } from "./local-feeds.ts";
import type { MemoryPolicy, MemoryState, StateArray, TokenCounts } from "./policy.ts";
import { beginLocalAttention } from "./segmented-policies.ts";

/** Places that an empty cache has; buffers double from there. */
const initialTokens = 256;

function createCache(geometry: AttentionGeometry, memory: TensorMemory | undefined): LocalCache {
  const capacityTokens = geometry.maxPositions;
  const sizes = { capacityTokens, settledTokens: 0, initialTokens: Math.min(initialTokens, capacityTokens) };
  return new LocalCache(geometry, sizes, memory);
}

class FullState implements MemoryState {
  readonly #geometry: AttentionGeometry;
  readonly #runTokens: number;
  readonly #cache: LocalCache;
  readonly commitCount = 0;
  readonly path = "base";
  readonly gateOpening: readonly (readonly number[])[] = [];

  constructor(geometry: AttentionGeometry, runTokens: number, cache: LocalCache) {
    this.#geometry = geometry;
    this.#runTokens = runTokens;
    this.#cache = cache;
  }

  get lengthTokens(): number {
    return this.#cache.usedTokens;
  }

  get sizeBytes(): number {
    return this.#cache.sizeBytes;
  }

  get tokenCounts(): TokenCounts {
    return { sinks: 0, slots: 0, local: this.lengthTokens, memory: 0, dropped: 0 };
  }

  get roomTokens(): number {
    return Math.min(this.#runTokens, this.#geometry.maxPositions - this.lengthTokens);
  }

  feeds(tokenCount: number): NamedTensors {
    return localAttentionFeeds(this.#geometry, () => this.#cache, this.lengthTokens, tokenCount);
  }

  absorb(outputs: NamedTensors, tokenCount: number): void {
    absorbLocal(this.#geometry, () => this.#cache, outputs, tokenCount);
  }

  commit(): Promise<void> {
    return Promise.reject(new InternalError({ where: "full", what: "an ordinary cache has no commits" }));
  }

  clone(): FullState {
    return new FullState(this.#geometry, this.#runTokens, this.#cache.clone());
  }

  async exportArrays(): Promise<readonly StateArray[]> {
    const { keys, values } = await this.#cache.export();
    return [
      { name: "keys", data: keys },
      { name: "values", data: values },
    ];
  }

  release(): void {
    this.#cache.release();
  }
}

/**
 * Creates the policy of an ordinary KV cache.
 * @param runTokens most tokens that one run reads.
 */
export function createFullPolicy(geometry: AttentionGeometry, runTokens: number): MemoryPolicy {
  const { layerCount: L, keyValueHeadCount: K, headSize: D } = geometry;
  const sizeAt = (lengthTokens: number): number => L * K * lengthTokens * D;
  return {
    name: "full",
    maxLengthTokens: geometry.maxPositions,
    lengthRemedy: geometry.hasLearnedPositions
      ? "Choose a model with rotary embedding: this one has learned no more positions."
      : 'Load the model with policy "streaming" or an adapter: their streams have no end.',
    stateBytesAt: (lengthTokens) => 2 * 4 * sizeAt(lengthTokens),
    beginAttention: (b) => beginLocalAttention(b, geometry),
    switches: localSwitches,
    buildCommitGraph: () => undefined,
    createState: (memory) => new FullState(geometry, runTokens, createCache(geometry, memory)),
    arraySizes: (lengthTokens) =>
      ["keys", "values"].map((name) => ({ name, length: sizeAt(lengthTokens), dtype: "float32" as const })),
    restoreState(lengthTokens, arrays, memory) {
      const cache = createCache(geometry, memory);
      const [keys, values] = [arrays.get("keys"), arrays.get("values")];
      if (!(keys instanceof Float32Array && values instanceof Float32Array)) {
        throw new InternalError({ where: "restore", what: "arrays are missing" });
      }
      cache.import(keys, values, lengthTokens);
      return new FullState(geometry, runTokens, cache);
    },
  };
}
