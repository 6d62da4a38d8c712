/**
 * What tokens were read as, kept on the host while a document is read in training: of those that are still exact, and of
 * those that a commit lets go.
 *
 * A token's numbers are made when it is read and used many segments later. With what they were made of at hand, they
 * can be computed again where they are used, and a gradient reaches their network without going back through the
 * segments between.
 */

import { InternalError } from "../errors.ts";
import type { ContextSettings } from "../memory/geometry.ts";

/** Sizes what is kept. */
export interface SlotRowsShape {
  /** N: layers that keep slots. */
  readonly layerCount: number;
  /** K. */
  readonly headCount: number;
  /** Numbers a token and layer. */
  readonly rowSize: number;
  readonly context: ContextSettings;
}

/** Is what one run read. */
interface Stretch {
  /** Index in the stream of its first token. */
  readonly from: number;
  readonly count: number;
  /** `[N, count, rowSize]`. */
  readonly data: Float32Array;
}

/** Follows the tokens of one document into slots, and out of them. */
export class SlotRows {
  readonly #shape: SlotRowsShape;
  /** Local tokens, oldest first; older ones at the front are dropped when a commit has passed them. */
  #local: Stretch[] = [];
  #length = 0;
  #commits = 0;
  #slots: Float32Array | undefined;

  constructor(shape: SlotRowsShape) {
    this.#shape = shape;
  }

  /** The rows of the tokens in slots, `[N, K, B, rowSize]`; undefined before the first commit. */
  get slots(): Float32Array | undefined {
    return this.#slots;
  }

  /** Takes in the rows of `count` tokens that were read, `[N, count, rowSize]`. Keeps the array. */
  absorb(data: Float32Array, count: number): void {
    const { layerCount, rowSize } = this.#shape;
    const expected = layerCount * count * rowSize;
    if (data.length !== expected) {
      const what = "the numbers do not fit";
      throw new InternalError({ where: "SlotRows", what, got: data.length, expected: String(expected) });
    }
    this.#local.push({ from: this.#length, count, data });
    this.#length += count;
  }

  #rowOfToken(layer: number, token: number): Float32Array {
    const { rowSize } = this.#shape;
    const stretch = this.#local.find(({ from, count }) => token >= from && token < from + count);
    if (stretch === undefined)
      throw new InternalError({ where: "SlotRows", what: "the token was not read", got: token });
    const row = layer * stretch.count + token - stretch.from;
    return stretch.data.subarray(row * rowSize, (row + 1) * rowSize);
  }

  /** Gives the row of a candidate of the next commit. @param head of all layers, one after the other. */
  #rowOfCandidate(head: number, candidate: number): Float32Array {
    const { headCount: K, rowSize, context } = this.#shape;
    const { sinkTokens: S, slotTokens: B, segmentTokens: T } = context;
    const first = (head * B + candidate) * rowSize;
    // Of B + T candidates the T last are local from the first commit on; before it, all are.
    return this.#slots !== undefined && candidate < B
      ? this.#slots.subarray(first, first + rowSize)
      : this.#rowOfToken(Math.floor(head / K), S + this.#commits * T + candidate);
  }

  /**
   * Gives the rows of the tokens that the next commit lets go, `[N, K, T, rowSize]`, in the order of the stream.
   * @param chosen `[N, K, B]`: what stays, as ascending indices into the B + T candidates of each layer and head.
   */
  leaving(chosen: Int32Array): Float32Array {
    const { layerCount: N, headCount: K, rowSize, context } = this.#shape;
    const { slotTokens: B, segmentTokens: T } = context;
    const rows = new Float32Array(N * K * T * rowSize);
    for (let head = 0, at = 0; head < N * K; head++) {
      const stays = new Set(chosen.subarray(head * B, (head + 1) * B));
      for (let candidate = 0; candidate < B + T; candidate++)
        if (!stays.has(candidate)) rows.set(this.#rowOfCandidate(head, candidate), at++ * rowSize);
    }
    return rows;
  }

  /**
   * Follows a commit.
   * @param chosen `[N, K, B]`: what stays, as indices into the B + T candidates of each layer and head.
   */
  commit(chosen: Int32Array): void {
    const { rowSize, context } = this.#shape;
    const { sinkTokens: S, slotTokens: B, segmentTokens: T } = context;
    const slots = new Float32Array(chosen.length * rowSize);
    for (const [at, candidate] of chosen.entries())
      slots.set(this.#rowOfCandidate(Math.floor(at / B), candidate), at * rowSize);
    this.#slots = slots;
    this.#commits += 1;
    const gone = S + B + this.#commits * T;
    this.#local = this.#local.filter(({ from, count }) => from + count > gone);
  }
}
