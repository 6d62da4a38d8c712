/**
 * New words: invented from syllables, or borrowed from a text.
 */

import type { RandomDraws } from "../random-draws.ts";

const split = (text: string): readonly string[] => text.split(" ");

const onsets = split(
  "b b c d d f g h j k l l m m n n p r r s s t t v w z br cr dr fl gr pl qu sh st th tr ch bl kn",
);
const vowels = split("a a a e e e i i o o u ai ea ee ia oo ou y");
const codas = split("ck d l ll m n n n nd ng r r rd rk s s ss st t th x");

/** Draws a word of one to three syllables, in small letters. */
export function inventWord(draws: RandomDraws): string {
  const count = draws.pick([1, 2, 2, 2, 3]);
  const syllables = Array.from({ length: count }, () => draws.pick(onsets) + draws.pick(vowels));
  return syllables.join("") + (draws.uniform() < 0.6 ? draws.pick(codas) : "");
}

/** Are words of a text, in small letters, and how often one of them is taken instead of an invented one. */
export interface BorrowedWords {
  readonly words: readonly string[];
  /** In [0, 1]. */
  readonly share: number;
}

/** Draws a new word; nothing but the invention is drawn where none are borrowed. */
export function drawWord(draws: RandomDraws, borrowed: BorrowedWords | undefined): string {
  const borrows = borrowed && borrowed.words.length > 0 && draws.uniform() < borrowed.share;
  return borrows ? draws.pick(borrowed.words) : inventWord(draws);
}
