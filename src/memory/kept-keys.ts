/**
 * The keys of what is kept for ever, or for long, as they were projected: sinks and retained slots.
 *
 * A commit moves them to other positions, so the cache holds them rotated anew each time. Always from these
 * originals: no error adds up, however many commits there are. Layers without rotary embedding need none.
 */

import { InternalError } from "../errors.ts";
import { hostMemory, type Tensor, type TensorBuffer, type TensorMemory } from "../runtime/tensor-memory.ts";
import { elementCount } from "../tensor/shape.ts";
import { type AttentionGeometry, type ContextSettings, kindOfLayer, memoryLayers } from "./geometry.ts";
import type { LocalCache } from "./local-cache.ts";
import { rotaryTables } from "./rotary.ts";
import { joinFloats } from "./state-arrays.ts";

/** Is a layer whose first places are rotated anew at a commit. */
export interface MovedLayer {
  readonly layer: number;
  /** Places: the sinks, and the slots where the layer has any. */
  readonly rows: number;
}

/** Lists the layers whose first places are rotated anew at a commit. */
export function movedLayers(geometry: AttentionGeometry, context: ContextSettings): readonly MovedLayer[] {
  const withSlots = new Set(memoryLayers(geometry));
  const slotsOf = (layer: number): number => kindOfLayer(geometry, layer).slotTokens ?? context.slotTokens;
  return geometry.layerKinds
    .map((_, layer) => ({ layer, rows: context.sinkTokens + (withSlots.has(layer) ? slotsOf(layer) : 0) }))
    .filter(({ layer, rows }) => rows > 0 && kindOfLayer(geometry, layer).inverseFrequencies.length > 0);
}

/** Names the input of a layer's unrotated keys, `[K, rows, D]`. */
export const keptKeysName = (layer: number): string => `kept_keys.${layer}`;

/** Undoes the rotation of rows that lie one a position from 0 on: `[heads, rows, D]`, in place. */
function unrotateRows(keys: Float32Array, rows: number, headSize: number, tables: RotaryArrays): void {
  const { cos, sin } = tables;
  const pairs = cos.length / rows;
  for (let start = 0; start < keys.length; start += headSize) {
    const row = (start / headSize) % rows;
    for (let pair = 0; pair < pairs; pair++) {
      const [a, b] = [keys[start + pair] ?? 0, keys[start + pair + pairs] ?? 0];
      const [c, s] = [cos[row * pairs + pair] ?? 0, sin[row * pairs + pair] ?? 0];
      keys[start + pair] = a * c - b * s;
      keys[start + pair + pairs] = b * c + a * s;
    }
  }
}

interface RotaryArrays {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/**
 * Reads the first keys of layers from a cache that no commit has moved yet, as they were projected.
 * @returns `[K, count, D]` of each layer that is rotated anew.
 */
export async function readOriginals(
  geometry: AttentionGeometry,
  cache: LocalCache,
  layers: readonly MovedLayer[],
  count: number,
): Promise<ReadonlyMap<number, Float32Array>> {
  const keys = await cache.readKeysByLayer(count);
  const originals = new Map<number, Float32Array>();
  for (const { layer } of layers) {
    const own = keys.get(layer);
    if (own === undefined) throw new InternalError({ where: `layer ${layer}`, what: "no cache holds it" });
    const { cos, sin } = rotaryTables(kindOfLayer(geometry, layer), 0, count, -1);
    unrotateRows(own, count, geometry.headSize, { cos: cos.data, sin: sin.data });
    originals.set(layer, own);
  }
  return originals;
}

/** Holds the originals of layers, float32, on host or device. */
export class KeptKeys {
  readonly #geometry: AttentionGeometry;
  readonly #layers: readonly (MovedLayer & { readonly buffer: TensorBuffer })[];

