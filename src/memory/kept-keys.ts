/**
 * The keys of what is kept for ever, or for long, as they were projected: sinks and retained slots.
 *
 * A commit moves them to other positions, so the cache holds them rotated anew each time. Always from these
 * originals: no error adds up, however many commits there are. Layers without rotary embedding need none.
 */

import { InternalError } from "../errors.ts";
import { hostMemory, type Tensor, type TensorBuffer, type TensorMemory } from "../runtime/tensor-memory.ts";
import { type AttentionGeometry, type ContextSettings, kindOfLayer, memoryLayers } from "./geometry.ts";
import type { LocalCache } from "./local-cache.ts";
import { rotaryTables } from "./rotary.ts";

/** Is a layer whose first places are rotated anew at a commit. */
export interface MovedLayer {
  readonly layer: number;
  /** Places: the sinks, and the slots where the layer has any. */
  readonly rows: number;
}

/** Lists the layers whose first places are rotated anew at a commit. */
export function movedLayers(geometry: AttentionGeometry, context: ContextSettings): readonly MovedLayer[] {
  const withSlots = new Set(memoryLayers(geometry));
  return geometry.layerKinds
    .map((_, layer) => ({
      layer,
      rows: context.sinkTokens + (withSlots.has(layer) ? context.slotTokens : 0),
    }))
    .filter(({ layer, rows }) => rows > 0 && kindOfLayer(geometry, layer).inverseFrequencies.length > 0);
}

/** Names the input of a layer's unrotated keys, `[K, rows, D]`. */
export const keptKeysName = (layer: number): string => `kept_keys.${layer}`;

/** Undoes the rotation of rows that lie one a position from 0 on: `[heads, rows, D]`, in place. */
export function unrotateRows(keys: Float32Array, rows: number, headSize: number, tables: RotaryArrays): void {
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

/** Holds the originals of every layer that needs them, float32, on host or device. */
export class KeptKeys {
  readonly #geometry: AttentionGeometry;
  readonly #context: ContextSettings;
  readonly #layers: readonly (MovedLayer & { readonly buffer: TensorBuffer })[];

  /** @param twin keys of the same sizes to copy; empty ones are made without it. */
  constructor(
    geometry: AttentionGeometry,
    context: ContextSettings,
    memory: TensorMemory = hostMemory,
    twin?: KeptKeys,
  ) {
    this.#geometry = geometry;
    this.#context = context;
    const rowLength = geometry.keyValueHeadCount * geometry.headSize;
    this.#layers =
      twin !== undefined
        ? twin.#layers.map((layer) => ({ ...layer, buffer: layer.buffer.clone() }))
        : movedLayers(geometry, context).map((layer) => ({
            ...layer,
            buffer: memory.allocate(layer.rows * rowLength),
          }));
  }

  get sizeBytes(): number {
    return this.#layers.reduce((sum, { buffer }) => sum + buffer.sizeBytes, 0);
  }

  /** Gives the keys as inputs of the commit graph. */
  feeds(): Record<string, Tensor> {
    const { keyValueHeadCount: K, headSize: D } = this.#geometry;
    const feeds: Record<string, Tensor> = {};
    for (const { layer, rows, buffer } of this.#layers)
      feeds[keptKeysName(layer)] = buffer.tensor([K, rows, D]);
    return feeds;
  }

  /** Tells whether a layer's first places are rotated anew. */
  has(layerIndex: number): boolean {
    return this.#layers.some(({ layer }) => layer === layerIndex);
  }

  /** Takes the first places of a cache that no commit has moved yet. */
  async takeFrom(cache: LocalCache): Promise<void> {
    const { keyValueHeadCount: K, headSize: D } = this.#geometry;
    const count = this.#context.sinkTokens + this.#context.slotTokens;
    const keys = await cache.readKeys(count);
    const headLength = count * D;
    for (const { layer, rows, buffer } of this.#layers) {
      const { cos, sin } = rotaryTables(kindOfLayer(this.#geometry, layer), 0, count, -1);
      const own = keys.subarray(layer * K * headLength, (layer + 1) * K * headLength);
      unrotateRows(own, count, D, { cos: cos.data, sin: sin.data });
      const heads = Array.from({ length: K }, (_, head) => head);
      buffer.write(
        own,
        heads.map((head) => ({ from: head * headLength, to: head * rows * D, length: rows * D })),
      );
    }
  }

  /** Takes in the slots of a layer as a commit chose them, `[K, B, D]`. */
  replaceSlots(layerIndex: number, keys: Tensor): void {
    const layer = this.#layers.find((each) => each.layer === layerIndex);
    if (layer === undefined) throw new InternalError({ where: `layer ${layerIndex}`, what: "no originals" });
    const { keyValueHeadCount: K, headSize: D } = this.#geometry;
    const { sinkTokens: S, slotTokens: B } = this.#context;
    const stretches = Array.from({ length: K }, (_, head) => ({
      from: head * B * D,
      to: (head * layer.rows + S) * D,
      length: B * D,
    }));
    layer.buffer.write(keys, stretches);
  }

  /** Copies out the keys, `[K, rows, D]` of each layer in turn. */
  async export(): Promise<Float32Array> {
    const parts = await Promise.all(
      this.#layers.map(({ buffer }) => buffer.read([{ from: 0, to: 0, length: buffer.length }])),
    );
    const joined = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    let offset = 0;
    for (const part of parts) {
      joined.set(part, offset);
      offset += part.length;
    }
    return joined;
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
    return new KeptKeys(this.#geometry, this.#context, undefined, this);
  }

  /** Lets the buffers go. */
  release(): void {
    for (const { buffer } of this.#layers) buffer.release();
  }
}
