/**
 * The policies with retained slots in their slowest and plainest form: one token at a time, in float64, with loops.
 *
 * Every token is kept for ever with all that was computed of it, and lists of indices say where it is. Keys are
 * rotated anew, at in-cache positions, whenever they are read: a sink at its index, slot j at S + j, local token n at
 * n - T * commits. It shares no code with the engine.
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

/** Is what one layer computed of one token, by key/value head. */
interface Token {
  readonly keys: readonly (readonly number[])[];
  readonly values: readonly (readonly number[])[];
  readonly retention: readonly number[];
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

const phi = (x: number): number => (x > 0 ? x + 1 : Math.exp(x));
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const unit = (x: readonly number[]): number[] => x.map((value) => value / Math.sqrt(dot(x, x)));
const zeros = (length: number): number[] => new Array<number>(length).fill(0);

/** Reads a stream token by token. */
export class SlotOracle {
  readonly #decoder: OracleDecoder;
  /** Of an adapter; without one tokens are scored by KeyDiff. */
  readonly #weights: Weights | undefined;
  readonly #context: SlotOracleContext;
  readonly #layers: readonly Layer[];
  #count = 0;
  commitCount = 0;

  constructor({ decoder, gates }: OracleModel, context: SlotOracleContext) {
    this.#decoder = decoder;
    this.#weights = gates;
    this.#context = context;
    const { layerCount, keyValueHeadCount, headSize: D } = decoder;
    this.#layers = Array.from({ length: layerCount }, () => ({
      tokens: [],
      heads: Array.from({ length: keyValueHeadCount }, () => ({
        slots: [],
        keySum: zeros(D),
        M: Array.from({ length: D }, () => zeros(D)),
        z: zeros(D),
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
    return heads.map((head, index) => {
      const own = unit(keys[index] ?? []);
      head.keySum = head.keySum.map((sum, i) => sum + at(own, i));
      return -dot(own, unit(head.keySum));
    });
  }

  #commit(): void {
    const { sinkTokens: S, slotTokens: B, segmentTokens: T } = this.#context;
    const first = this.commitCount === 0 ? S : S + B + T * this.commitCount;
    const local = Array.from({ length: this.commitCount === 0 ? B + T : T }, (_, n) => first + n);
    for (const { tokens, heads } of this.#layers) {
      for (const [index, head] of heads.entries()) {
        const scoreOf = (n: number): number => tokens[n]?.retention[index] ?? Number.NaN;
        const candidates = [...head.slots, ...local].sort((a, b) => scoreOf(b) - scoreOf(a) || b - a);
        head.slots = candidates.slice(0, B).sort((a, b) => a - b);
        for (const n of candidates.slice(B)) {
          const features = (tokens[n]?.keys[index] ?? []).map(phi);
          for (const [i, feature] of features.entries()) {
            head.z[i] = at(head.z, i) + feature;
            head.M[i] = (head.M[i] ?? []).map(
              (sum, j) => sum + feature * at(tokens[n]?.values[index] ?? [], j),
            );
          }
        }
      }
    }
    this.commitCount += 1;
  }

  /** Lists what a head attends to: index and position of each token. */
  #visible({ slots }: Head): (readonly [number, number])[] {
    const { sinkTokens: S, slotTokens: B, segmentTokens: T } = this.#context;
    const sinks = Array.from({ length: Math.min(S, this.#count + 1) }, (_, n) => [n, n] as const);
    const first = this.commitCount === 0 ? S : S + B + T * this.commitCount;
    const local = Array.from({ length: Math.max(0, this.#count + 1 - first) }, (_, n) => first + n);
    return [
      ...sinks,
      ...slots.map((n, slot) => [n, S + slot] as const),
      ...local.map((n) => [n, n - T * this.commitCount] as const),
    ];
  }

  #attend(layer: number, { tokens }: Layer, head: Head, index: number, query: readonly number[]): number[] {
    const decoder = this.#decoder;
    const visible = this.#visible(head);
    const position = visible.at(-1)?.[1] ?? 0;
    const rotated = decoder.rotate(layer, query, position);
    const near = visible.filter(([, place]) => position - place < decoder.windowTokens(layer));
    const scores = near.map(
      ([n, place]) =>
        dot(rotated, decoder.rotate(layer, tokens[n]?.keys[index] ?? [], place)) * decoder.scoreScale,
    );
    const top = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - top));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return query.map((_, i) =>
      near.reduce(
        (sum, [n], at_) => sum + (at(weights, at_) / total) * at(tokens[n]?.values[index] ?? [], i),
        0,
      ),
    );
  }

  #fuse(layer: number, queries: readonly (readonly number[])[], local: number[][]): number[][] {
    const name = `layers.${layer}.read_gate`;
    const remembers = this.#weights?.has(`${name}.up.bias`) === true && this.commitCount > 0;
    if (!remembers || this.#isLocal(layer)) return local;
    const open = this.#network(name, local.flat()).map(sigmoid);
    const group = this.#decoder.queryHeadCount / this.#decoder.keyValueHeadCount;
    return local.map((output, index) => {
      const features = (queries[index] ?? []).map(phi);
      const head = this.#layers[layer]?.heads[Math.floor(index / group)];
      const total = dot(features, head?.z ?? []);
      const g = at(open, index);
      return output.map((value, j) => {
        const read = features.reduce((sum, feature, i) => sum + feature * at(head?.M[i] ?? [], j), 0);
        return (1 - g) * value + (g * read) / total;
      });
    });
  }

  /** Reads one token; gives the logits after it. */
  step(tokenId: number): number[] {
    const { sinkTokens, slotTokens, windowTokens, segmentTokens } = this.#context;
    const { queryHeadCount: H, keyValueHeadCount: K } = this.#decoder;
    const capacity = sinkTokens + slotTokens + windowTokens + segmentTokens;
    if (this.#count - segmentTokens * this.commitCount >= capacity) this.#commit();
    let x = this.#decoder.embed(tokenId, 0);
    for (const [index, layer] of this.#layers.entries()) {
      x = this.#decoder.runLayer(index, x, (queries, keys, values, hidden) => {
        layer.tokens.push({ keys, values, retention: this.#score(index, layer, keys, hidden) });
        const local = queries.map((query, queryHead) => {
          const head = Math.floor(queryHead / (H / K));
          return this.#attend(index, layer, layer.heads[head] as Head, head, query);
        });
        return this.#fuse(index, queries, local);
      });
    }
    this.#count += 1;
    return this.#decoder.logits(x);
  }
}
