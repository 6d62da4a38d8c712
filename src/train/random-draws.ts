/**
 * Random draws of training: generators that depend on a seed and on what they are for, and nothing else.
 *
 * The n-th document of a run has its own generator, so that a resumed run needs no state of one.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plusFromState } from "pure-rand/generator/xoroshiro128plus";
import type { RandomGenerator } from "pure-rand/types/RandomGenerator";
import { InternalError } from "../errors.ts";

/** Is a source of random draws; each draw moves it on. */
export interface RandomDraws {
  /** Draws a number in [0, 1). */
  uniform(): number;
  /** Draws a whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number;
  /** Draws one item. @throws {@link InternalError} when there is none. */
  pick<Item>(items: readonly Item[]): Item;
}

function wrap(generator: RandomGenerator): RandomDraws {
  const whole = (low: number, high: number): number => uniformInt(generator, low, high);
  return {
    uniform: () => uniformFloat64(generator),
    whole,
    pick<Item>(items: readonly Item[]): Item {
      const index = items.length === 0 ? 0 : whole(0, items.length - 1);
      if (index in items) return items[index] as Item;
      throw new InternalError({ where: "RandomDraws.pick", what: "there is nothing to pick from" });
    },
  };
}

/**
 * Creates the draws for a purpose: the same seed, purpose and numbers give the same draws.
 * @param seed - a whole number.
 * @param purpose - keeps uses of one seed apart.
 * @param numbers - such as an epoch or the index of a document.
 */
export function createDraws(seed: number, purpose: string, ...numbers: readonly number[]): RandomDraws {
  const digest = sha256(new TextEncoder().encode(JSON.stringify([seed, purpose, ...numbers])));
  const view = new DataView(digest.buffer, digest.byteOffset);
  return wrap(xoroshiro128plusFromState([0, 4, 8, 12].map((offset) => view.getInt32(offset))));
}

/** Draws an order of the numbers from 0 to `count - 1` (Fisher and Yates), uint32. */
export function drawOrder(draws: RandomDraws, count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = draws.whole(0, last);
    const kept = order[last] ?? 0;
    order[last] = order[other] ?? 0;
    order[other] = kept;
  }
  return order;
}
