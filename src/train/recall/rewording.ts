/**
 * Wordings with other words in them: a model that has met only some dozen wordings of a fact learns these; one that
 * meets ever new ones learns to go by the names, which are there in any wording.
 */

import type { RandomDraws } from "../random-draws.ts";
import { type BorrowedWords, drawWord } from "./new-words.ts";

/** Gives a wording with `{subject}` and `{value}` in it other words. */
export type Rewording = (wording: string) => string;

/** The most of a wording's words that are others or none. */
const mostShare = 0.8;
/** How many of those are left out. */
const omittedShare = 0.25;

/** Changes nothing. */
export const sameWording: Rewording = (wording) => wording;

/**
 * Draws how much of a fact's wordings is to change: an even share of the words, up to four of five. Each is replaced
 * by an invented or borrowed word, or left out; names, values and punctuation stay.
 */
export function drawRewording(draws: RandomDraws, borrowed: BorrowedWords | undefined): Rewording {
  const share = draws.uniform() * mostShare;
  const rewordOne = (word: string): string => {
    if (draws.uniform() >= share) return word;
    return draws.uniform() < omittedShare ? "" : drawWord(draws, borrowed);
  };
  return (wording) =>
    wording
      .replaceAll(/\{\w+\}|\p{L}+/gu, (word) => (word.startsWith("{") ? word : rewordOne(word)))
      .replaceAll(/ {2,}/gu, " ")
      .replaceAll(/ (?=[.,;:?!])/gu, "")
      .trim();
}
