/**
 * The commit graph of policies with retained slots: moves the chosen tokens into the slots, what is left out into
 * the linear memory, and sinks and slots to their new positions.
 *
 * Candidates of a head are the B + T places behind the sinks: its slots (from the first commit on) and the oldest
 * local tokens. Which of them stay was chosen on the host. It never looks at scores.
 */

import { GraphBuilder } from "../graph/builder.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { Tensor } from "../runtime/tensor-memory.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import {
  type AttentionGeometry,
  type AttentionKind,
  type ContextSettings,
  memoryLayers,
} from "./geometry.ts";
import { keptKeysName, movedLayers } from "./kept-keys.ts";
import { type FeatureMap, writeMemoryUpdate } from "./linear-memory.ts";
import { pastKeysName, pastValuesName, placesSymbol } from "./local-attention.ts";
import { type RotaryTables, rotaryTables } from "./rotary.ts";

/** Names the input of the chosen candidates, int64 `[N*K*B]`: of each layer and head, `head * (B + T) + index`. */
const chosenName = "chosen_rows";
/** Names the input of the shares that are written into the linear memory, `[N, K, B + T]`: 0 of what stays. */
const sharesName = "leaving_shares";
/** Names the input of a kind's table for rows that are rotated to where they go, or back from where they were. */
export const tableName = (use: "rotate" | "unrotate", table: "cos" | "sin", kind: number): string =>
  `${use}_${table}.${kind}`;
/** Names the output of a layer's keys of sinks and slots, rotated anew, `[K, rows, D]`; the slots' alone where nothing is rotated. */
export const movedKeysName = (layer: number): string => `moved_keys.${layer}`;
/** Names the output of a layer's slots as they were projected, `[K, B, D]`. */
export const slotKeysName = (layer: number): string => `slot_keys.${layer}`;
/** Names the output of a layer's values of the slots, `[K, B, D]`. */
export const slotValuesName = (layer: number): string => `slot_values.${layer}`;

/** Gives the feature map of a layer's keys. */
export type KeyMaps = (layer: number) => FeatureMap;

/** Says how keys become features of the linear memory. */
export interface SlotMemory {
  /** Dphi. */
  readonly featureCount: number;
  /** Begins the maps of one graph. */
  readonly beginKeyMaps: () => KeyMaps;
}

interface Tables {
  readonly cos: Value;
  readonly sin: Value;
}

/** Lists the kinds of given layers that are rotated, by their index. */
function rotatedKinds(
  { kinds, layerKinds }: AttentionGeometry,
  layers: readonly number[],
): readonly (readonly [number, AttentionKind])[] {
  const used = new Set(layers.map((layer) => layerKinds[layer]));
  return [...kinds.entries()].filter(
    ([index, kind]) => used.has(index) && kind.inverseFrequencies.length > 0,
  );
}

const kindsToRotate = (geometry: AttentionGeometry, context: ContextSettings) =>
  rotatedKinds(
    geometry,
    movedLayers(geometry, context).map(({ layer }) => layer),
  );
const kindsToUnrotate = (geometry: AttentionGeometry) => rotatedKinds(geometry, memoryLayers(geometry));

/** Writes the commit graph, layer by layer. */
class SlotCommitWriter {
  readonly #b = new GraphBuilder("commit");
  readonly #geometry: AttentionGeometry;
  readonly #context: ContextSettings;
  readonly #rotate = new Map<number, Tables>();
  readonly #unrotate = new Map<number, Tables>();
  readonly #slotLayers: readonly number[];
  readonly #chosen: Value | undefined;
  readonly #shares: Value | undefined;
  readonly #memory: { readonly featureCount: number; readonly mapKeys: KeyMaps } | undefined;
  readonly #outputs: Value[] = [];

