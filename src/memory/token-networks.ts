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

/** Describes one kind of network. */
export interface TokenNetwork {
  /** What its tensors are called: `layers.{i}.{name}.down.weight` and so on. */
  readonly name: string;
  /** R: its inner width. */
  readonly rank: number;
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

  #take(layer: number, network: TokenNetwork, part: string, shape: readonly number[]): Value {
    return this.#weights.take(this.#b, `layers.${layer}.${network.name}.${part}`, shape);
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

  #join(parts: readonly Value[], axis: number): Value {
    const [first] = parts;
    return parts.length === 1 && first !== undefined ? first : this.#b.concat(parts, axis);
  }

  /** Ends the writing; gives the numbers of the new tokens, `[N, networks, K, T]`. */
  finish(): Value {
    const b = this.#b;
    const { keyValueHeadCount: K } = this.#geometry;
    const [N, T] = [this.#layers.length, tokensSymbol];
    const width = this.#networks.reduce((sum, { rank }) => sum + rank, 0);
    const inner = b.silu(
      this.#join(
        this.#inner.map((x) => b.reshape(x, [1, T, width])),
        0,
      ),
    );
    const ranks = this.#networks.map(({ rank }) => rank);
    const parts = ranks.length === 1 ? [inner] : b.split(inner, 2, ranks);
    const numbers = this.#networks.map((network, index) => {
      const stack = (part: "weight" | "bias", shape: readonly number[]): Value =>
        this.#join(
          this.#layers.map((layer) =>
            b.reshape(this.#take(layer, network, `up.${part}`, part === "weight" ? [K, network.rank] : [K]), [
              1,
              ...shape,
            ]),
          ),
          0,
        );
      const up = stack("weight", [K, network.rank]);
      const product = b.matMul(up, b.transpose(parts[index] ?? inner, [0, 2, 1]));
      return b.reshape(b.add(product, stack("bias", [K, 1])), [N, 1, K, T]);
    });
    return this.#join(numbers, 1);
  }
}
