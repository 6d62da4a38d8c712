/**
 * What the tokens in slots were computed from, kept on the host while a document is read in training.
 *
 * A token's bias is made when it is read and used as long as it is in a slot, many segments later. With its h at
 * hand, the bias can be computed again where it is used, and a gradient reaches the network without going back
 * through the segments between.
 */

import { InternalError } from "../errors.ts";
import type { ContextSettings } from "../memory/geometry.ts";

/** Sizes what is kept. */
export interface SlotHiddensShape {
  /** N: layers that keep slots. */
  readonly layerCount: number;
  /** K. */
  readonly headCount: number;
  /** E. */
  readonly hiddenSize: number;
  readonly context: ContextSettings;
}

/** Is what one run read. */
interface Stretch {
  /** Index in the stream of its first token. */
  readonly from: number;
  readonly count: number;
  /** `[N, count, E]`. */
  readonly data: Float32Array;
}

/** Follows the tokens of one document into slots. */
export class SlotHiddens {
  readonly #shape: SlotHiddensShape;
  /** Local tokens, oldest first; older ones at the front are dropped when a commit has passed them. */
  #local: Stretch[] = [];
  #length = 0;
  #commits = 0;
  #slots: Float32Array | undefined;

  constructor(shape: SlotHiddensShape) {
    this.#shape = shape;
  }

  /** The h of the tokens in slots, `[N, K, B, E]`; undefined before the first commit. */
  get slots(): Float32Array | undefined {
    return this.#slots;
  }

  /** Takes in the h of `count` tokens that were read, `[N, count, E]`. Keeps the array. */
  absorb(data: Float32Array, count: number): void {
    const { layerCount, hiddenSize } = this.#shape;
    const expected = layerCount * count * hiddenSize;
    if (data.length !== expected) {
      const what = "the numbers do not fit";
      throw new InternalError({ where: "SlotHiddens", what, got: data.length, expected: String(expected) });
    }
    this.#local.push({ from: this.#length, count, data });
    this.#length += count;
  }

  #rowOfToken(layer: number, token: number): Float32Array {
    const { hiddenSize: E } = this.#shape;
    const stretch = this.#local.find(({ from, count }) => token >= from && token < from + count);
    if (stretch === undefined)
      throw new InternalError({ where: "SlotHiddens", what: "the token was not read", got: token });
    const row = layer * stretch.count + token - stretch.from;
    return stretch.data.subarray(row * E, (row + 1) * E);
  }

  /**
   * Follows a commit.
   * @param chosen `[N, K, B]`: what stays, as indices into the B + T candidates of each layer and head.
   */
  commit(chosen: Int32Array): void {
    const { headCount: K, hiddenSize: E, context } = this.#shape;
    const { sinkTokens: S, slotTokens: B, segmentTokens: T } = context;
    const before = this.#slots;
    const slots = new Float32Array(chosen.length * E);
    for (const [at, candidate] of chosen.entries()) {
      const head = Math.floor(at / B);
      const first = (head * B + candidate) * E;
      // Of B + T candidates the T last are local from the first commit on; before it, all are.
      const row =
        before !== undefined && candidate < B
          ? before.subarray(first, first + E)
          : this.#rowOfToken(Math.floor(head / K), S + this.#commits * T + candidate);
      slots.set(row, at * E);
    }
    this.#slots = slots;
    this.#commits += 1;
    const gone = S + B + this.#commits * T;
    this.#local = this.#local.filter(({ from, count }) => from + count > gone);
  }
}
