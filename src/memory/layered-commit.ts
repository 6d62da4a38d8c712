/**
 * The commit graph of layers that keep different numbers of slots: moves the chosen tokens into the slots, and sinks
 * and slots to their new positions.
 *
 * Sinks are chosen with the slots, always. Numbers of rows differ from commit to commit while slots fill, so that they
 * are symbols here: P places of the cache, A rows of originals, Q rows that stay, each a group's own.
 */

import { GraphBuilder } from "../graph/builder.ts";
import { addDims, type Dim, multiplyDims } from "../graph/dim.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { Tensor } from "../runtime/tensor-memory.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { type AttentionGeometry, type ContextSettings, kindOfLayer } from "./geometry.ts";
import { keptKeysName } from "./kept-keys.ts";
import type { GroupStep } from "./layered-design.ts";
import { pastKeysName, pastValuesName, placesKindOf, placesOfKind } from "./local-attention.ts";
import { lastPositions, type RotaryKind, type RotaryTables, rotaryTables } from "./rotary.ts";
import { movedKeysName, slotKeysName, slotValuesName, tableName } from "./slot-commit.ts";

/** Names the input of a layer's chosen rows among its candidates, int64 `[K*Q]`: `head * (A + T) + index`. */
const chosenRowsName = (layer: number): string => `chosen_rows.${layer}`;
/** Names the input of the same rows among the places of the cache, int64 `[K*Q]`: `head * P + index`. */
const chosenPlacesName = (layer: number): string => `chosen_places.${layer}`;
/** Names the input of where the T oldest local tokens of a group lie, int64 `[K*T]`: `head * P + A + n`. */
const localPlacesName = (kind: number): string => `local_places.${kind}`;

interface Tables {
  readonly cos: Value;
  readonly sin: Value;
}

const isRotated = (geometry: AttentionGeometry, layer: number): boolean =>
  kindOfLayer(geometry, layer).inverseFrequencies.length > 0;

/** Writes the commit graph. */
export function buildLayeredCommit(geometry: AttentionGeometry, context: ContextSettings): Graph {
  const { keyValueHeadCount: K, headSize: D, kinds, layerKinds } = geometry;
  const { segmentTokens: T } = context;
  const b = new GraphBuilder("commit");
  const inputs = new Map<string, Value>();
  const input = (name: string, dtype: "int64" | "float32", shape: readonly Dim[]): Value => {
    const value = inputs.get(name) ?? b.input(name, dtype, shape);
    inputs.set(name, value);
    return value;
  };
  const tablesOf = (use: "rotate" | "unrotate", kind: number, rows: Dim): Tables => {
    const shape = [1, rows, kinds[kind]?.inverseFrequencies.length ?? 0];
    const [cos, sin] = [tableName(use, "cos", kind), tableName(use, "sin", kind)];
    return { cos: input(cos, "float32", shape), sin: input(sin, "float32", shape) };
  };
  /** Rotates rows `[K*rows, D]`, gives `[1, K, rows, D]`. */
  const turn = (x: Value, rows: Dim, { cos, sin }: Tables): Value =>
    b.rotaryEmbedding(b.reshape(x, [1, K, rows, D]), cos, sin);
  // Inputs and outputs are used as they come: the runtime copies those that are reshaped.
  const outputs = layerKinds.flatMap((kind, layer): Value[] => {
    const group = placesKindOf(geometry, layer);
    const [P, A, Q] = [placesOfKind(group), `A${group}`, `Q${group}`];
    const cached = (name: string): Value => b.input(name, "float32", [multiplyDims(K, P), D]);
    const [pastKeys, pastValues] = [cached(pastKeysName(layer)), cached(pastValuesName(layer))];
    const places = b.input(chosenPlacesName(layer), "int64", [multiplyDims(K, Q)]);
    const values = b.named(slotValuesName(layer), b.gather(pastValues, places));
    if (!isRotated(geometry, layer))
      return [values, b.named(movedKeysName(layer), b.gather(pastKeys, places))];
    const local = b.gather(pastKeys, input(localPlacesName(group), "int64", [K * T]));
    const recent = b.reshape(turn(local, T, tablesOf("unrotate", kind, T)), [K, T, D]);
    const kept = b.input(keptKeysName(layer), "float32", [K, A, D]);
    const rows = b.input(chosenRowsName(layer), "int64", [multiplyDims(K, Q)]);
    const all = b.reshape(b.concat([kept, recent], 1), [multiplyDims(K, addDims(A, T)), D]);
    const keys = b.named(slotKeysName(layer), b.gather(all, rows));
    const moved = b.named(movedKeysName(layer), turn(keys, Q, tablesOf("rotate", kind, Q)));
    return [values, keys, moved];
  });
  return b.finish(outputs);
}