  constructor(geometry: AttentionGeometry, context: ContextSettings, memory: SlotMemory | undefined) {
    const { keyValueHeadCount: K } = geometry;
    const { sinkTokens: S, slotTokens: B, segmentTokens: T } = context;
    this.#geometry = geometry;
    this.#context = context;
    this.#memory = memory && { featureCount: memory.featureCount, mapKeys: memory.beginKeyMaps() };
    this.#slotLayers = memoryLayers(geometry);
    const N = this.#slotLayers.length;
    for (const [index, { inverseFrequencies }] of kindsToRotate(geometry, context))
      this.#rotate.set(index, this.#declareTables("rotate", index, S + B, inverseFrequencies.length));
    for (const [index, { inverseFrequencies }] of kindsToUnrotate(geometry))
      this.#unrotate.set(index, this.#declareTables("unrotate", index, T, inverseFrequencies.length));
    if (B > 0) this.#chosen = this.#b.input(chosenName, "int64", [N * K * B]);
    if (memory !== undefined) this.#shares = this.#b.input(sharesName, "float32", [N, K, B + T]);
  }

  #declareTables(use: "rotate" | "unrotate", kind: number, positions: number, pairs: number): Tables {
    const shape = [1, positions, pairs];
    return {
      cos: this.#b.input(tableName(use, "cos", kind), "float32", shape),
      sin: this.#b.input(tableName(use, "sin", kind), "float32", shape),
    };
  }

  /** Rotates `[K, rows, D]`. */
  #turn(x: Value, rows: number, { cos, sin }: Tables): Value {
    const { keyValueHeadCount: K, headSize: D } = this.#geometry;
    return this.#b.reshape(this.#b.rotaryEmbedding(this.#b.reshape(x, [1, K, rows, D]), cos, sin), [
      K,
      rows,
      D,
    ]);
  }

  /** Takes the first `rows` positions of a table. */
  #head({ cos, sin }: Tables, rows: number): Tables {
    if (cos.shape[1] === rows) return { cos, sin };
    return { cos: this.#b.slice(cos, 1, 0, rows), sin: this.#b.slice(sin, 1, 0, rows) };
  }

  /** Gives the candidates of a layer with slots, keys unrotated, `[K, B + T, D]` each. */
  #candidates(layer: number, kept: Value | undefined): { readonly keys: Value; readonly values: Value } {
    const b = this.#b;
    const { keyValueHeadCount: K, headSize: D, layerKinds } = this.#geometry;
    const { sinkTokens: S, slotTokens: B, segmentTokens: T } = this.#context;
    const cached = (name: string) => b.input(name, "float32", [K, 1, placesSymbol, D]);
    const stretch = (x: Value, from: number, count: number): Value =>
      b.reshape(b.slice(x, 2, from, from + count), [K, count, D]);
    const [pastKeys, pastValues] = [cached(pastKeysName(layer)), cached(pastValuesName(layer))];
    const values = stretch(pastValues, S, B + T);
    const tables = this.#unrotate.get(layerKinds[layer] ?? -1);
    if (tables === undefined) return { keys: stretch(pastKeys, S, B + T), values };
    const local = this.#turn(stretch(pastKeys, S + B, T), T, tables);
    if (kept === undefined || B === 0) return { keys: local, values };
    return { keys: b.concat([b.slice(kept, 1, S, S + B), local], 1), values };
  }

  #choose(x: Value, chosen: Value): Value {
    const { keyValueHeadCount: K, headSize: D } = this.#geometry;
    const { slotTokens: B, segmentTokens: T } = this.#context;
    return this.#b.reshape(this.#b.gather(this.#b.reshape(x, [K * (B + T), D]), chosen), [K, B, D]);
  }

  /** Writes a layer that keeps slots. @param index among those layers. */
  #writeSlotLayer(layer: number, index: number, kept: Value | undefined): void {
    const b = this.#b;
    const { keyValueHeadCount: K, layerKinds } = this.#geometry;
    const { sinkTokens: S, slotTokens: B, segmentTokens: T } = this.#context;
    const candidates = this.#candidates(layer, kept);
    const rotate = this.#rotate.get(layerKinds[layer] ?? -1);
    if (this.#chosen !== undefined) {
      const chosen = b.slice(this.#chosen, 0, index * K * B, (index + 1) * K * B);
      const keys = this.#choose(candidates.keys, chosen);
      this.#outputs.push(b.named(slotValuesName(layer), this.#choose(candidates.values, chosen)));
      if (kept === undefined || rotate === undefined) {
        this.#outputs.push(b.named(movedKeysName(layer), keys));
      } else {
        const all = S === 0 ? keys : b.concat([b.slice(kept, 1, 0, S), keys], 1);
        this.#outputs.push(b.named(slotKeysName(layer), keys));
        this.#outputs.push(b.named(movedKeysName(layer), this.#turn(all, S + B, rotate)));
      }
    } else if (kept !== undefined && rotate !== undefined) {
      this.#outputs.push(b.named(movedKeysName(layer), this.#turn(kept, S, rotate)));
    }
    if (this.#shares === undefined || this.#memory === undefined) return;
    const { featureCount, mapKeys } = this.#memory;
    const shares = b.reshape(b.slice(this.#shares, 0, index, index + 1), [K, B + T, 1]);
    const leaving = { ...candidates, shares };
    this.#outputs.push(...writeMemoryUpdate(b, this.#geometry, layer, leaving, mapKeys(layer), featureCount));
  }

  write(): Graph {
    const b = this.#b;
    const { keyValueHeadCount: K, headSize: D, layerKinds } = this.#geometry;
    const moved = new Map(movedLayers(this.#geometry, this.#context).map(({ layer, rows }) => [layer, rows]));
    for (const [layer, kind] of layerKinds.entries()) {
      const rows = moved.get(layer);
      const kept = rows === undefined ? undefined : b.input(keptKeysName(layer), "float32", [K, rows, D]);
      const index = this.#slotLayers.indexOf(layer);
      if (index >= 0) {
        this.#writeSlotLayer(layer, index, kept);
        continue;
      }
      const tables = this.#rotate.get(kind);
      if (kept === undefined || rows === undefined || tables === undefined) continue;
      this.#outputs.push(b.named(movedKeysName(layer), this.#turn(kept, rows, this.#head(tables, rows))));
    }
    return b.finish(this.#outputs);
  }
}

/** Writes the commit graph. @param memory the linear memory; undefined when there is none. */
export function buildSlotCommit(
  geometry: AttentionGeometry,
  context: ContextSettings,
  memory: SlotMemory | undefined,
): Graph {
  return new SlotCommitWriter(geometry, context, memory).write();
}

/** Is what a commit is told besides the state's buffers. */
export interface SlotChoice {
  readonly commitCount: number;
  /** `[N, K, B]`: ascending indices into the candidates. */
  readonly chosen: Int32Array;
  /** `[N, K, B + T]`; undefined without a linear memory. */
  readonly shares: Float32Array | undefined;
}

/** Gives the inputs of the commit graph that are not buffers of the state. */
export function slotCommitFeeds(
  geometry: AttentionGeometry,
  context: ContextSettings,
  { commitCount, chosen, shares }: SlotChoice,
): Record<string, Tensor> {
  const { keyValueHeadCount: K } = geometry;
  const { sinkTokens: S, slotTokens: B, segmentTokens: T } = context;
  const feeds: Record<string, Tensor> = {};
  const moved = commitCount * T;
  const give = (use: "rotate" | "unrotate", kind: number, { cos, sin }: RotaryTables): void => {
    feeds[tableName(use, "cos", kind)] = cos;
    feeds[tableName(use, "sin", kind)] = sin;
  };
  for (const [index, kind] of kindsToRotate(geometry, context))
    give("rotate", index, rotaryTables(kind, moved + T, S + B));
  for (const [index, kind] of kindsToUnrotate(geometry))
    give("unrotate", index, rotaryTables(kind, moved + S + B, T, -1));
  if (B > 0) {
    const rows = BigInt64Array.from(chosen, (index, at) =>
      BigInt((Math.floor(at / B) % K) * (B + T) + index),
    );
    feeds[chosenName] = hostTensor("int64", [rows.length], rows);
  }
  if (shares !== undefined) {
    const N = memoryLayers(geometry).length;
    feeds[sharesName] = hostTensor("float32", [N, K, B + T], shares);
  }
  return feeds;
}
