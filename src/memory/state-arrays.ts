/**
 * The arrays that a state is saved as: their sizes, their parts side by side, and how they are taken apart again.
 */

import { InternalError } from "../errors.ts";

/** Sizes an array of a state. */
export interface ArraySize {
  readonly name: string;
  /** Elements. */
  readonly length: number;
  readonly dtype: "float32" | "float64";
}

/** Counts the bytes of arrays. */
export function countArrayBytes(sizes: readonly ArraySize[]): number {
  return sizes.reduce((sum, { length, dtype }) => sum + length * (dtype === "float64" ? 8 : 4), 0);
}

/** Puts parts side by side. */
export function joinFloats(parts: readonly Float32Array[]): Float32Array {
  return fill(new Float32Array(countAll(parts)), parts);
}

/** Joins arrays of indices, one behind the other. */
export function joinIndices(parts: readonly Int32Array[]): Int32Array {
  return fill(new Int32Array(countAll(parts)), parts);
}

const countAll = (parts: readonly { readonly length: number }[]): number =>
  parts.reduce((sum, { length }) => sum + length, 0);

function fill<Joined extends Float32Array | Int32Array>(joined: Joined, parts: readonly Joined[]): Joined {
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Takes the arrays of a saved state apart, each from its beginning on. */
export class SavedArrays {
  readonly #arrays: ReadonlyMap<string, Float32Array | Float64Array>;
  readonly #taken = new Map<string, number>();

  constructor(arrays: ReadonlyMap<string, Float32Array | Float64Array>) {
    this.#arrays = arrays;
  }

  /** Tells whether there is such an array. */
  has(name: string): boolean {
    return this.#arrays.has(name);
  }

  /** Takes the next elements of an array of either type, by default all that are left. @throws {@link InternalError} */
  numbers(name: string, length?: number): Float32Array | Float64Array {
    const from = this.#taken.get(name) ?? 0;
    const array = this.#arrays.get(name);
    const end = length === undefined ? array?.length : from + length;
    if (array === undefined || end === undefined || end > array.length)
      throw new InternalError({ where: "restore", what: `array ${name} is missing or too short` });
    this.#taken.set(name, end);
    return array.subarray(from, end);
  }

  /** Takes the next elements of a float32 array, by default all that are left. @throws {@link InternalError} */
  floats(name: string, length?: number): Float32Array {
    const data = this.numbers(name, length);
    if (data instanceof Float32Array) return data;
    throw new InternalError({ where: "restore", what: `array ${name} is not of float32` });
  }

  /** Takes a float64 array. @throws {@link InternalError} */
  doubles(name: string): Float64Array {
    const data = this.numbers(name);
    if (data instanceof Float64Array) return data;
    throw new InternalError({ where: "restore", what: `array ${name} is not of float64` });
  }
}
