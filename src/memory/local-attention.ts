/**
 * Local attention: causal softmax attention of new tokens over the local cache and themselves.
 *
 *   A_local = softmax(scale q_rot k_rot^T + mask) v                (EdgeInfinite, arXiv 2503.22196, section 3.1)
 *
 * Keys are rotated at their absolute places in the stream, less what commits have moved (see
 * segmented-state.ts), which is the same as in-cache positions, since rotary embedding is relative.
 * Two ways give the same sums: many tokens join past and new keys first (a small copy beside large products) and
 * attend in one kernel; a single one multiplies them apart (a copy of the cache would cost more than the product).
 */

import { InternalError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import { addDims, type Dim, multiplyDims } from "../graph/dim.ts";
import type { Value } from "../graph/graph.ts";
import { type AttentionGeometry, type AttentionKind, kindOfLayer } from "./geometry.ts";
import type { AttentionInputs } from "./policy.ts";

/** Symbols of the inference graph: new tokens and places of the past. */
export const tokensSymbol = "T";
export const placesSymbol = "P";

/**
 * Most query heads of a group that are multiplied apart, as vectors: that is faster than a product of a few rows,
 * which copies keys and values into another order first (3 heads: 5.3 ms against 6.4 over 30 layers of 1,540
 * places; 7 heads: 5.4 against 4.6).
 */
const mostApart = 4;

/** Stands for minus infinity in masks: finite, so that no device computes infinity minus infinity. */
export const masked = -1e30;

/** Names the input of learned positions, int64 `[T]`. */
export const positionsName = "positions";
/** Names the input that hides empty places, float32 `[P]`: 0, or very low. */
export const pastMaskName = "past_mask";
/** Names the input of a layer's cached keys, `[K, 1, P, D]`, rotated. */
export const pastKeysName = (layer: number): string => `past_keys.${layer}`;
/** Names the input of a layer's cached values, `[K, 1, P, D]`. */
export const pastValuesName = (layer: number): string => `past_values.${layer}`;
/** Names the output of a layer's new keys, `[K, T, D]`, rotated. */
export const newKeysName = (layer: number): string => `new_keys.${layer}`;
/** Names the output of a layer's new values, `[K, T, D]`. */
export const newValuesName = (layer: number): string => `new_values.${layer}`;
/** Tells whether an output holds rows that the cache takes in, so that they can stay where it lies. */
export const isNewRows = (output: string): boolean => /^new_(?:keys|values)\./.test(output);
/** Names an input that differs between kinds of layers; those of the first kind have the plain name. */
export const kindName = (name: string, kind: number): string => (kind === 0 ? name : `${name}.${kind}`);

/** What a kind of layers is fed besides its cache: kinds that are alike in it share it. */
export interface KindInputs {
  /** The kind whose tables it uses; undefined when nothing is rotated. */
  readonly rotary: number | undefined;
  /** The kind whose masks it uses. */
  readonly mask: number;
  /** The kind with whose layers it has as many places in the cache. */
  readonly places: number;
}

/** Tells which inputs a kind of layers shares with which. */
export function inputsOfKind({ kinds }: AttentionGeometry, kind: AttentionKind): KindInputs {
  const { inverseFrequencies, rotaryScale, windowTokens, slotTokens } = kind;
  const rotary = kinds.findIndex(
    (other) => other.inverseFrequencies === inverseFrequencies && other.rotaryScale === rotaryScale,
  );
  return {
    rotary: inverseFrequencies.length === 0 ? undefined : rotary,
    mask: kinds.findIndex((other) => other.windowTokens === windowTokens && other.slotTokens === slotTokens),
    places: kinds.findIndex((other) => other.slotTokens === slotTokens),
  };
}

/** Returns the kind with whose layers a layer has as many places in the cache. */
export function placesKindOf(geometry: AttentionGeometry, layer: number): number {
  return inputsOfKind(geometry, kindOfLayer(geometry, layer)).places;
}

/** Returns the places of the past of a kind's layers. */
export const placesOfKind = (kind: number): Dim => (kind === 0 ? placesSymbol : `${placesSymbol}${kind}`);

/** Is the rotation of the new tokens: `[T, 1, n]` each. */
interface Rotation {
  readonly cos: Value;
  readonly sin: Value;
}

interface RotaryInputs {
  readonly keys: Rotation;
  /** Those of queries scale as they rotate, where whole heads are rotated. */
  readonly queries: Rotation;
  readonly isScaling: boolean;
}

interface MaskInputs {
  /** `[P]`. */
  readonly past: Value;
  /** `[T, P + T]`. */
  readonly causal: Value;
}

/** Is what the attention of a layer is written from. */
export interface AttentionParts {
  /** `[T, H, D]`, with or without an axis of 1 before the last. */
  readonly query: Value;
  /** `[K, 1, P, D]`. */
  readonly pastKeys: Value;
  /** `[K, 1, P, D]`. */
  readonly pastValues: Value;
  /** `[T, K, D]`, with or without an axis of 1 before the last. */
  readonly newKeys: Value;
  /** `[T, K, D]`. */
  readonly newValues: Value;
  readonly masks: MaskInputs;
  /** P. */
  readonly places: Dim;
  /** Whether T is 1. */
  readonly isSingle: Value;
  /** int64 `[2]`: P and T. */
  readonly splitSizes: Value;
}

/** Returns the rows, by axes, in which the queries of a key/value head multiply its keys when T is 1. */
export function singleRows({
  queryHeadCount: H,
  keyValueHeadCount: K,
}: AttentionGeometry): readonly [Dim, Dim] {
  const group = H / K;
  return group > mostApart ? [1, multiplyDims(group, tokensSymbol)] : [group, tokensSymbol];
}

/** Writes x `[T, heads, D]` as `[heads, T, D]`. */
export function writeHeadsFirst(b: GraphBuilder, x: Value, heads: number, headSize: number): Value {
  return b.transpose(b.reshape(x, [tokensSymbol, heads, headSize]), [1, 0, 2]);
}

/** Writes the attention of one token: T is 1 here, so that a new order of axes is but another view. */
function attendSingle(b: GraphBuilder, geometry: AttentionGeometry, parts: AttentionParts): Value[] {
  const { query, pastKeys, pastValues, masks } = parts;
  const { queryHeadCount: H, keyValueHeadCount: K, headSize: D } = geometry;
  const T = tokensSymbol;
  const grouped = b.reshape(query, [K, ...singleRows(geometry), D]);
  const newKeys = b.reshape(parts.newKeys, [K, 1, T, D]);
  const newValues = b.reshape(parts.newValues, [K, 1, T, D]);
  const scoresOf = (keys: Value): Value => b.matMul(grouped, b.transpose(keys, [0, 1, 3, 2]));
  const pastScores = b.add(scoresOf(pastKeys), masks.past);
  const weights = b.softmax(b.concat([pastScores, scoresOf(newKeys)], 3), 3);
  const [past = weights, recent = weights] = b.split(weights, 3, [parts.places, T], parts.splitSizes);
  const output = b.add(b.matMul(past, pastValues), b.matMul(recent, newValues));
  const outputs = [b.reshape(output, [T, H * D])];
  return [...outputs, ...[newKeys, newValues].map((x) => b.reshape(x, [K, T, D]))];
}

function attendMany(b: GraphBuilder, geometry: AttentionGeometry, parts: AttentionParts): Value[] {
  const { query, pastKeys, pastValues, masks } = parts;
  const { queryHeadCount: H, keyValueHeadCount: K, headSize: D } = geometry;
  const T = tokensSymbol;
  const headsFirst = (x: Value, heads: number): Value => writeHeadsFirst(b, x, heads, D);
  const newKeys = headsFirst(parts.newKeys, K);
  const newValues = headsFirst(parts.newValues, K);
  const joined = (past: Value, recent: Value): Value =>
    b.reshape(b.concat([past, b.reshape(recent, [K, 1, T, D])], 2), [1, K, addDims(parts.places, T), D]);
  const attention = b.attention(
    b.reshape(headsFirst(query, H), [1, H, T, D]),
    joined(pastKeys, newKeys),
    joined(pastValues, newValues),
    masks.causal,
    1,
  );
  const output = b.transpose(b.reshape(attention, [H, T, D]), [1, 0, 2]);
  return [b.reshape(output, [T, H * D]), newKeys, newValues];
}

/** Writes attention over all that is exact; gives its outputs `[T, H*D]`, new keys and new values `[K, T, D]`. */
export function writeAttention(
  b: GraphBuilder,
  geometry: AttentionGeometry,
  parts: AttentionParts,
  names: readonly string[] = [],
): Value[] {
  return b.if(
    parts.isSingle,
    (branch) => attendSingle(branch, geometry, parts),
    (branch) => attendMany(branch, geometry, parts),
    names,
  );
}

/** Writes local attention into an inference graph. */
export class LocalAttentionWriter {
  readonly #builder: GraphBuilder;
  readonly #geometry: AttentionGeometry;
  readonly #rotary = new Map<number, RotaryInputs>();
  readonly #masks = new Map<number, MaskInputs>();
  readonly #splitSizes = new Map<number, Value>();
  readonly #isSingle: Value;
  readonly #outputs: Value[] = [];
  /** int64 `[T]`, for models that have learned their positions. */
  readonly positions: Value | undefined;

  constructor(builder: GraphBuilder, geometry: AttentionGeometry) {
    this.#builder = builder;
    this.#geometry = geometry;
    geometry.kinds.forEach((kind, index) => {
      const { rotary, mask, places } = inputsOfKind(geometry, kind);
      if (rotary === index) this.#rotary.set(index, this.#declareRotary(index, kind));
      if (mask === index) this.#masks.set(index, this.#declareMasks(index, placesOfKind(places)));
    });
    if (geometry.hasLearnedPositions) this.positions = builder.input(positionsName, "int64", [tokensSymbol]);
    for (const places of new Set(geometry.kinds.map((kind) => inputsOfKind(geometry, kind).places)))
      this.#splitSizes.set(places, builder.input(kindName("split_sizes", places), "int64", [2]));
    this.#isSingle = builder.input("is_single_token", "bool", []);
  }

  #declareRotary(index: number, { inverseFrequencies }: AttentionKind): RotaryInputs {
    const b = this.#builder;
    const { headSize, scoreScale } = this.#geometry;
    const n = inverseFrequencies.length;
    const table = (name: string): Value =>
      b.reshape(b.input(kindName(name, index), "float32", [1, tokensSymbol, n]), [tokensSymbol, 1, n]);
    const keys = { cos: table("rotary_cos"), sin: table("rotary_sin") };
    if (2 * n < headSize) return { keys, queries: keys, isScaling: false };
    const scale = b.scalar(scoreScale);
    return { keys, queries: { cos: b.mul(keys.cos, scale), sin: b.mul(keys.sin, scale) }, isScaling: true };
  }

  #declareMasks(index: number, places: Dim): MaskInputs {
    const width = addDims(places, tokensSymbol);
    return {
      past: this.#builder.input(kindName(pastMaskName, index), "float32", [places]),
      causal: this.#builder.input(kindName("mask", index), "float32", [tokensSymbol, width]),
    };
  }

  /** Writes a layer; gives the heads' outputs side by side, `[T, H*D]`. */
  attend(layer: number, inputs: AttentionInputs): Value {
    const [output = inputs.query] = this.attendBy(layer, inputs, (parts, names) =>
      writeAttention(this.#builder, this.#geometry, parts, names),
    );
    return output;
  }

  /**
   * Writes a layer in another way.
   * @param write gives what {@link writeAttention} does, by the names that it is told, and what else it will.
   * @returns the heads' outputs, and what else there was.
   */
  attendBy(
    layer: number,
    { query, key, value }: AttentionInputs,
    write: (parts: AttentionParts, names: readonly string[]) => readonly Value[],
  ): readonly Value[] {
    const b = this.#builder;
    const { queryHeadCount: H, keyValueHeadCount: K, headSize: D, scoreScale } = this.#geometry;
    const ofKind = inputsOfKind(this.#geometry, kindOfLayer(this.#geometry, layer));
    const { rotary, mask } = ofKind;
    const [masks, splitSizes] = [this.#masks.get(mask), this.#splitSizes.get(ofKind.places)];
    const tables = rotary === undefined ? undefined : this.#rotary.get(rotary);
    if (masks === undefined || splitSizes === undefined)
      throw new InternalError({ where: `layer ${layer}`, what: "no mask was declared" });
    const places = placesOfKind(ofKind.places);
    const scaled = tables?.isScaling === true ? query : b.mul(query, b.scalar(scoreScale));
    const parts: AttentionParts = {
      query: this.#rotate(scaled, H, tables?.queries),
      pastKeys: b.input(pastKeysName(layer), "float32", [K, 1, places, D]),
      pastValues: b.input(pastValuesName(layer), "float32", [K, 1, places, D]),
      newKeys: this.#rotate(key, K, tables?.keys),
      newValues: value,
      masks,
      places,
      isSingle: this.#isSingle,
      splitSizes,
    };
    const names = [`attention.${layer}`, newKeysName(layer), newValuesName(layer)];
    const [output = value, newKeys = value, newValues = value, ...others] = write(parts, names);
    this.#outputs.push(newKeys, newValues);
    return [output, ...others];
  }

  /** Rotates x `[T, heads, D]`, each token in a batch of its own, so that heads need not come first. */
  #rotate(x: Value, heads: number, tables: Rotation | undefined): Value {
    if (tables === undefined) return x;
    const b = this.#builder;
    return b.rotaryEmbedding(
      b.reshape(x, [tokensSymbol, heads, 1, this.#geometry.headSize]),
      tables.cos,
      tables.sin,
    );
  }

  /** Lists the new rows that the cache takes in. */
  finish(): readonly Value[] {
    return this.#outputs;
  }
}
