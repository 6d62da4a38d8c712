/**
 * How much goes into a length: tasks whose documents are lists draw as many items as there is room for.
 */

import { InvalidRequestError } from "../errors.ts";

/** Is the length that was asked for, with what of it is taken. */
export interface TokenRoom {
  readonly lengthTokens: number;
  /** What stands around the content: beginning, question, answer. */
  readonly takenTokens: number;
}

/** Refuses a length that does not hold what it must. @throws {@link InvalidRequestError} always */
export function refuseLength({ lengthTokens, takenTokens }: TokenRoom, least: number, what: string): never {
  throw new InvalidRequestError({
    where: "lengthTokens",
    what: "out of range",
    got: lengthTokens,
    expected: `at least ${takenTokens + least} tokens: ${least} for ${what}, ${takenTokens} for what stands around`,
  });
}

/**
 * Finds the most items whose text fits, given that more items make a longer text.
 * @param least - fewest items that a document needs.
 * @param countTokens - tokens of the text with so many items.
 * @throws {@link InvalidRequestError} when not even `least` items fit.
 */
export function fitCount(
  { lengthTokens, takenTokens }: TokenRoom,
  least: number,
  countTokens: (items: number) => number,
): number {
  const room = lengthTokens - takenTokens;
  const ownTokens = countTokens(least);
  if (ownTokens > room) refuseLength({ lengthTokens, takenTokens }, ownTokens, "the list");
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
