/**
 * Local attention: causal softmax attention of new tokens over the local cache and themselves.
 *
 *   A_local = softmax(q_rot k_rot^T / sqrt(D) + mask) v            (EdgeInfinite, arXiv 2503.22196, section 3.1)
 *
 * Keys are rotated at their absolute places in the stream, less what commits have moved (see
 * segmented-state.ts), which is the same as in-cache positions, since rotary embedding is relative.
 * Two ways give the same sums: many tokens join past and new keys first (a small copy beside large products),
 * a single one multiplies them apart (a copy of the cache would cost more than the product).
 */

import type { GraphBuilder } from "../graph/builder.ts";
import { addDims, multiplyDims } from "../graph/dim.ts";
import type { Value } from "../graph/graph.ts";
import type { NamedTensors } from "../runtime/runtime.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import type { AttentionGeometry } from "./geometry.ts";
import type { LocalCache } from "./local-cache.ts";
import type { AttentionInputs } from "./policy.ts";
import { rotaryTables } from "./rotary.ts";

/** Symbols of the inference graph: new tokens and places of the past. */
export const tokensSymbol = "T";
const placesSymbol = "P";

/** Stands for minus infinity in masks: finite, so that no device computes infinity minus infinity. */
const masked = -1e30;

/** Names the input that hides empty places, float32 `[P]`: 0, or very low. */
export const pastMaskName = "past_mask";
const pastKeysName = (layer: number): string => `past_keys.${layer}`;
/** Names the input of a layer's cached values, `[K, P, D]`. */
export const pastValuesName = (layer: number): string => `past_values.${layer}`;
const newKeysName = (layer: number): string => `new_keys.${layer}`;
/** Names the output of a layer's new values, `[K, T, D]`. */
export const newValuesName = (layer: number): string => `new_values.${layer}`;

/** Writes local attention into an inference graph. */
export class LocalAttentionWriter {
  readonly #builder: GraphBuilder;
  readonly #geometry: AttentionGeometry;
  readonly #cos: Value;
  readonly #sin: Value;
  readonly #pastMask: Value;
  readonly #mask: Value;
  readonly #splitSizes: Value;
  readonly #isSingle: Value;
  readonly #outputs: Value[] = [];

  constructor(builder: GraphBuilder, geometry: AttentionGeometry) {
    this.#builder = builder;
    this.#geometry = geometry;
    const table = [1, tokensSymbol, geometry.headSize / 2];
    this.#cos = builder.input("rotary_cos", "float32", table);
    this.#sin = builder.input("rotary_sin", "float32", table);
    this.#pastMask = builder.input(pastMaskName, "float32", [placesSymbol]);
    this.#mask = builder.input("mask", "float32", [tokensSymbol, addDims(placesSymbol, tokensSymbol)]);
    this.#splitSizes = builder.input("split_sizes", "int64", [2]);
    this.#isSingle = builder.input("is_single_token", "bool", []);
  }

