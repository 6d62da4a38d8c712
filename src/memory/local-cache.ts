/**
 * The local cache on the host: rotated keys and values of the tokens that are exact.
 *
 * Keys and values are `[L, K, P, D]`, float32, dense; P, the number of places a head has at the moment, is a
 * little more than the tokens held, so that the graph never multiplies far beyond them and sees few shapes.
 * P changes by moving rows within the same buffers. New rows come from the graph, nothing else does.
 */

import { InternalError } from "../errors.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import type { AttentionGeometry } from "./geometry.ts";

/** Places are added in steps of this many beyond the smallest full size. */
const placeStep = 64;

/** Sizes a cache. */
export interface LocalCacheOptions {
  /** Most tokens it will ever hold. */
  readonly capacityTokens: number;
  /** Size after a commit: below it and at it places come without slack. */
  readonly settledTokens: number;
  /** Places to allocate at first; buffers double when they are full. The capacity when not given. */
  readonly initialTokens?: number;
}

/** Holds exact keys and values of every layer. */
export class LocalCache {
  readonly #geometry: AttentionGeometry;
  readonly #options: LocalCacheOptions;
  #allocatedPlaces: number;
  #places: number;
  #used = 0;
  #keys: Float32Array;
  #values: Float32Array;

  constructor(geometry: AttentionGeometry, options: LocalCacheOptions) {
    this.#geometry = geometry;
    this.#options = options;
    this.#places = this.#placesFor(0);
    this.#allocatedPlaces = Math.max(this.#places, options.initialTokens ?? options.capacityTokens);
    const length = this.#rowCount * this.#allocatedPlaces * geometry.headSize;
    this.#keys = new Float32Array(length);
    this.#values = new Float32Array(length);
  }

