/**
 * Byte pair encoding: finds merges by the counts of pairs (arXiv 1508.07909), kept up to date word by word.
 *
 * Of pairs with equal counts the one of the smaller symbols is merged first, as in Hugging Face tokenizers, so
 * that the same words give the same merges in any order. Refuses to know how text is cut into words.
 */

import TinyQueue from "tinyqueue";

/** Bounds symbols, so that two fit into the number that names a pair. */
const symbolLimit = 2 ** 24;

/** Is a word: its symbols, and how often it occurs. */
export interface CountedWord {
  readonly symbols: readonly number[];
  readonly count: number;
}

/** Is a merge: two symbols that become one. */
export type Merge = readonly [first: number, second: number];

interface Candidate {
  readonly pair: number;
  readonly count: number;
}

/** Counts pairs in words, with the words that each is in, and keeps the most frequent at hand. */
class PairCounts {
  readonly #counts = new Map<number, number>();
  /** May name words that have the pair no more, and a word twice. */
  readonly #words = new Map<number, number[]>();
  readonly #queue: TinyQueue<Candidate> = new TinyQueue<Candidate>(
    [],
    (a, b) => b.count - a.count || a.pair - b.pair,
  );
  readonly #changed = new Set<number>();

  add(symbols: readonly number[], count: number, word: number): void {
    for (let index = 1; index < symbols.length; index++) {
      const pair = (symbols[index - 1] ?? 0) * symbolLimit + (symbols[index] ?? 0);
      this.#counts.set(pair, (this.#counts.get(pair) ?? 0) + count);
      this.#changed.add(pair);
      if (count < 0) continue;
      const words = this.#words.get(pair);
      if (words === undefined) this.#words.set(pair, [word]);
      else if (words.at(-1) !== word) words.push(word);
    }
  }

  /** Queues pairs whose counts have changed; older entries of them are told by their counts. */
  settle(): void {
    for (const pair of this.#changed) {
      const count = this.#counts.get(pair) ?? 0;
      if (count > 0) this.#queue.push({ pair, count });
      else this.#counts.delete(pair);
    }
    this.#changed.clear();
  }

  /** Takes the most frequent pair; undefined when none occurs `least` times. */
  take(least: number): { readonly merge: Merge; readonly words: readonly number[] } | undefined {
    for (let top = this.#queue.pop(); top !== undefined; top = this.#queue.pop()) {
      const { pair, count } = top;
      if (this.#counts.get(pair) !== count) continue;
      if (count < least) return undefined;
      const words = this.#words.get(pair) ?? [];
      this.#words.delete(pair);
      return { merge: [Math.floor(pair / symbolLimit), pair % symbolLimit], words };
    }
    return undefined;
  }
}

function mergeSymbols(symbols: readonly number[], [first, second]: Merge, merged: number): number[] {
  const result: number[] = [];
  for (let index = 0; index < symbols.length; index++) {
    const symbol = symbols[index] ?? 0;
    const isPair = symbol === first && symbols[index + 1] === second;
    result.push(isPair ? merged : symbol);
    if (isPair) index++;
  }
  return result;
}

/**
 * Finds merges, most frequent first, as long as any pair occurs `leastCount` times. A pair may come again when a later
 * merge makes one of its symbols anew.
 * @param words - of symbols below 2^24.
 * @param nameMerge - gives the symbol that a pair becomes: a new one, or one that stands for the same.
 */
export function* findMerges(
  words: readonly CountedWord[],
  leastCount: number,
  nameMerge: (merge: Merge) => number,
): Generator<Merge, void, void> {
  const current = words.map(({ symbols }) => symbols);
  const counts = new PairCounts();
  words.forEach(({ symbols, count }, word) => {
    counts.add(symbols, count, word);
  });
  counts.settle();
  for (let taken = counts.take(leastCount); taken !== undefined; taken = counts.take(leastCount)) {
    const symbol = nameMerge(taken.merge);
    for (const word of taken.words) {
      const before = current[word] ?? [];
      const after = mergeSymbols(before, taken.merge, symbol);
      if (after.length === before.length) continue;
      const count = words[word]?.count ?? 0;
      counts.add(before, -count, word);
      counts.add(after, count, word);
      current[word] = after;
    }
    counts.settle();
    yield taken.merge;
  }
}
