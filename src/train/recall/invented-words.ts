/**
 * Names and values made of words that no list has: a model that has met only some hundred names learns the names, and
 * guesses among them; one that meets ever new ones learns to look them up.
 */

import type { RandomDraws } from "../random-draws.ts";
import type { Fact } from "./facts.ts";
import { type BorrowedWords, drawWord } from "./new-words.ts";

/** Shorter words, such as "the" and "at", hold names together. */
const shortest = 4;
const hasLongWord = /\p{L}{4}/u;
/** How many of the words are invented. */
const wordShare = 0.75;

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
