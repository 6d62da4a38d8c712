/**
 * The policies with retained slots in their slowest and plainest form: one token at a time, in float64, with loops.
 *
 * Every token is kept for ever with all that was computed of it, and lists of indices say where it is. Keys are
 * rotated anew, at in-cache positions, whenever they are read: a sink at its index, slot j at S + j, local tokens
 * behind the last slot. It shares no code with the engine.
 */

import type { OracleModel } from "./edgeinfinite-oracle.ts";
import type { OracleDecoder } from "./oracles/decoder.ts";
import { at, dot, multiply, silu, type Weights } from "./oracles/dense.ts";

/** Sizes the cache. */
export interface SlotOracleContext {
  readonly sinkTokens: number;
  readonly slotTokens: number;
  readonly windowTokens: number;
  readonly segmentTokens: number;
}

/** Names how slots are chosen without an adapter. */
export type SlotChoice = "keydiff" | "h2o" | "snapkv";

/** Returns how a policy chooses its slots without an adapter. */
export const slotChoiceOf = (policy: string): SlotChoice =>
  policy === "pyramidkv" ? "snapkv" : policy === "h2o" || policy === "snapkv" ? policy : "keydiff";

/** Gives the slots of each layer under a policy: for PyramidKV on a line that ends at a twentieth of the mean. */
export function slotsOfLayers(policy: string, layerCount: number, slotTokens: number): readonly number[] {
  const all = Array.from({ length: layerCount }, (_, layer) => layer);
  if (policy !== "pyramidkv" || layerCount === 1) return all.map(() => slotTokens);
  const last = Math.max(1, slotTokens / 20);
  const first = 2 * slotTokens - last;
  const onLine = all.map((layer) => first + ((last - first) * layer) / (layerCount - 1));
  const budgets = onLine.map(Math.floor);
  // What rounding leaves goes to those that it took most from.
  const rest = (layer: number): number => at(onLine, layer) - at(budgets, layer);
  while (budgets.reduce((a, x) => a + x) < layerCount * slotTokens) {
    const most = all.reduce((best, layer) => (rest(layer) > rest(best) ? layer : best));
    budgets[most] = at(budgets, most) + 1;
  }
  return budgets;
}

/** Is what one layer computed of one token, by key/value head. */
interface Token {
  readonly keys: readonly (readonly number[])[];
  readonly values: readonly (readonly number[])[];
  /** Is added to while the token receives attention, where that is what counts. */
  readonly retention: number[];
  /** Is added to the logits of the token in a slot, by query head. */
  readonly bias: readonly number[];
  /** Share of it that is written into the linear memory, by key/value head. */
  readonly share: readonly number[];
}

/** Is what one key/value head of a layer holds besides sinks and local tokens. */
interface Head {
  /** Indices of the tokens in the slots, ascending. */
  slots: readonly number[];
  /** Sum of unit keys of all tokens read. */
  keySum: readonly number[];
  readonly M: number[][];
  readonly z: number[];
}

interface Layer {
  readonly tokens: Token[];
  readonly heads: readonly Head[];
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const unit = (x: readonly number[]): number[] => x.map((value) => value / Math.sqrt(dot(x, x)));
const zeros = (length: number): number[] => new Array<number>(length).fill(0);

/** Reads a stream token by token. */
export class SlotOracle {
  readonly #decoder: OracleDecoder;
  /** Of an adapter; without one tokens are scored by the choice. */
  readonly #weights: Weights | undefined;
  readonly #context: SlotOracleContext;
  readonly #layers: readonly Layer[];
  readonly #isShared: boolean;
  readonly #choice: SlotChoice;
  readonly #budgets: readonly number[];
  readonly #scoreReach: number;
  #count = 0;
  commitCount = 0;