/** Is what a commit is told of a group besides the state's buffers. */
export interface GroupChoice extends GroupStep {
  /** P of its cache. */
  readonly places: number;
  /** Of each layer: of each head `keptRows` ascending indices into its `heldRows + T` rows. */
  readonly chosen: readonly Int32Array[];
}

function indices(chosen: Int32Array, rowsPerHead: number, headRows: number): HostTensor {
  const all = new BigInt64Array(chosen.length);
  for (let first = 0; first < chosen.length; first += rowsPerHead) {
    const headStart = (first / rowsPerHead) * headRows;
    for (let at = first; at < first + rowsPerHead; at++) all[at] = BigInt(headStart + (chosen[at] ?? 0));
  }
  return hostTensor("int64", [all.length], all);
}

/** Computes tables of the same positions once for all kinds of layers that are rotated alike. */
function shareTables(
  firstPosition: number,
  count: number,
  direction: 1 | -1 = 1,
): (kind: RotaryKind) => RotaryTables {
  const known: { readonly kind: RotaryKind; readonly tables: RotaryTables }[] = [];
  return (kind) => {
    const alike = known.find(
      ({ kind: other }) =>
        other.inverseFrequencies === kind.inverseFrequencies && other.rotaryScale === kind.rotaryScale,
    );
    if (alike !== undefined) return alike.tables;
    const tables = rotaryTables(kind, firstPosition, count, direction);
    known.push({ kind, tables });
    return tables;
  };
}

/** Gives the inputs of the commit graph that are not buffers of the state. */
export function layeredCommitFeeds(
  geometry: AttentionGeometry,
  context: ContextSettings,
  commitCount: number,
  choices: readonly GroupChoice[],
): Record<string, Tensor> {
  const { keyValueHeadCount: K } = geometry;
  const { sinkTokens: S, slotTokens: B, segmentTokens: T } = context;
  const feeds: Record<string, Tensor> = {};
  const firstLocal = S + B + commitCount * T;
  // Kept rows end where local tokens begin, in every group.
  const mostRows = Math.max(...choices.map(({ keptRows }) => keptRows));
  const keptTables = shareTables(firstLocal + T - mostRows, mostRows);
  const localTables = shareTables(firstLocal, T, -1);
  for (const { group, heldRows, keptRows, places, chosen } of choices) {
    const local = Int32Array.from({ length: K * T }, (_, at) => heldRows + (at % T));
    for (const [index, layer] of group.layers.entries()) {
      const ofLayer = chosen[index] ?? new Int32Array(0);
      feeds[chosenPlacesName(layer)] = indices(ofLayer, keptRows, places);
      if (!isRotated(geometry, layer)) continue;
      feeds[localPlacesName(group.kind)] = indices(local, T, places);
      feeds[chosenRowsName(layer)] = indices(ofLayer, keptRows, heldRows + T);
      const kind = geometry.layerKinds[layer] ?? -1;
      const ofKind = kindOfLayer(geometry, layer);
      const rotate = lastPositions(keptTables(ofKind), keptRows);
      const unrotate = localTables(ofKind);
      feeds[tableName("rotate", "cos", kind)] = rotate.cos;
      feeds[tableName("rotate", "sin", kind)] = rotate.sin;
      feeds[tableName("unrotate", "cos", kind)] = unrotate.cos;
      feeds[tableName("unrotate", "sin", kind)] = unrotate.sin;
    }
  }
  return feeds;
}