  /** Writes a layer; gives the heads' outputs, `[H, T, D]`. */
  attend(layer: number, { query, key, value }: AttentionInputs): Value {
    const b = this.#builder;
    const { queryHeadCount: H, keyValueHeadCount: K, headSize: D } = this.#geometry;
    const T = tokensSymbol;
    const pastKeys = b.input(pastKeysName(layer), "float32", [K, placesSymbol, D]);
    const pastValues = b.input(pastValuesName(layer), "float32", [K, placesSymbol, D]);
    const rotate = (x: Value, heads: number): Value =>
      b.rotaryEmbedding(b.reshape(x, [1, heads, T, D]), this.#cos, this.#sin);
    const scaledQuery = rotate(b.mul(query, b.scalar(1 / Math.sqrt(D))), H);
    const newKeys = b.reshape(rotate(key, K), [K, T, D]);
    this.#outputs.push(b.named(newKeysName(layer), newKeys), b.named(newValuesName(layer), value));
    const parts = { query: scaledQuery, pastKeys, pastValues, newKeys, newValues: value };
    const [output] = b.if(
      this.#isSingle,
      (branch) => [this.#attendSingle(branch, parts)],
      (branch) => [this.#attendMany(branch, parts)],
    );
    return output ?? value;
  }

  #attendSingle(b: GraphBuilder, { query, pastKeys, pastValues, newKeys, newValues }: AttentionParts): Value {
    const { queryHeadCount: H, keyValueHeadCount: K, headSize: D } = this.#geometry;
    const T = tokensSymbol;
    const grouped = b.reshape(query, [K, multiplyDims(H / K, T), D]);
    const pastScores = b.add(b.matMul(grouped, b.transpose(pastKeys, [0, 2, 1])), this.#pastMask);
    const newScores = b.matMul(grouped, b.transpose(newKeys, [0, 2, 1]));
    const weights = b.softmax(b.concat([pastScores, newScores], 2), 2);
    const [past = weights, recent = weights] = b.split(weights, 2, [placesSymbol, T], this.#splitSizes);
    return b.reshape(b.add(b.matMul(past, pastValues), b.matMul(recent, newValues)), [H, T, D]);
  }

  #attendMany(b: GraphBuilder, { query, pastKeys, pastValues, newKeys, newValues }: AttentionParts): Value {
    const { queryHeadCount: H, keyValueHeadCount: K, headSize: D } = this.#geometry;
    const T = tokensSymbol;
    const places = addDims(placesSymbol, T);
    const grouped = b.reshape(query, [K, H / K, T, D]);
    const keys = b.reshape(b.concat([pastKeys, newKeys], 1), [K, 1, places, D]);
    const values = b.reshape(b.concat([pastValues, newValues], 1), [K, 1, places, D]);
    const scores = b.add(b.matMul(grouped, b.transpose(keys, [0, 1, 3, 2])), this.#mask);
    return b.reshape(b.matMul(b.softmax(scores, 3), values), [H, T, D]);
  }

  /** Lists the new rows that the cache takes in. */
  finish(): readonly Value[] {
    return this.#outputs;
  }
}

interface AttentionParts {
  readonly query: Value;
  readonly pastKeys: Value;
  readonly pastValues: Value;
  readonly newKeys: Value;
  readonly newValues: Value;
}

/** Is what masks a run: which places are empty, and which tokens come later. */
interface Masks {
  readonly usedTokens: number;
  /** `[P]`. */
  readonly past: HostTensor<"float32">;
  /** `[T, P + T]`. */
  readonly causal: HostTensor<"float32">;
}

/** The masks of each cache's last run: whole segments follow one another with the same ones. */
const lastMasks = new WeakMap<LocalCache, Masks>();

function createMasks({ places, usedTokens }: LocalCache, tokenCount: number): Masks {
  const past = new Float32Array(places).fill(masked, usedTokens);
  const width = places + tokenCount;
  const causal = new Float32Array(tokenCount * width);
  for (let row = 0; row < tokenCount; row++) {
    causal.fill(masked, row * width + usedTokens, row * width + places);
    causal.fill(masked, row * width + places + row + 1, (row + 1) * width);
  }
  return {
    usedTokens,
    past: hostTensor("float32", [places], past),
    causal: hostTensor("float32", [tokenCount, width], causal),
  };
}

function masksFor(cache: LocalCache, tokenCount: number): Masks {
  const last = lastMasks.get(cache);
  const isSame =
    last?.usedTokens === cache.usedTokens &&
    last.past.shape[0] === cache.places &&
    last.causal.shape[0] === tokenCount;
  if (isSame) return last;
  const masks = createMasks(cache, tokenCount);
  lastMasks.set(cache, masks);
  return masks;
}

/**
 * Gives what local attention is fed.
 * @param firstPosition rotary position of the first new token.
 */
export function localAttentionFeeds(
  geometry: AttentionGeometry,
  cache: LocalCache,
  firstPosition: number,
  tokenCount: number,
): Record<string, HostTensor> {
  const { cos, sin } = rotaryTables(geometry.inverseFrequencies, firstPosition, tokenCount);
  const masks = masksFor(cache, tokenCount);
  const feeds: Record<string, HostTensor> = {
    rotary_cos: cos,
    rotary_sin: sin,
    [pastMaskName]: masks.past,
    mask: masks.causal,
    split_sizes: hostTensor("int64", [2], BigInt64Array.of(BigInt(cache.places), BigInt(tokenCount))),
    is_single_token: hostTensor("bool", [], Uint8Array.of(tokenCount === 1 ? 1 : 0)),
  };
  for (let layer = 0; layer < geometry.layerCount; layer++) {
    feeds[pastKeysName(layer)] = cache.keys(layer);
    feeds[pastValuesName(layer)] = cache.values(layer);
  }
  return feeds;
}

/** Writes the new keys and values of a run into the cache. */
export function absorbLocal(
  geometry: AttentionGeometry,
  cache: LocalCache,
  outputs: NamedTensors,
  tokenCount: number,
): void {
  cache.reserve(tokenCount);
  for (let layer = 0; layer < geometry.layerCount; layer++) {
    const keys = outputs[newKeysName(layer)]?.data as Float32Array;
    const values = outputs[newValuesName(layer)]?.data as Float32Array;
    cache.write(layer, keys, values, tokenCount);
  }
  cache.advance(tokenCount);
}
