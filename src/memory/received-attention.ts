/**
 * Scores of tokens by the attention that they receive: what `h2o` and `snapkv` have in common.
 *
 *   r_n = sum over new queries t of w_t  1/g  sum over the g query heads of the group of a_tn,   a_t = softmax(s_t)
 *
 * r is one number a place, layer and key/value head, and the host adds it up from run to run. The kernel of attention
 * keeps its weights to itself, so that logits and softmax are computed a second time here, from the same queries and
 * keys, as plain products: portable, and a cost in speed and in room (H T (P + T) numbers a layer at a time) that
 * baselines can bear. The attention proper is left as it is, bit for bit.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import { addDims } from "../graph/dim.ts";
import type { Value } from "../graph/graph.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { type AttentionGeometry, memoryLayers } from "./geometry.ts";
import {
  type AttentionParts,
  kindName,
  LocalAttentionWriter,
  placesKindOf,
  tokensSymbol,
  writeAttention,
  writeHeadsFirst,
} from "./local-attention.ts";
import type { AttentionWriter } from "./policy.ts";
import type { NumberArray } from "./token-numbers.ts";

/** Names the input with the weight of each new query, float32 `[T]`. */
const queryWeightsName = "query_weights";
/**
 * Names the output with what every place received, `[N, K, P + T]`: places of the cache, then the new tokens. One a kind
 * of layers that have as many places.
 */
export const receivedAttentionName = (kind: number): string => kindName("received_attention", kind);

/** Says how tokens are scored by the attention that they receive. */
export interface AttentionScoring {
  /** Last tokens before a commit whose attention counts; Infinity: that of all. */
  readonly observedTokens: number;
  /**
   * Whether a token that stays at a commit keeps what it has received. Sums then grow as long as the stream, and are
   * kept in float64; else there are at most `observedTokens` terms, and float32 is enough.
   */
  readonly isCumulative: boolean;
  /** Makes scores of what the candidates of a head have received; both in stream order. */
  readonly scoreCandidates: (received: NumberArray) => NumberArray;
}

/** Writes what each place receives in one layer, `[1, K, P + T]`. @param newKeys rotated, `[K, T, D]`. */
function writeReceived(
  b: GraphBuilder,
  { queryHeadCount: H, keyValueHeadCount: K, headSize: D }: AttentionGeometry,
  { query, pastKeys, masks, places }: AttentionParts,
  newKeys: Value,
  queryWeights: Value,
): Value {
  const T = tokensSymbol;
  const grouped = b.reshape(writeHeadsFirst(b, query, H, D), [K, H / K, T, D]);
  const keys = b.concat([pastKeys, b.reshape(newKeys, [K, 1, T, D])], 2);
  const scores = b.matMul(grouped, b.transpose(keys, [0, 1, 3, 2]));
  const weights = b.softmax(b.add(scores, masks.causal), 3);
  const received = b.matMul(b.reshape(queryWeights, [1, T]), weights);
  return b.reshape(b.reduceMean(received, [1], false), [1, K, addDims(places, T)]);
}

/** Begins local attention that tells what every place receives in the layers that keep slots. */
export function beginReceivedAttention(b: GraphBuilder, geometry: AttentionGeometry): AttentionWriter {
  const local = new LocalAttentionWriter(b, geometry);
  const queryWeights = b.input(queryWeightsName, "float32", [tokensSymbol]);
  const withSlots = new Set(memoryLayers(geometry));
  const received = new Map<number, Value[]>();
  return {
    positions: local.positions,
    attend(layer, inputs) {
      if (!withSlots.has(layer)) return local.attend(layer, inputs);
      const [output = inputs.query, ofLayer] = local.attendBy(layer, inputs, (parts, names) => {
        const written = writeAttention(b, geometry, parts, names);
        const [, newKeys = parts.newKeys] = written;
        return [...written, writeReceived(b, geometry, parts, newKeys, queryWeights)];
      });
      const kind = placesKindOf(geometry, layer);
      if (ofLayer !== undefined) received.set(kind, [...(received.get(kind) ?? []), ofLayer]);
      return output;
    },
    finish: () => [
      ...local.finish(),
      ...[...received].map(([kind, layers]) => b.named(receivedAttentionName(kind), b.concat(layers, 0))),
    ],
  };
}

/**
 * Gives the weights of new queries: 1 for those that are observed. Which these are is told by the room left before the
 * next commit alone, so that it never depends on how a stream is cut.
 * @param roomTokens tokens that can be read before the next commit.
 */
export function queryWeightFeeds(
  { observedTokens }: AttentionScoring,
  roomTokens: number,
  tokenCount: number,
): Record<string, HostTensor> {
  const weights = Float32Array.from({ length: tokenCount }, (_, row) =>
    roomTokens - row <= observedTokens ? 1 : 0,
  );
  return { [queryWeightsName]: hostTensor("float32", [tokenCount], weights) };
}