  /** @param twin keys of the same sizes to copy; empty ones are made without it. */
  constructor(
    geometry: AttentionGeometry,
    layers: readonly MovedLayer[],
    memory: TensorMemory = hostMemory,
    twin?: KeptKeys,
  ) {
    this.#geometry = geometry;
    const rowLength = geometry.keyValueHeadCount * geometry.headSize;
    this.#layers =
      twin !== undefined
        ? twin.#layers.map((layer) => ({ ...layer, buffer: layer.buffer.clone() }))
        : layers.map((layer) => ({ ...layer, buffer: memory.allocate(layer.rows * rowLength) }));
  }

  get sizeBytes(): number {
    return this.#layers.reduce((sum, { buffer }) => sum + buffer.sizeBytes, 0);
  }

  /** Elements of all layers. */
  get length(): number {
    return this.#layers.reduce((sum, { buffer }) => sum + buffer.length, 0);
  }

  /** Gives the keys as inputs of the commit graph. @param filledRows where not all are: those of {@link replace}. */
  feeds(filledRows?: number): Record<string, Tensor> {
    const { keyValueHeadCount: K, headSize: D } = this.#geometry;
    const feeds: Record<string, Tensor> = {};
    for (const { layer, rows, buffer } of this.#layers)
      feeds[keptKeysName(layer)] = buffer.tensor([K, filledRows ?? rows, D]);
    return feeds;
  }

  /** Tells whether a layer's first places are rotated anew. */
  has(layerIndex: number): boolean {
    return this.#layers.some(({ layer }) => layer === layerIndex);
  }

  /** Takes the first places of a cache that no commit has moved yet. */
  async takeFrom(cache: LocalCache): Promise<void> {
    const { keyValueHeadCount: K, headSize: D } = this.#geometry;
    const count = this.#layers.reduce((most, { rows }) => Math.max(most, rows), 0);
    const originals = await readOriginals(this.#geometry, cache, this.#layers, count);
    for (const { layer, rows, buffer } of this.#layers) {
      const heads = Array.from({ length: K }, (_, head) => head);
      buffer.write(
        originals.get(layer) ?? new Float32Array(0),
        heads.map((head) => ({ from: head * count * D, to: head * rows * D, length: rows * D })),
      );
    }
  }

  #bufferOf(layerIndex: number): MovedLayer & { readonly buffer: TensorBuffer } {
    const layer = this.#layers.find((each) => each.layer === layerIndex);
    if (layer !== undefined) return layer;
    throw new InternalError({ where: `layer ${layerIndex}`, what: "no originals" });
  }

  /** Takes in sinks and slots of a layer as a commit chose them, `[K, n, D]`, n at most the layer's rows. */
  replace(layerIndex: number, keys: Tensor): void {
    const stretch = { from: 0, to: 0, length: elementCount(keys.shape) };
    this.#bufferOf(layerIndex).buffer.write(keys, [stretch]);
  }

  /** Takes in the slots of a layer as a commit chose them, `[K, B, D]`: the last of its rows. */
  replaceSlots(layerIndex: number, keys: Tensor): void {
    const { rows, buffer } = this.#bufferOf(layerIndex);
    const { keyValueHeadCount: K, headSize: D } = this.#geometry;
    const B = elementCount(keys.shape) / (K * D);
    const stretches = Array.from({ length: K }, (_, head) => ({
      from: head * B * D,
      to: ((head + 1) * rows - B) * D,
      length: B * D,
    }));
    buffer.write(keys, stretches);
  }

  /** Copies out the keys, `[K, rows, D]` of each layer in turn. */
  async export(): Promise<Float32Array> {
    const reads = this.#layers.map(({ buffer }) => buffer.read([{ from: 0, to: 0, length: buffer.length }]));
    return joinFloats(await Promise.all(reads));
  }

  /** Takes in what {@link export} gave. */
  import(keys: Float32Array): void {
    let offset = 0;
    for (const { buffer } of this.#layers) {
      const { length } = buffer;
      buffer.write(keys.subarray(offset, offset + length), [{ from: 0, to: 0, length }]);
      offset += length;
    }
  }

  clone(): KeptKeys {
    return new KeptKeys(this.#geometry, [], undefined, this);
  }

  /** Lets the buffers go. */
  release(): void {
    for (const { buffer } of this.#layers) buffer.release();
  }
}
