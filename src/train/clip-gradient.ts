/**
 * Gradient clipping by the norm of all gradients together (arXiv 1211.5063, section 3.2).
 */

import { InvalidRequestError } from "../errors.ts";
import type { NamedArrays } from "./parameters.ts";

/** Returns the Euclidean norm over all arrays, summed in float64; not finite when an element is not. */
export function globalNorm(arrays: NamedArrays): number {
  let sum = 0;
  for (const array of arrays.values()) {
    for (let index = 0; index < array.length; index++) {
      const value = array[index] ?? 0;
      sum += value * value;
    }
  }
  return Math.sqrt(sum);
}

/**
 * Scales gradients in place so that their common norm is at most `maxNorm`; smaller ones stay bit for bit.
 * @param maxNorm - positive; Infinity clips nothing.
 * @returns the norm before. When it is not finite nothing is changed: the step is to be skipped.
 */
export function clipGradients(gradients: NamedArrays, maxNorm: number): number {
  if (!(maxNorm > 0)) {
    throw new InvalidRequestError({
      where: "clipGradients: maxNorm",
      what: "out of range",
      got: maxNorm,
      expected: "a number > 0",
    });
  }
  const norm = globalNorm(gradients);
  if (!Number.isFinite(norm) || norm <= maxNorm) return norm;
  const scale = maxNorm / norm;
  for (const gradient of gradients.values()) {
    for (let index = 0; index < gradient.length; index++) gradient[index] = (gradient[index] ?? 0) * scale;
  }
  return norm;
}
