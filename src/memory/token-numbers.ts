/**
 * Numbers that a token carries since it was read: one of each kind a layer and key/value head.
 *
 * They are small, and choosing among them is the host's work on every device; so they live there, by the token's
 * place in the cache. What they are computed from is not known here.
 */

import { InternalError } from "../errors.ts";

/** Names what a number says: how much a token is worth keeping. */
export type NumberKind = "retention";

/** Sizes the numbers of a state. */
export interface TokenNumbersShape {
  /** N: layers that keep slots. */
  readonly layerCount: number;
  /** K. */
  readonly headCount: number;
  readonly kinds: readonly NumberKind[];
  /** Places of the cache. */
  readonly capacityTokens: number;
}

/** Returns the places of the `count` highest scores, in ascending order; ties go to the higher place. NaN is lowest. */
export function chooseHighest(scores: Float32Array, count: number): Int32Array {
  const chosen = new Int32Array(count);
  const sorted = scores.map((score) => (Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score)).sort();
  const threshold = sorted[scores.length - count] ?? Number.POSITIVE_INFINITY;
  let ties = count;
  for (const score of sorted) if (score > threshold) ties -= 1;
  let free = count;
  for (let place = scores.length - 1; free > 0 && place >= 0; place--) {
    const score = scores[place] ?? Number.NaN;
    const isTie = score === threshold || (Number.isNaN(score) && threshold === Number.NEGATIVE_INFINITY);
    if (!(score > threshold || (isTie && ties-- > 0))) continue;
    free -= 1;
    chosen[free] = place;
  }
  return chosen;
}

/** Holds the numbers of every token in the cache. */
export class TokenNumbers {
  readonly #shape: TokenNumbersShape;
  /** `[N, kinds, K, capacity]`. */
  readonly #data: Float32Array;

  constructor(shape: TokenNumbersShape, twin?: TokenNumbers) {
    this.#shape = shape;
    const { layerCount, headCount, kinds, capacityTokens } = shape;
    const length = layerCount * kinds.length * headCount * capacityTokens;
    this.#data = twin === undefined ? new Float32Array(length) : twin.#data.slice();
  }

  get sizeBytes(): number {
    return this.#data.byteLength;
  }

  get #rowCount(): number {
    return this.#data.length / this.#shape.capacityTokens;
  }

  #row(index: number): Float32Array {
    const { capacityTokens } = this.#shape;
    return this.#data.subarray(index * capacityTokens, (index + 1) * capacityTokens);
  }

  /** Views the numbers of one kind, by place. @param layerSlot index among the layers that keep slots. */
  row(kind: NumberKind, layerSlot: number, head: number): Float32Array {
    const { kinds, headCount } = this.#shape;
    return this.#row((layerSlot * kinds.length + kinds.indexOf(kind)) * headCount + head);
  }

  /** Takes in the numbers of `tokenCount` tokens, `[N, kinds, K, T]`, from a place on. */
  write(numbers: Float32Array, firstPlace: number, tokenCount: number): void {
    if (numbers.length !== this.#rowCount * tokenCount) {
      const [got, expected] = [numbers.length, String(this.#rowCount * tokenCount)];
      throw new InternalError({ where: "TokenNumbers", what: "the numbers do not fit", got, expected });
    }
    for (let row = 0; row < this.#rowCount; row++)
      this.#row(row).set(numbers.subarray(row * tokenCount, (row + 1) * tokenCount), firstPlace);
  }

  /**
   * Keeps chosen tokens of a stretch of candidates and moves what follows up behind them.
   * @param chosen for each layer and head, `[N, K, keep]`: ascending indices into the stretch.
   */
  keep(
    chosen: Int32Array,
    stretch: { readonly from: number; readonly count: number; readonly keep: number },
  ): void {
    const { kinds, headCount } = this.#shape;
    const { from, count, keep } = stretch;
    for (let index = 0; index < this.#rowCount; index++) {
      const row = this.#row(index);
      const layerSlot = Math.floor(index / (kinds.length * headCount));
      const first = (layerSlot * headCount + (index % headCount)) * keep;
      // Ascending, so that nothing is overwritten before it has moved.
      for (let slot = 0; slot < keep; slot++) row[from + slot] = row[from + (chosen[first + slot] ?? 0)] ?? 0;
      row.copyWithin(from + keep, from + count);
    }
  }

  clone(): TokenNumbers {
    return new TokenNumbers(this.#shape, this);
  }

  /** Copies out the numbers of the first tokens, `[N, kinds, K, used]`. */
  export(usedTokens: number): Float32Array {
    const packed = new Float32Array(this.#rowCount * usedTokens);
    for (let row = 0; row < this.#rowCount; row++)
      packed.set(this.#row(row).subarray(0, usedTokens), row * usedTokens);
    return packed;
  }
}