  constructor(
    { decoder, gates, fusion, scoreKernel = 1 }: OracleModel,
    context: SlotOracleContext,
    choice: SlotChoice = "keydiff",
    budgets: readonly number[] = [],
  ) {
    this.#budgets = budgets;
    this.#choice = choice;
    this.#scoreReach = (scoreKernel - 1) / 2;
    this.#decoder = decoder;
    this.#weights = gates;
    this.#context = context;
    this.#isShared = fusion === "shared-normalizer";
    const { layerCount, keyValueHeadCount, headSize: D } = decoder;
    this.#layers = Array.from({ length: layerCount }, () => ({
      tokens: [],
      heads: Array.from({ length: keyValueHeadCount }, () => ({
        slots: [],
        keySum: zeros(D),
        M: [],
        z: [],
      })),
    }));
  }

  #network(name: string, x: readonly number[]): number[] {
    const tensor = (part: string): Float64Array => {
      const found = this.#weights?.get(`${name}.${part}`);
      if (found === undefined) throw new Error(`oracle: no tensor ${name}.${part}`);
      return found;
    };
    const inner = multiply(tensor("down.weight"), x, tensor("down.bias")).map(silu);
    return multiply(tensor("up.weight"), inner, tensor("up.bias"));
  }

  #isLocal(layer: number): boolean {
    return this.#decoder.windowTokens(layer) !== Number.POSITIVE_INFINITY;
  }

  /** Says how much a token of the layer is worth keeping. Where a layer attends within a window, its age counts. */
  #score(layer: number, { heads }: Layer, keys: Token["keys"], hidden: readonly number[]): number[] {
    if (this.#isLocal(layer)) return heads.map(() => this.#count);
    if (this.#weights !== undefined) return this.#network(`layers.${layer}.retention`, hidden);
    if (this.#choice !== "keydiff") return zeros(heads.length);
    return heads.map((head, index) => {
      const own = unit(keys[index] ?? []);
      head.keySum = head.keySum.map((sum, i) => sum + at(own, i));
      return -dot(own, unit(head.keySum));
    });
  }

  /** Says whether the attention of the token being read counts: for SnapKV among the last before a commit alone. */
  get #isObserved(): boolean {
    const { sinkTokens: S, slotTokens: B, windowTokens: W, segmentTokens: T } = this.#context;
    if (this.#choice === "h2o") return true;
    const place = this.#count - T * this.commitCount;
    return this.#choice === "snapkv" && place >= S + B + W + T - Math.min(32, W, T);
  }

  /** Gives the candidates of a head by what they are worth: for SnapKV a candidate counts as its best neighbour. */
  #rank(layer: number, tokens: readonly Token[], head: number, candidates: readonly number[]): number[] {
    const received = candidates.map((n) => tokens[n]?.retention[head] ?? Number.NaN);
    const isPooled = this.#choice === "snapkv" && !this.#isLocal(layer);
    const worth = received.map((own, i) =>
      isPooled ? Math.max(...received.slice(Math.max(0, i - 3), i + 4)) : own,
    );
    const order = candidates.map((n, i) => [n, at(worth, i)] as const);
    return order.sort(([a, worthOfA], [b, worthOfB]) => worthOfB - worthOfA || b - a).map(([n]) => n);
  }

  #commit(): void {
    const { sinkTokens: S, slotTokens: B, segmentTokens: T } = this.#context;
    const first = this.commitCount === 0 ? S : S + B + T * this.commitCount;
    const local = Array.from({ length: this.commitCount === 0 ? B + T : T }, (_, n) => first + n);
    for (const [layer, { tokens, heads }] of this.#layers.entries()) {
      if (!this.#isLocal(layer)) this.#pool(tokens, first, local.length);
      for (const [index, head] of heads.entries()) {
        const candidates = this.#rank(layer, tokens, index, [...head.slots, ...local]);
        const budget = this.#budgets[layer] ?? B;
        head.slots = candidates.slice(0, budget).sort((a, b) => a - b);
        for (const n of candidates.slice(budget)) {
          const value = tokens[n]?.values[index] ?? [];
          const share = at(tokens[n]?.share ?? [], index);
          for (const [i, feature] of this.#features(
            layer,
            "key",
            index,
            tokens[n]?.keys[index] ?? [],
          ).entries()) {
            head.z[i] = (head.z[i] ?? 0) + share * feature;
            head.M[i] = value.map((x, j) => (head.M[i]?.[j] ?? 0) + share * feature * x);
          }
        }
      }
    }
    if (this.#choice === "snapkv") for (const layer of this.#layers.keys()) this.#forget(layer);
    this.commitCount += 1;
  }

  /** Gives new candidates the mean score of those around them that are not older than all new ones. */
  #pool(tokens: readonly Token[], first: number, count: number): void {
    const raw = tokens.map(({ retention }) => [...retention]);
    for (let n = first; n < first + count; n++) {
      const near = raw.slice(Math.max(first, n - this.#scoreReach), n + this.#scoreReach + 1);
      const own = tokens[n]?.retention ?? [];
      for (const head of own.keys())
        own[head] = near.reduce((sum, scores) => sum + at(scores, head), 0) / near.length;
    }
  }

  #forget(layer: number): void {
    if (this.#isLocal(layer)) return;
    for (const { retention } of this.#layers[layer]?.tokens ?? []) retention.fill(0);
  }

  /** Gives elu(x) + 1, or exp(W x) where the adapter has a W. */
  #features(layer: number, use: "query" | "key", head: number, x: readonly number[]): number[] {
    const weight = this.#weights?.get(`layers.${layer}.feature_map.${use}.weight`);
    if (weight === undefined) return x.map((value) => (value > 0 ? value + 1 : Math.exp(value)));
    const size = weight.length / this.#decoder.keyValueHeadCount;
    const own = multiply(weight.subarray(head * size, (head + 1) * size), x);
    return own.map((value) => Math.exp(Math.min(12, Math.max(-12, value))));
  }

  /** Lists what a head attends to: index and position of each token. */
  #visible(slots: readonly number[]): (readonly [number, number])[] {
    const { sinkTokens: S, slotTokens: B, segmentTokens: T } = this.#context;
    const sinks = Array.from({ length: Math.min(S, this.#count + 1) }, (_, n) => [n, n] as const);
    const first = this.commitCount === 0 ? S : S + B + T * this.commitCount;
    const moved = first - S - slots.length;
    const local = Array.from({ length: Math.max(0, this.#count + 1 - first) }, (_, n) => first + n);
    return [
      ...sinks,
      ...slots.map((n, slot) => [n, S + slot] as const),
      ...local.map((n) => [n, n - moved] as const),
    ];
  }

  /** Attends with one query head; gives its output, and the logarithm of the softmax's denominator. */
  #attend(
    layer: number,
    { tokens, heads }: Layer,
    queryHead: number,
    query: readonly number[],
  ): { readonly output: number[]; readonly logSum: number } {
    const decoder = this.#decoder;
    const index = Math.floor(queryHead / (decoder.queryHeadCount / decoder.keyValueHeadCount));
    const { slots } = heads[index] as Head;
    const visible = this.#visible(slots);
    const position = visible.at(-1)?.[1] ?? 0;
    const rotated = decoder.rotate(layer, query, position);
    const near = visible.filter(([, place]) => position - place < decoder.windowTokens(layer));
    const scores = near.map(([n, place]) => {
      const key = decoder.rotate(layer, tokens[n]?.keys[index] ?? [], place);
      const bias = slots.includes(n) ? at(tokens[n]?.bias ?? [], queryHead) : 0;
      return dot(rotated, key) * decoder.scoreScale + bias;
    });
    const top = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - top));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    if (this.#weights === undefined && this.#isObserved && !this.#isLocal(layer)) {
      const group = decoder.queryHeadCount / decoder.keyValueHeadCount;
      for (const [j, [n]] of near.entries()) {
        const retention = tokens[n]?.retention ?? [];
        retention[index] = at(retention, index) + at(weights, j) / total / group;
      }
    }
    const output = query.map((_, i) =>
      near.reduce((sum, [n], j) => sum + (at(weights, j) / total) * at(tokens[n]?.values[index] ?? [], i), 0),
    );
    return { output, logSum: top + Math.log(total) };
  }

  #fuse(
    layer: number,
    queries: readonly (readonly number[])[],
    attended: readonly { readonly output: number[]; readonly logSum: number }[],
  ): number[][] {
    const name = `layers.${layer}.read_gate`;
    const local = attended.map(({ output }) => output);
    const remembers = this.#weights?.has(`${name}.up.bias`) === true && this.commitCount > 0;
    if (!remembers || this.#isLocal(layer)) return local;
    const gates = this.#network(name, local.flat());
    const group = this.#decoder.queryHeadCount / this.#decoder.keyValueHeadCount;
    return local.map((output, index) => {
      const keyHead = Math.floor(index / group);
      const features = this.#features(layer, "query", keyHead, queries[index] ?? []);
      const head = this.#layers[layer]?.heads[keyHead];
      const total = dot(features, head?.z ?? []);
      const logSum = attended[index]?.logSum ?? Number.NaN;
      // The memory is one more term of the softmax: its weight over all weights.
      const g = this.#isShared
        ? (Math.exp(at(gates, index)) * total) / (Math.exp(at(gates, index)) * total + Math.exp(logSum))
        : sigmoid(at(gates, index));
      return output.map((value, j) => {
        const read = features.reduce((sum, feature, i) => sum + feature * at(head?.M[i] ?? [], j), 0);
        return (1 - g) * value + (g * read) / total;
      });
    });
  }

  /** Gives what a token carries. */
  #readToken(
    layer: number,
    own: Layer,
    keys: Token["keys"],
    values: Token["values"],
    hidden: readonly number[],
  ): Token {
    const { queryHeadCount: H, keyValueHeadCount: K } = this.#decoder;
    const has = (name: string): boolean => this.#weights?.has(`layers.${layer}.${name}.up.bias`) === true;
    const retention = this.#score(layer, own, keys, hidden);
    const offsets = this.#weights?.get(`layers.${layer}.slot_bias.head.bias`);
    const ofHeads = has("slot_bias") ? this.#network(`layers.${layer}.slot_bias`, hidden) : zeros(K);
    const bias = Array.from({ length: H }, (_, head) => {
      return at(ofHeads, Math.floor(head / (H / K))) + (offsets === undefined ? 0 : at(offsets, head));
    });
    const share = has("write_gate")
      ? this.#network(`layers.${layer}.write_gate`, hidden).map(sigmoid)
      : zeros(K).map(() => 1);
    return { keys, values, retention, bias, share };
  }

  /** Reads one token; gives the logits after it. */
  step(tokenId: number): number[] {
    const { sinkTokens, slotTokens, windowTokens, segmentTokens } = this.#context;
    const capacity = sinkTokens + slotTokens + windowTokens + segmentTokens;
    if (this.#count - segmentTokens * this.commitCount >= capacity) this.#commit();
    let x = this.#decoder.embed(tokenId, 0);
    for (const [index, layer] of this.#layers.entries()) {
      x = this.#decoder.runLayer(index, x, (queries, keys, values, hidden) => {
        layer.tokens.push(this.#readToken(index, layer, keys, values, hidden));
        const attended = queries.map((query, queryHead) => this.#attend(index, layer, queryHead, query));
        return this.#fuse(index, queries, attended);
      });
    }
    this.#count += 1;
    return this.#decoder.logits(x);
  }
}
