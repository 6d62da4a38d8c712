/**
 * Named parameters in training: what optimizers, clipping and checkpoints agree on.
 *
 * A set of parameters, their gradients and each moment of an optimizer have the same names and lengths.
 * Shapes are the graphs' business: here a parameter is a flat array.
 */

import { InvalidRequestError } from "../errors.ts";

/** Holds arrays by the names of their parameters; float32, flat. Their content changes in training. */
export type NamedArrays = ReadonlyMap<string, Float32Array>;

/**
 * Checks that two sets have the same names and lengths.
 * @param where - names the second set in the message.
 * @throws {@link InvalidRequestError} naming the first array that differs.
 */
export function assertAlike(where: string, wanted: NamedArrays, got: NamedArrays): void {
  for (const [name, array] of wanted) {
    const length = got.get(name)?.length;
    if (length === array.length) continue;
    throw new InvalidRequestError({
      where: `${where}: ${name}`,
      what: length === undefined ? "the array is missing" : "the array has another length",
      got: length === undefined ? "none" : `${length} elements`,
      expected: `${array.length} elements`,
    });
  }
  for (const name of got.keys()) {
    if (wanted.has(name)) continue;
    throw new InvalidRequestError({
      where: `${where}: ${name}`,
      what: "there is no such parameter",
      expected: "the parameters' own names",
    });
  }
}

/** Creates arrays of zeros with the names and lengths of others. */
export function zerosLike(arrays: NamedArrays): Map<string, Float32Array> {
  return new Map([...arrays].map(([name, { length }]) => [name, new Float32Array(length)]));
}

/** Takes those of some names, the same arrays. */
export function pickArrays(arrays: NamedArrays, names: readonly string[]): NamedArrays {
  const wanted = new Set(names);
  return new Map([...arrays].filter(([name]) => wanted.has(name)));
}

/** Adds scaled arrays onto others of the same names, in place: the sum over several backward passes. */
export function addScaled(sums: NamedArrays, terms: NamedArrays, scale: number): void {
  assertAlike("addScaled", sums, terms);
  for (const [name, sum] of sums) {
    const term = terms.get(name) ?? sum;
    for (let index = 0; index < sum.length; index++) {
      sum[index] = (sum[index] ?? 0) + scale * (term[index] ?? 0);
    }
  }
}
