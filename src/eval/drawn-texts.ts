/**
 * Random texts that tasks hide and ask for.
 */

import type { RandomDraws } from "../train/random-draws.ts";

/** Draws what is not in `taken` yet, and adds it. @param draw - must have enough to draw from. */
export function drawNew(taken: Set<string>, draw: () => string): string {
  for (;;) {
    const text = draw();
    if (taken.has(text)) continue;
    taken.add(text);
    return text;
  }
}

/** Draws a UUID: 32 random hexadecimal digits in groups of 8, 4, 4, 4 and 12. */
export function drawUuid(draws: RandomDraws): string {
  const hex = (count: number): string =>
    Array.from({ length: count }, () => draws.whole(0, 15).toString(16)).join("");
  return [8, 4, 4, 4, 12].map(hex).join("-");
}

const alphabet = "abcdefghijklmnopqrstuvwxyz";

/** Draws a word of random small letters. */
export function drawLetters(draws: RandomDraws, count: number): string {
  return Array.from({ length: count }, () => alphabet.charAt(draws.whole(0, alphabet.length - 1))).join("");
}
