/**
 * How much goes into a length: tasks whose documents are lists draw as many items as there is room for.
 */

import { InvalidRequestError } from "../errors.ts";

/**
 * Finds the most items whose text fits, given that more items make a longer text.
 * @param least - fewest items that a document needs.
 * @param countTokens - tokens of the text with so many items.
 * @throws {@link InvalidRequestError} when not even `least` items fit.
 */
export function fitCount(room: number, least: number, countTokens: (items: number) => number): number {
  const ownTokens = countTokens(least);
  if (ownTokens > room) {
    throw new InvalidRequestError({
      where: "lengthTokens",
      what: "out of range",
      got: room,
      expected: `at least ${ownTokens} tokens for the list`,
    });
  }
  let fits = least;
  let tooMany = 2 * least;
  while (countTokens(tooMany) <= room) {
    fits = tooMany;
    tooMany *= 2;
  }
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (countTokens(middle) <= room) fits = middle;
    else tooMany = middle;
  }
  return fits;
}
