/**
 * Names and values made of words that no list has: a model that has met only some hundred names learns the names, and
 * guesses among them; one that meets ever new ones learns to look them up.
 */

import type { RandomDraws } from "../random-draws.ts";
import type { Fact } from "./facts.ts";

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

/** Shorter words, such as "the" and "at", hold names together. */
const shortest = 4;
const hasLongWord = /\p{L}{4}/u;
/** How many of the words are invented. */
const wordShare = 0.75;

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

function inventText(draws: RandomDraws, text: string, borrowed: BorrowedWords | undefined): string {
  return text.replaceAll(/\p{L}+/gu, (word) => {
    if (word.length < shortest || draws.uniform() >= wordShare) return word;
    const invented = drawWord(draws, borrowed);
    return /^\p{Lu}/u.test(word) ? invented.charAt(0).toUpperCase() + invented.slice(1) : invented;
  });
}

/**
 * Replaces most words of a fact's names and values by invented or borrowed ones; numbers stay.
 * @param drawn - names and values in use; the new ones are added, and are none of them.
 * @param borrowed - words of a text, which teach to look up what is well known too; default none.
 */
export function inventFact(
  draws: RandomDraws,
  fact: Fact,
  drawn: Set<string>,
  borrowed?: BorrowedWords,
): Fact {
  const inventNew = (text: string): string => {
    if (!hasLongWord.test(text)) return text;
    for (let tries = 0; tries < 100; tries++) {
      const invented = inventText(draws, text, borrowed);
      if (drawn.has(invented)) continue;
      drawn.add(invented);
      return invented;
    }
    return text;
  };
  return { kind: fact.kind, subject: inventNew(fact.subject), values: fact.values.map(inventNew) };
}
