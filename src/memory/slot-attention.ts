/**
 * Attention over the local cache once slots are filled: a slot's bias is added to its logits, and the logarithm of
 * the softmax's denominator comes out where the memory joins it.
 *
 *   s_n = scale q_rot k_rot + bias_n (slots only),   A = softmax(s) v,   log Z = log sum exp(s)
 *
 * For one token the bias is one more mask. For many it rides in more dimensions of queries and keys, one a query head
 * of the group: q' = [q, e_h], k' = [k, bias_1, ..., bias_g], so that the kernel need not hold a mask a head. The
 * kernel does not give Z; but the weight of the place 0, which every token sees, is e^s0 / Z, and comes out as one
 * more dimension of the values.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import { addDims, multiplyDims } from "../graph/dim.ts";
import type { Value } from "../graph/graph.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { type AttentionGeometry, memoryLayers } from "./geometry.ts";
import {
  type AttentionParts,
  kindName,
  placesKindOf,
  placesOfKind,
  placesSymbol,
  singleRows,
  tokensSymbol,
  writeHeadsFirst,
} from "./local-attention.ts";

/** Names the input of what is added to the logits of each place, float32 `[N, K, H/K, P]`: 0 but for slots. */
export const slotBiasName = "slot_bias";
/** Names the same input of the layers that have as many places as those of a kind. */
export const slotBiasOfKind = (kind: number): string => kindName(slotBiasName, kind);
/** Names the input that is 1 for the place 0 and 0 for all others, float32 `[P]`. */
const firstPlaceName = "first_place";

/** Gives the input that tells the place 0 from others. */
export function firstPlaceFeeds(places: number): Record<string, HostTensor> {
  const data = new Float32Array(places);
  data[0] = 1;
  return { [firstPlaceName]: hostTensor("float32", [places], data) };
}

/** The least weight of the place 0 that is told from none: it stands for e^-85 of the whole. */
const leastWeight = 1e-37;

/** Says what there is beyond plain attention. */
export interface SlotAttentionOptions {
  readonly hasBias: boolean;
  readonly hasLogSum: boolean;
}

/** Lists the layers that keep slots by the kind whose places they have. */
function groupByPlaces(geometry: AttentionGeometry): ReadonlyMap<number, readonly number[]> {
  const groups = new Map<number, number[]>();
  for (const layer of memoryLayers(geometry)) {
    const kind = placesKindOf(geometry, layer);
    groups.set(kind, [...(groups.get(kind) ?? []), layer]);
  }
  return groups;
}

/** Writes the attention of layers with slots. */
export class SlotAttentionWriter {
  readonly #geometry: AttentionGeometry;
  /** Of each layer that keeps slots, `[1, K, H/K, P]`. */
  readonly #biases = new Map<number, { readonly ofKind: Value; readonly index: number }>();
  readonly #firstPlace: Value | undefined;

  constructor(b: GraphBuilder, geometry: AttentionGeometry, options: SlotAttentionOptions) {
    const { queryHeadCount: H, keyValueHeadCount: K } = geometry;
    this.#geometry = geometry;
    if (options.hasBias) {
      for (const [kind, layers] of groupByPlaces(geometry)) {
        const shape = [layers.length, K, H / K, placesOfKind(kind)];
        const ofKind = b.input(slotBiasOfKind(kind), "float32", shape);
        for (const [index, layer] of layers.entries()) this.#biases.set(layer, { ofKind, index });
      }
    }
    this.#firstPlace = options.hasLogSum ? b.input(firstPlaceName, "float32", [placesSymbol]) : undefined;
  }

  /**
   * Writes a layer that keeps slots.
   * @returns the heads' outputs `[T, H*D]`, new keys and values `[K, T, D]`, and log Z `[T, H]` where it is wanted.
   */
  write(b: GraphBuilder, layer: number, parts: AttentionParts): Value[] {
    return b.if(
      parts.isSingle,
      (branch) => this.#single(branch, layer, parts),
      (branch) => this.#many(branch, layer, parts),
    );
  }

