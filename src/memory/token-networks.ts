/**
 * The small networks that give every token its numbers when it is read: one number a key/value head.
 *
 *   up silu(down h + b) + b',   h = the normed input of the layer's attention
 *
 * All networks of a layer multiply h as one matrix, and all layers go on as one batch: many small operators would
 * cost more than what they compute.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import type { WeightReader } from "../graph/weights.ts";
import type { AttentionGeometry } from "./geometry.ts";
import { tokensSymbol } from "./local-attention.ts";
import type { NumberRows } from "./token-numbers.ts";

/** Describes one kind of network. */
export interface TokenNetwork extends Omit<NumberRows, "rowsPerHead"> {
  /** What its tensors are called: `layers.{i}.{name}.down.weight` and so on. */
  readonly name: string;
  /** R: its inner width. */
  readonly rank: number;
  /**
   * What its numbers go through: nothing; a sigmoid; or each becomes one for every query head of the group, with a
   * constant of that head (`layers.{i}.{name}.head.bias`, `[H]`) added.
   */
  readonly end: "plain" | "sigmoid" | "per-query-head";
}

/** Says how many numbers networks give. */
export function rowsOfNetworks(
  networks: readonly TokenNetwork[],
  { queryHeadCount: H, keyValueHeadCount: K }: AttentionGeometry,
): readonly NumberRows[] {
  return networks.map(({ kind, end }) => ({ kind, rowsPerHead: end === "per-query-head" ? H / K : 1 }));
}

/** Writes the networks of the layers that keep slots. */
export class TokenNetworksWriter {
  readonly #b: GraphBuilder;
  readonly #geometry: AttentionGeometry;
  readonly #weights: WeightReader;
  readonly #networks: readonly TokenNetwork[];
  readonly #layers: number[] = [];
  readonly #inner: Value[] = [];

  constructor(
    b: GraphBuilder,
    geometry: AttentionGeometry,
    weights: WeightReader,
    networks: readonly TokenNetwork[],
  ) {
    this.#b = b;
    this.#geometry = geometry;
    this.#weights = weights;
    this.#networks = networks;
  }

  #take(layer: number, { name }: TokenNetwork, part: string, shape: readonly number[]): Value {
    return this.#weights.take(this.#b, `layers.${layer}.${name}.${part}`, shape);
  }

  #join(parts: readonly Value[], axis: number): Value {
    const [first] = parts;
    return parts.length === 1 && first !== undefined ? first : this.#b.concat(parts, axis);
  }

  /** Takes in the h of a layer, `[T, E]`. */
  note(layer: number, hidden: Value): void {
    const { hiddenSize: E } = this.#geometry;
    const down = (part: "weight" | "bias"): Value =>
      this.#join(
        this.#networks.map((network) =>
          this.#take(layer, network, `down.${part}`, part === "weight" ? [network.rank, E] : [network.rank]),
        ),
        0,
      );
    this.#layers.push(layer);
    this.#inner.push(this.#b.linear(hidden, down("weight"), down("bias")));
  }

  /** Stacks a tensor of every layer, `[N, ...shape]`, each viewed in that shape. */
  #stack(network: TokenNetwork, part: string, stored: readonly number[], shape: readonly number[]): Value {
    const parts = this.#layers.map((layer) =>
      this.#b.reshape(this.#take(layer, network, part, stored), [1, ...shape]),
    );
    return this.#join(parts, 0);
  }

  /** Goes on from the inner values of one network, `[N, T, R]`, to its numbers, `[N, numbers, T]`. */
  #finishNetwork(network: TokenNetwork, inner: Value): Value {
    const b = this.#b;
    const { queryHeadCount: H, keyValueHeadCount: K } = this.#geometry;
    const [N, T] = [this.#layers.length, tokensSymbol];
    const up = this.#stack(network, "up.weight", [K, network.rank], [K, network.rank]);
    const product = b.matMul(up, b.transpose(inner, [0, 2, 1]));
    const numbers = b.add(product, this.#stack(network, "up.bias", [K], [K, 1]));
    if (network.end === "plain") return numbers;
    if (network.end === "sigmoid") return b.sigmoid(numbers);
    const ofHeads = this.#stack(network, "head.bias", [H], [K, H / K, 1]);
    return b.reshape(b.add(b.reshape(numbers, [N, K, 1, T]), ofHeads), [N, H, T]);
  }

  /** Ends the writing; gives the numbers of the new tokens, `[N, numbers, T]`, in the order of the networks. */
  finish(): Value {
    const b = this.#b;
    const ranks = this.#networks.map(({ rank }) => rank);
    const width = ranks.reduce((sum, rank) => sum + rank, 0);
    const inner = b.silu(
      this.#join(
        this.#inner.map((x) => b.reshape(x, [1, tokensSymbol, width])),
        0,
      ),
    );
    const parts = ranks.length === 1 ? [inner] : b.split(inner, 2, ranks);
    return this.#join(
      this.#networks.map((network, index) => this.#finishNetwork(network, parts[index] ?? inner)),
      1,
    );
  }
}
