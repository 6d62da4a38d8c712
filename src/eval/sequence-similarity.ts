/**
 * The similarity of two texts by their longest common blocks (Ratcliff and Obershelp), as Python's difflib has it.
 *
 * LongBench scores code completion with it, so that its heuristic is here too: in a text of 200 characters or more,
 * characters that make up over a hundredth of it begin no block.
 */

const heuristicLength = 200;

/** Lists where each character stands, the frequent ones of long texts left out. */
function indexPlaces(characters: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const places = new Map<string, number[]>();
  for (const [index, character] of characters.entries()) {
    const known = places.get(character);
    if (known === undefined) places.set(character, [index]);
    else known.push(index);
  }
  const most = Math.floor(characters.length / 100) + 1;
  if (characters.length >= heuristicLength) {
    for (const [character, indices] of places) if (indices.length > most) places.delete(character);
  }
  return places;
}

/** Is a part of both texts: from `a0` to before `a1` in one, from `b0` to before `b1` in the other. */
interface Parts {
  readonly a0: number;
  readonly a1: number;
  readonly b0: number;
  readonly b1: number;
}

/** Finds the longest block of equal characters; of several the first in `a`, then in `b`. */
function findLongestBlock(
  a: readonly string[],
  b: readonly string[],
  places: ReadonlyMap<string, readonly number[]>,
  { a0, a1, b0, b1 }: Parts,
): Parts {
  let [bestA, bestB, size] = [a0, b0, 0];
  let lengths = new Map<number, number>();
  for (let i = a0; i < a1; i++) {
    const next = new Map<number, number>();
    for (const j of places.get(a[i] ?? "") ?? []) {
      if (j < b0 || j >= b1) continue;
      const length = (lengths.get(j - 1) ?? 0) + 1;
      next.set(j, length);
      if (length > size) [bestA, bestB, size] = [i - length + 1, j - length + 1, length];
    }
    lengths = next;
  }
  // Frequent characters begin no block, but belong to one that they stand beside.
  while (bestA > a0 && bestB > b0 && a[bestA - 1] === b[bestB - 1])
    [bestA, bestB, size] = [bestA - 1, bestB - 1, size + 1];
  while (bestA + size < a1 && bestB + size < b1 && a[bestA + size] === b[bestB + size]) size++;
  return { a0: bestA, a1: bestA + size, b0: bestB, b1: bestB + size };
}

/** Returns twice the length of all common blocks by the length of both texts, in [0, 1]; 1 for two empty ones. */
export function sequenceSimilarity(one: string, other: string): number {
  const [a, b] = [Array.from(one), Array.from(other)];
  if (a.length + b.length === 0) return 1;
  const places = indexPlaces(b);
  const open: Parts[] = [{ a0: 0, a1: a.length, b0: 0, b1: b.length }];
  let common = 0;
  for (let parts = open.pop(); parts !== undefined; parts = open.pop()) {
    const block = findLongestBlock(a, b, places, parts);
    if (block.a1 === block.a0) continue;
    common += block.a1 - block.a0;
    open.push({ ...parts, a1: block.a0, b1: block.b0 }, { ...parts, a0: block.a1, b0: block.b1 });
  }
  return (2 * common) / (a.length + b.length);
}