  #biasOf(b: GraphBuilder, layer: number): Value | undefined {
    const bias = this.#biases.get(layer);
    return bias && b.slice(bias.ofKind, 0, bias.index, bias.index + 1);
  }

  #logSum(b: GraphBuilder, firstScore: Value, firstWeight: Value): Value {
    return b.sub(firstScore, b.log(b.max(firstWeight, b.scalar(leastWeight))));
  }

  /** T is 1 here, so that a new order of axes is but another view. */
  #single(b: GraphBuilder, layer: number, parts: AttentionParts): Value[] {
    const { query, pastKeys, pastValues, masks } = parts;
    const { queryHeadCount: H, keyValueHeadCount: K, headSize: D } = this.#geometry;
    const [T, P] = [tokensSymbol, parts.places];
    const rows = singleRows(this.#geometry);
    const grouped = b.reshape(query, [K, ...rows, D]);
    const newKeys = b.reshape(parts.newKeys, [K, 1, T, D]);
    const newValues = b.reshape(parts.newValues, [K, 1, T, D]);
    const scoresOf = (keys: Value): Value => b.matMul(grouped, b.transpose(keys, [0, 1, 3, 2]));
    let pastScores = b.add(scoresOf(pastKeys), masks.past);
    const bias = this.#biasOf(b, layer);
    if (bias !== undefined) {
      const byHead = b.reshape(pastScores, [K, H / K, T, P]);
      pastScores = b.reshape(b.add(byHead, b.reshape(bias, [K, H / K, 1, P])), [K, ...rows, P]);
    }
    const weights = b.softmax(b.concat([pastScores, scoresOf(newKeys)], 3), 3);
    const [past = weights, recent = weights] = b.split(weights, 3, [P, T], parts.splitSizes);
    const output = b.add(b.matMul(past, pastValues), b.matMul(recent, newValues));
    const outputs = [
      b.reshape(output, [T, H * D]),
      ...[newKeys, newValues].map((x) => b.reshape(x, [K, T, D])),
    ];
    if (this.#firstPlace === undefined) return outputs;
    const first = (x: Value): Value => b.reshape(b.slice(x, 3, 0, 1), [T, H]);
    return [...outputs, this.#logSum(b, first(pastScores), first(weights))];
  }

  /** Gives zeros `[..., T, width]`: a place that every token sees is not masked. */
  #zeros(b: GraphBuilder, { masks }: AttentionParts, leading: readonly number[], width: number): Value {
    const none = hostTensor(
      "float32",
      [...leading, 1, width],
      new Float32Array(leading.reduce((a, x) => a * x, width)),
    );
    return b.add(b.constant("none", none), b.slice(masks.causal, 1, 0, 1));
  }

  #many(b: GraphBuilder, layer: number, parts: AttentionParts): Value[] {
    const { queryHeadCount: H, keyValueHeadCount: K, headSize: D } = this.#geometry;
    const [T, P] = [tokensSymbol, parts.places];
    const newKeys = writeHeadsFirst(b, parts.newKeys, K, D);
    const newValues = writeHeadsFirst(b, parts.newValues, K, D);
    const joined = (past: Value, recent: Value, width: number): Value =>
      b.reshape(b.concat([past, recent], 2), [1, K, addDims(P, T), width]);
    const { query, keys, width } = this.#extend(b, layer, parts, newKeys, joined);
    const shortValues = b.reshape(newValues, [K, 1, T, D]);
    if (this.#firstPlace === undefined) {
      const values = joined(parts.pastValues, shortValues, D);
      const attention = b.attention(query, keys, values, parts.masks.causal, 1);
      const output = b.transpose(b.reshape(attention, [H, T, D]), [1, 0, 2]);
      return [b.reshape(output, [T, H * D]), newKeys, newValues];
    }
    const flag = b.reshape(this.#firstPlace, [P, 1]);
    const ones = b.constant("heads", hostTensor("float32", [K, 1, 1, 1], new Float32Array(K).fill(1)));
    const past = b.concat([parts.pastValues, b.mul(ones, flag)], 3);
    const values = joined(past, b.concat([shortValues, this.#zeros(b, parts, [K, 1], 1)], 3), D + 1);
    const attention = b.attention(query, keys, values, parts.masks.causal, 1);
    const byToken = b.transpose(b.reshape(attention, [H, T, D + 1]), [1, 0, 2]);
    const [output = byToken, firstWeight = byToken] = b.split(byToken, 2, [D, 1]);
    const firstKey = b.transpose(b.reshape(b.slice(keys, 2, 0, 1), [K, 1, width]), [0, 2, 1]);
    const grouped = b.reshape(query, [K, multiplyDims(H / K, T), width]);
    const firstScore = b.transpose(b.reshape(b.matMul(grouped, firstKey), [H, T]), [1, 0]);
    return [
      b.reshape(output, [T, H * D]),
      newKeys,
      newValues,
      this.#logSum(b, firstScore, b.reshape(firstWeight, [T, H])),
    ];
  }

  /** Gives queries `[1, H, T, width]` and keys `[1, K, P + T, width]` with the bias in dimensions of its own. */
  #extend(
    b: GraphBuilder,
    layer: number,
    parts: AttentionParts,
    newKeys: Value,
    joined: (past: Value, recent: Value, width: number) => Value,
  ): { readonly query: Value; readonly keys: Value; readonly width: number } {
    const { queryHeadCount: H, keyValueHeadCount: K, headSize: D } = this.#geometry;
    const [T, P] = [tokensSymbol, parts.places];
    const group = H / K;
    const query = b.reshape(writeHeadsFirst(b, parts.query, H, D), [1, H, T, D]);
    const shortKeys = b.reshape(newKeys, [K, 1, T, D]);
    const bias = this.#biasOf(b, layer);
    if (bias === undefined) return { query, keys: joined(parts.pastKeys, shortKeys, D), width: D };
    const width = D + group;
    const columns = b.transpose(b.reshape(bias, [K, 1, group, P]), [0, 1, 3, 2]);
    const past = b.concat([parts.pastKeys, columns], 3);
    const recent = b.concat([shortKeys, this.#zeros(b, parts, [K, 1], group)], 3);
    const own = Float32Array.from({ length: H * group }, (_, at) =>
      Math.floor(at / group) % group === at % group ? 1 : 0,
    );
    const ofHead = b.constant("own_head", hostTensor("float32", [1, H, 1, group], own));
    const chosen = b.add(ofHead, b.slice(parts.masks.causal, 1, 0, 1));
    return { query: b.concat([query, chosen], 3), keys: joined(past, recent, width), width };
  }
}
