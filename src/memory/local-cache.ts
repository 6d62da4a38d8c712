/**
 * The local cache: rotated keys and values of the tokens that are exact, in the memory of host or device.
 *
 * Keys and values of each layer are `[K, P, D]`, dense; P, the number of places a head has at the moment, is a
 * little more than the tokens held, so that the graph never multiplies far beyond them and sees few shapes.
 * P changes by moving rows within the same buffers. New rows come from the graph, nothing else does.
 */

import { InternalError } from "../errors.ts";
import {
  hostMemory,
  type Stretch,
  type Tensor,
  type TensorBuffer,
  type TensorMemory,
} from "../runtime/tensor-memory.ts";
import { elementCount } from "../tensor/shape.ts";
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
  /** The layers it holds, ascending; all where not given. */
  readonly layers?: readonly number[];
}

/** Is what one layer holds. */
interface LayerBuffers {
  readonly keys: TensorBuffer;
  readonly values: TensorBuffer;
}

/** Holds exact keys and values of layers. L below counts those it holds. */
export class LocalCache {
  readonly #geometry: AttentionGeometry;
  readonly #options: LocalCacheOptions;
  #allocatedPlaces: number;
  #places: number;
  #used = 0;
  #layers: readonly LayerBuffers[];

  /** @param twin a cache of the same sizes to copy; an empty one is made without it. */
  constructor(
    geometry: AttentionGeometry,
    options: LocalCacheOptions,
    memory: TensorMemory = hostMemory,
    twin?: LocalCache,
  ) {
    this.#geometry = geometry;
    this.#options = options;
    if (twin !== undefined) {
      this.#places = twin.#places;
      this.#used = twin.#used;
      this.#allocatedPlaces = twin.#allocatedPlaces;
      this.#layers = twin.#layers.map(({ keys, values }) => ({ keys: keys.clone(), values: values.clone() }));
      return;
    }
    this.#places = this.#placesFor(0);
    this.#allocatedPlaces = Math.max(this.#places, options.initialTokens ?? options.capacityTokens);
    const length = this.#lengthFor(this.#allocatedPlaces);
    this.#layers = Array.from({ length: options.layers?.length ?? geometry.layerCount }, () => ({
      keys: memory.allocate(length),
      values: memory.allocate(length),
    }));
  }

  /** Elements that so many places take in one buffer. */
  #lengthFor(places: number): number {
    return this.#geometry.keyValueHeadCount * places * this.#geometry.headSize;
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
    return this.#layers.reduce((sum, { keys, values }) => sum + keys.sizeBytes + values.sizeBytes, 0);
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

  #layer(layerIndex: number): LayerBuffers {
    const { layers } = this.#options;
    const layer = this.#layers[layers === undefined ? layerIndex : layers.indexOf(layerIndex)];
    if (layer !== undefined) return layer;
    throw new InternalError({ where: "LocalCache", what: "no such layer", got: layerIndex });
  }

  get #shape(): readonly number[] {
    const { keyValueHeadCount, headSize } = this.#geometry;
    return [keyValueHeadCount, 1, this.#places, headSize];
  }

  /** Views the keys of a layer, `[K, 1, P, D]`. */
  keys(layerIndex: number): Tensor {
    return this.#layer(layerIndex).keys.tensor(this.#shape);
  }

  /** Views the values of a layer, `[K, 1, P, D]`. */
  values(layerIndex: number): Tensor {
    return this.#layer(layerIndex).values.tensor(this.#shape);
  }

  /** Views keys or values of a layer as rows, `[K*P, D]`. */
  rows(layerIndex: number, part: keyof LayerBuffers): Tensor {
    const { keyValueHeadCount, headSize } = this.#geometry;
    return this.#layer(layerIndex)[part].tensor([keyValueHeadCount * this.#places, headSize]);
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
    const length = this.#lengthFor(this.#allocatedPlaces);
    this.#layers = this.#layers.map(({ keys, values }) => {
      const grown = { keys: keys.clone(length), values: values.clone(length) };
      keys.release();
      values.release();
      return grown;
    });
  }

  /** Moves every head to a new number of places, leaving out `dropCount` tokens from place `dropFrom`. */
  #repack(places: number, dropFrom: number, dropCount: number): void {
    const { keyValueHeadCount: heads, headSize } = this.#geometry;
    const grows = places > this.#places;
    const stretches: Stretch[] = [];
    for (let index = 0; index < heads; index++) {
      // From the side that leaves room, so that nothing is overwritten before it has moved.
      const row = grows ? heads - 1 - index : index;
      const from = row * this.#places * headSize;
      const to = row * places * headSize;
      const head = dropFrom * headSize;
      const tail = (dropFrom + dropCount) * headSize;
      const end = this.#used * headSize;
      if (dropCount === 0) {
        stretches.push({ from, to, length: end });
        continue;
      }
      stretches.push({ from, to, length: head }, { from: from + tail, to: to + head, length: end - tail });
    }
    for (const { keys, values } of this.#layers) {
      keys.move(stretches);
      values.move(stretches);
    }
    this.#places = places;
    this.#used -= dropCount;
  }

  /** Lists, for the first rows of every head of a layer, where they lie here and in an array of `stride` rows a head. */
  #stretchesOf(
    count: number,
    firstPlace: number,
    stride: number,
  ): { readonly here: number; readonly there: number; readonly length: number }[] {
    const { keyValueHeadCount: heads, headSize } = this.#geometry;
    return Array.from({ length: heads }, (_, head) => ({
      here: (head * this.#places + firstPlace) * headSize,
      there: head * stride * headSize,
      length: count * headSize,
    }));
  }

  /**
   * Writes the new rows of one layer behind the tokens held; room must have been made. All layers written,
   * {@link advance} counts them in.
   * @param keys `[K, n, D]` rotated; the first `tokenCount` rows of each head count.
   */
  write(
    layerIndex: number,
    keys: Tensor | Float32Array,
    values: Tensor | Float32Array,
    tokenCount: number,
  ): void {
    const layer = this.#layer(layerIndex);
    const length = keys instanceof Float32Array ? keys.length : elementCount(keys.shape);
    const stride = length / this.#lengthFor(1);
    const stretches = this.#stretchesOf(tokenCount, this.#used, stride).map(
      (row): Stretch => ({ from: row.there, to: row.here, length: row.length }),
    );
    layer.keys.write(keys, stretches);
    layer.values.write(values, stretches);
  }

  /** Counts written tokens in. */
  advance(tokenCount: number): void {
    this.#used += tokenCount;
  }

  /** Removes `count` tokens from place `from` on; later ones move up. */
  drop(from: number, count: number): void {
    this.#repack(this.#placesFor(this.#used - count), from, count);
  }

  /** Gives the first `count` rows of every head of one kind of buffer, `[L, K, count, D]`. */
  async #readRows(part: keyof LayerBuffers, count: number): Promise<Float32Array> {
    const stretches = this.#stretchesOf(count, 0, count).map(
      (row): Stretch => ({ from: row.here, to: row.there, length: row.length }),
    );
    const size = this.#lengthFor(count);
    const packed = new Float32Array(this.#layers.length * size);
    const reads = this.#layers.map((layer) => layer[part].read(stretches));
    for (const [index, rows] of (await Promise.all(reads)).entries()) packed.set(rows, index * size);
    return packed;
  }

  /** Copies out the first `count` keys of every head, `[L, K, count, D]`. */
  readKeys(count: number): Promise<Float32Array> {
    return this.#readRows("keys", count);
  }

  /** Copies out the first `count` keys of every head, `[K, count, D]`, by their layers. */
  async readKeysByLayer(count: number): Promise<ReadonlyMap<number, Float32Array>> {
    const packed = await this.readKeys(count);
    const size = this.#lengthFor(count);
    const { layers = [...this.#layers.keys()] } = this.#options;
    return new Map(layers.map((layer, index) => [layer, packed.subarray(index * size, (index + 1) * size)]));
  }

  /** Replaces the first `count` keys of every head, `[L, K, count, D]`. */
  replaceKeys(count: number, keys: Float32Array): void {
    const size = this.#lengthFor(count);
    const stretches = this.#stretchesOf(count, 0, count).map(
      (row): Stretch => ({ from: row.there, to: row.here, length: row.length }),
    );
    for (const [index, layer] of this.#layers.entries())
      layer.keys.write(keys.subarray(index * size, (index + 1) * size), stretches);
  }

  /** Overwrites keys or values of one layer from a place on, `[K, n, D]`. */
  overwrite(layerIndex: number, part: keyof LayerBuffers, firstPlace: number, rows: Tensor): void {
    const count = elementCount(rows.shape) / this.#lengthFor(1);
    const stretches = this.#stretchesOf(count, firstPlace, count).map(
      (row): Stretch => ({ from: row.there, to: row.here, length: row.length }),
    );
    this.#layer(layerIndex)[part].write(rows, stretches);
  }

  /** Copies out the tokens held, `[L, K, used, D]` each. */
  async export(): Promise<{ readonly keys: Float32Array; readonly values: Float32Array }> {
    const used = this.#used;
    return { keys: await this.#readRows("keys", used), values: await this.#readRows("values", used) };
  }

  /** Fills an empty cache with tokens that {@link export} gave. */
  import(keys: Float32Array, values: Float32Array, usedTokens: number): void {
    this.reserve(usedTokens);
    const size = this.#lengthFor(usedTokens);
    for (let index = 0; index < this.#layers.length; index++) {
      const range = [index * size, (index + 1) * size] as const;
      const layer = this.#options.layers?.[index] ?? index;
      this.write(layer, keys.subarray(...range), values.subarray(...range), usedTokens);
    }
    this.advance(usedTokens);
  }

  clone(): LocalCache {
    return new LocalCache(this.#geometry, this.#options, undefined, this);
  }

  /** Lets the buffers go. */
  release(): void {
    for (const { keys, values } of this.#layers) {
      keys.release();
      values.release();
    }
  }
}