  /** Heads of all layers: L * K. */
  get #rowCount(): number {
    return this.#geometry.layerCount * this.#geometry.keyValueHeadCount;
  }

  /** Tokens held. */
  get usedTokens(): number {
    return this.#used;
  }

  /** P: places a head has now. */
  get places(): number {
    return this.#places;
  }

  /** Bytes of the buffers, used or not. */
  get sizeBytes(): number {
    return this.#keys.byteLength + this.#values.byteLength;
  }

  #placesFor(tokens: number): number {
    const { settledTokens, capacityTokens } = this.#options;
    const stepped = (count: number): number => Math.ceil(Math.max(count, 1) / placeStep) * placeStep;
    const places =
      tokens <= settledTokens
        ? Math.min(stepped(tokens), settledTokens)
        : settledTokens + stepped(tokens - settledTokens);
    return Math.min(places, capacityTokens);
  }

  #tensor(data: Float32Array, layerIndex: number): HostTensor<"float32"> {
    const { keyValueHeadCount: heads, headSize } = this.#geometry;
    const size = heads * this.#places * headSize;
    return hostTensor(
      "float32",
      [heads, this.#places, headSize],
      data.subarray(layerIndex * size, (layerIndex + 1) * size),
    );
  }

  /** Views the keys of a layer, `[K, P, D]`. */
  keys(layerIndex: number): HostTensor<"float32"> {
    return this.#tensor(this.#keys, layerIndex);
  }

  /** Views the values of a layer, `[K, P, D]`. */
  values(layerIndex: number): HostTensor<"float32"> {
    return this.#tensor(this.#values, layerIndex);
  }

  /** Views keys and values of all layers, `[L, K, P, D]` each. */
  all(): { readonly keys: HostTensor<"float32">; readonly values: HostTensor<"float32"> } {
    const { layerCount, keyValueHeadCount, headSize } = this.#geometry;
    const shape = [layerCount, keyValueHeadCount, this.#places, headSize];
    const length = this.#rowCount * this.#places * headSize;
    return {
      keys: hostTensor("float32", shape, this.#keys.subarray(0, length)),
      values: hostTensor("float32", shape, this.#values.subarray(0, length)),
    };
  }

  /** Makes room for `tokenCount` more tokens; call before {@link write}. */
  reserve(tokenCount: number): void {
    const needed = this.#used + tokenCount;
    if (needed > this.#options.capacityTokens) {
      throw new InternalError({
        where: "LocalCache",
        what: "no room",
        got: needed,
        expected: `<= ${this.#options.capacityTokens}`,
      });
    }
    if (needed <= this.#places) return;
    const places = this.#placesFor(needed);
    if (places > this.#allocatedPlaces) this.#reallocate(places);
    this.#repack(places, 0, 0);
  }

  #reallocate(places: number): void {
    this.#allocatedPlaces = Math.min(
      Math.max(places, 2 * this.#allocatedPlaces),
      this.#options.capacityTokens,
    );
    const length = this.#rowCount * this.#allocatedPlaces * this.#geometry.headSize;
    const grow = (old: Float32Array): Float32Array => {
      const data = new Float32Array(length);
      data.set(old);
      return data;
    };
    this.#keys = grow(this.#keys);
    this.#values = grow(this.#values);
  }

  /** Moves every head to a new number of places, leaving out `dropCount` tokens from place `dropFrom`. */
  #repack(places: number, dropFrom: number, dropCount: number): void {
    const { headSize } = this.#geometry;
    const grows = places > this.#places;
    for (let index = 0; index < this.#rowCount; index++) {
      const row = grows ? this.#rowCount - 1 - index : index;
      const from = row * this.#places * headSize;
      const to = row * places * headSize;
      const head = dropFrom * headSize;
      const tail = (dropFrom + dropCount) * headSize;
      for (const data of [this.#keys, this.#values]) {
        if (dropCount === 0) {
          data.copyWithin(to, from, from + this.#used * headSize);
          continue;
        }
        data.copyWithin(to, from, from + head);
        data.copyWithin(to + head, from + tail, from + this.#used * headSize);
      }
    }
    this.#places = places;
    this.#used -= dropCount;
  }

  /**
   * Writes the new rows of one layer behind the tokens held; room must have been made. All layers written,
   * {@link advance} counts them in.
   * @param keys `[.., K, n, D]` rotated; the first `tokenCount` rows of each head count.
   */
  write(layerIndex: number, keys: Float32Array, values: Float32Array, tokenCount: number): void {
    const { keyValueHeadCount: heads, headSize } = this.#geometry;
    const stride = keys.length / heads;
    for (let head = 0; head < heads; head++) {
      const to = ((layerIndex * heads + head) * this.#places + this.#used) * headSize;
      const from = head * stride;
      this.#keys.set(keys.subarray(from, from + tokenCount * headSize), to);
      this.#values.set(values.subarray(from, from + tokenCount * headSize), to);
    }
  }

  /** Counts written tokens in. */
  advance(tokenCount: number): void {
    this.#used += tokenCount;
  }

  /** Removes `count` tokens from place `from` on; later ones move up. */
  drop(from: number, count: number): void {
    this.#repack(this.#placesFor(this.#used - count), from, count);
  }

  /** Applies a function to the first `count` keys of every head, `[count, D]`, numbered l * K + k. */
  forEachHead(count: number, visit: (keys: Float32Array, headIndex: number) => void): void {
    const { headSize } = this.#geometry;
    for (let row = 0; row < this.#rowCount; row++) {
      const from = row * this.#places * headSize;
      visit(this.#keys.subarray(from, from + count * headSize), row);
    }
  }

  /** Copies out the tokens held, `[L, K, used, D]` each. */
  export(): { readonly keys: Float32Array; readonly values: Float32Array } {
    const size = this.#used * this.#geometry.headSize;
    const pack = (data: Float32Array): Float32Array => {
      const packed = new Float32Array(this.#rowCount * size);
      for (let row = 0; row < this.#rowCount; row++) {
        const from = row * this.#places * this.#geometry.headSize;
        packed.set(data.subarray(from, from + size), row * size);
      }
      return packed;
    };
    return { keys: pack(this.#keys), values: pack(this.#values) };
  }

  /** Fills an empty cache with tokens that {@link export} gave. */
  import(keys: Float32Array, values: Float32Array, usedTokens: number): void {
    const { layerCount, keyValueHeadCount, headSize } = this.#geometry;
    this.reserve(usedTokens);
    const size = keyValueHeadCount * usedTokens * headSize;
    for (let layer = 0; layer < layerCount; layer++) {
      const range = [layer * size, (layer + 1) * size] as const;
      this.write(layer, keys.subarray(...range), values.subarray(...range), usedTokens);
    }
    this.advance(usedTokens);
  }

  clone(): LocalCache {
    const twin = new LocalCache(this.#geometry, this.#options);
    const { keys, values } = this.export();
    twin.import(keys, values, this.#used);
    return twin;
  }
}
