/**
 * KeyDiff: how much a token's key differs from what keys of its head are like (Park et al., arXiv 2504.15364).
 *
 *   score_n = -cos(k_n, u_1 + ... + u_n),   u = k / |k|,   keys not rotated
 *
 * The running mean is the one when the token is read, itself included, so that a score depends on the stream before
 * it alone. Nothing is trained. The sums are kept in float64: a stream has no end.
 */

import { InternalError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import type { NamedTensors } from "../runtime/runtime.ts";
import { hostFloats, type Tensor } from "../runtime/tensor-memory.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { type AttentionGeometry, memoryLayers } from "./geometry.ts";
import { tokensSymbol } from "./local-attention.ts";

/** Keeps a key of zeros from dividing zero by zero. */
const leastNorm = 1e-30;

const keySumsName = "key_sums";
const tokenOrderName = "token_order";
const newKeySumsName = "new_key_sums";

/** Writes `x / |x|` over the last axis. */
function writeUnit(b: GraphBuilder, x: Value): Value {
  return b.div(x, b.max(b.sqrt(b.reduceSum(b.mul(x, x), [-1], true)), b.scalar(leastNorm)));
}

/**
 * Writes the scores of the new tokens.
 * @param keys `[T, K, D]` of each layer that keeps slots, not rotated.
 * @returns the scores `[N, K, T]`, and the output that {@link KeySums} takes in.
 */
export function writeKeyDifference(
  b: GraphBuilder,
  { keyValueHeadCount: K, headSize: D }: AttentionGeometry,
  keys: readonly Value[],
): { readonly scores: Value; readonly newSums: Value } {
  const N = keys.length;
  const T = tokensSymbol;
  const sums = b.input(keySumsName, "float32", [N, K, 1, D]);
  const order = b.input(tokenOrderName, "float32", [T, T]);
  const joined = b.concat(
    keys.map((key) => b.reshape(key, [1, T, K, D])),
    0,
  );
  const units = writeUnit(b, b.transpose(joined, [0, 2, 1, 3]));
  const means = writeUnit(b, b.add(b.matMul(order, units), sums));
  return {
    scores: b.neg(b.reduceSum(b.mul(units, means), [3], false)),
    newSums: b.named(newKeySumsName, b.reduceSum(units, [2], false)),
  };
}

/** The matrix that sums tokens up to each, `[T, T]`, of the last length asked for. */
let lastOrder: HostTensor | undefined;

function tokenOrder(tokenCount: number): HostTensor {
  if (lastOrder?.shape[0] === tokenCount) return lastOrder;
  const ones = new Float32Array(tokenCount * tokenCount);
  for (let row = 0; row < tokenCount; row++) ones.fill(1, row * tokenCount, row * tokenCount + row + 1);
  lastOrder = hostTensor("float32", [tokenCount, tokenCount], ones);
  return lastOrder;
}

/** Holds the sums of unit keys over a stream, `[N, K, D]`. */
export class KeySums {
  readonly #geometry: AttentionGeometry;
  readonly #sums: Float64Array;

  constructor(geometry: AttentionGeometry, twin?: KeySums) {
    this.#geometry = geometry;
    this.#sums = twin === undefined ? new Float64Array(KeySums.lengthFor(geometry)) : twin.#sums.slice();
  }

  /** Counts the sums of a state. */
  static lengthFor(geometry: AttentionGeometry): number {
    return memoryLayers(geometry).length * geometry.keyValueHeadCount * geometry.headSize;
  }

  get sizeBytes(): number {
    return this.#sums.byteLength;
  }

  /** Gives what {@link writeKeyDifference} declared. */
  feeds(tokenCount: number): Record<string, Tensor> {
    const { keyValueHeadCount: K, headSize: D } = this.#geometry;
    const shape = [this.#sums.length / (K * D), K, 1, D];
    return {
      [keySumsName]: hostTensor("float32", shape, Float32Array.from(this.#sums)),
      [tokenOrderName]: tokenOrder(tokenCount),
    };
  }

  /** Adds the keys of a run. */
  absorb(outputs: NamedTensors): void {
    const added = hostFloats(outputs[newKeySumsName], newKeySumsName);
    if (added.length !== this.#sums.length) {
      const [got, expected] = [added.length, String(this.#sums.length)];
      throw new InternalError({ where: newKeySumsName, what: "the sums do not fit", got, expected });
    }
    for (const [index, sum] of added.entries()) this.#sums[index] = (this.#sums[index] ?? 0) + sum;
  }

  clone(): KeySums {
    return new KeySums(this.#geometry, this);
  }

  /** Copies out the sums. */
  export(): Float64Array {
    return this.#sums.slice();
  }

  /** Takes in what {@link export} gave. */
  import(sums: Float64Array): void {
    this.#sums.set(sums);
  }
}
