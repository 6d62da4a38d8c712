/**
 * Numbers that a token carries since it was read: of each kind one or some a layer and key/value head.
 *
 * They are small, and choosing among them is the host's work on every device; so they live there, by the token's
 * place in the cache. What they are computed from is not known here. Most are made once, when the token is read;
 * what a token receives over time is added up, in float64.
 */

import { InternalError } from "../errors.ts";

/**
 * Names what a number says: how much a token is worth keeping; what is added to its attention logits when it is in a
 * slot, for each query head of the group; what share of it is written into the linear memory.
 */
export type NumberKind = "retention" | "slot-bias" | "write-share";

/** Holds numbers of tokens: float64 where they are sums over a stream. */
export type NumberArray = Float32Array | Float64Array;

/** Says how many numbers of a kind there are. */
export interface NumberRows {
  readonly kind: NumberKind;
  /** Numbers a key/value head: 1, or its query heads. */
  readonly rowsPerHead: number;
}

/** Counts the numbers of a token in one layer. */
export function countNumbers(kinds: readonly NumberRows[], headCount: number): number {
  return kinds.reduce((sum, { rowsPerHead }) => sum + rowsPerHead * headCount, 0);
}

/** Sizes the numbers of a state. */
export interface TokenNumbersShape {
  /** N: layers that keep slots. */
  readonly layerCount: number;
  /** K. */
  readonly headCount: number;
  /** Numbers lie in this order; a kind's by head. */
  readonly kinds: readonly NumberRows[];
  /** Places of the cache. */
  readonly capacityTokens: number;
  readonly dtype: "float32" | "float64";
}

/** Returns the places of the `count` highest scores, in ascending order; ties go to the higher place. NaN is lowest. */
export function chooseHighest(scores: NumberArray, count: number): Int32Array {
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
  /** `[N, numbers, capacity]`. */
  readonly #data: NumberArray;

  constructor(shape: TokenNumbersShape, twin?: TokenNumbers) {
    this.#shape = shape;
    const { layerCount, headCount, kinds, capacityTokens } = shape;
    const length = layerCount * countNumbers(kinds, headCount) * capacityTokens;
    this.#data = twin === undefined ? this.#allocate(length) : twin.#data.slice();
  }

  #allocate(length: number): NumberArray {
    return this.#shape.dtype === "float64" ? new Float64Array(length) : new Float32Array(length);
  }

  get sizeBytes(): number {
    return this.#data.byteLength;
  }

  get #rowCount(): number {
    return this.#data.length / this.#shape.capacityTokens;
  }

  #row(index: number): NumberArray {
    const { capacityTokens } = this.#shape;
    return this.#data.subarray(index * capacityTokens, (index + 1) * capacityTokens);
  }

  /**
   * Views numbers of one kind by place; undefined when there are none of it.
   * @param layerSlot index among the layers that keep slots.
   * @param row index among the kind's in the layer: a head, or a query head.
   */
  row(kind: NumberKind, layerSlot: number, row: number): NumberArray | undefined {
    const { kinds, headCount } = this.#shape;
    const index = kinds.findIndex((rows) => rows.kind === kind);
    if (index < 0) return undefined;
    const before = countNumbers(kinds.slice(0, index), headCount);
    return this.#row(layerSlot * countNumbers(kinds, headCount) + before + row);
  }

  /** Overwrites the numbers of one kind from a place on: of each layer and its heads, in that order. */
  overwrite(kind: NumberKind, from: number, rows: readonly NumberArray[]): void {
    const perLayer = rows.length / this.#shape.layerCount;
    for (const [index, numbers] of rows.entries())
      this.row(kind, Math.floor(index / perLayer), index % perLayer)?.set(numbers, from);
  }

  /** Takes in the numbers of `tokenCount` tokens, `[N, numbers, T]`, from a place on. */
  write(numbers: NumberArray, firstPlace: number, tokenCount: number): void {
    this.#assertWidth(numbers, tokenCount);
    for (let row = 0; row < this.#rowCount; row++)
      this.#row(row).set(numbers.subarray(row * tokenCount, (row + 1) * tokenCount), firstPlace);
  }

  /**
   * Adds what a run gives to every token, `[N, numbers, P + T]`: the tokens held lie at the first places of P, the new
   * ones behind all P, and begin with what they get.
   */
  add(
    numbers: NumberArray,
    run: { readonly places: number; readonly heldTokens: number; readonly tokenCount: number },
  ): void {
    const width = run.places + run.tokenCount;
    this.#assertWidth(numbers, width);
    for (let row = 0; row < this.#rowCount; row++) {
      const [own, given] = [this.#row(row), numbers.subarray(row * width, (row + 1) * width)];
      for (let place = 0; place < run.heldTokens; place++)
        own[place] = (own[place] ?? 0) + (given[place] ?? 0);
      own.set(given.subarray(run.places), run.heldTokens);
    }
  }

  #assertWidth(numbers: NumberArray, width: number): void {
    const expected = this.#rowCount * width;
    if (numbers.length === expected) return;
    throw new InternalError({
      where: "TokenNumbers",
      what: "the numbers do not fit",
      got: numbers.length,
      expected: String(expected),
    });
  }

  /** Makes all numbers 0. */
  clear(): void {
    this.#data.fill(0);
  }

  /**
   * Keeps chosen tokens of a stretch of candidates and moves what follows up behind them.
   * @param chosen for each layer and head, `[N, K, keep]`: ascending indices into the stretch.
   */
  keep(
    chosen: Int32Array,
    stretch: { readonly from: number; readonly count: number; readonly keep: number },
  ): void {
    const { layerCount, kinds, headCount } = this.#shape;
    const { from, count, keep } = stretch;
    const headOfRow = kinds.flatMap(({ rowsPerHead }) =>
      Array.from({ length: rowsPerHead * headCount }, (_, row) => Math.floor(row / rowsPerHead)),
    );
    for (let layerSlot = 0; layerSlot < layerCount; layerSlot++) {
      for (const [index, head] of headOfRow.entries()) {
        const row = this.#row(layerSlot * headOfRow.length + index);
        const first = (layerSlot * headCount + head) * keep;
        // Ascending, so that nothing is overwritten before it has moved.
        for (let slot = 0; slot < keep; slot++)
          row[from + slot] = row[from + (chosen[first + slot] ?? 0)] ?? 0;
        row.copyWithin(from + keep, from + count);
      }
    }
  }

  clone(): TokenNumbers {
    return new TokenNumbers(this.#shape, this);
  }

  /** Copies out the numbers of the first tokens, `[N, numbers, used]`. */
  export(usedTokens: number): NumberArray {
    const packed = this.#allocate(this.#rowCount * usedTokens);
    for (let row = 0; row < this.#rowCount; row++)
      packed.set(this.#row(row).subarray(0, usedTokens), row * usedTokens);
    return packed;
  }
}
