/**
 * Intervals of confidence at 95%: Wilson's for proportions, the percentile bootstrap for means.
 *
 * Both take one number a document: questions about one document are not independent.
 */

import { createDraws } from "../train/random-draws.ts";

/** Is an interval, both ends included. */
export type Interval = readonly [low: number, high: number];

/** The 97.5th percentile of the normal distribution. */
const z = 1.959963984540054;

/** Returns the mean; NaN of nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Returns Wilson's score interval of a proportion: unlike the normal one it stays within [0, 1], and is not empty at
 * its ends.
 * @param share - successes of `count`, in [0, 1]; a mean of shares is taken as if it were one.
 */
export function wilsonInterval(share: number, count: number): Interval {
  if (count === 0) return [0, 1];
  const scale = 1 + (z * z) / count;
  const center = (share + (z * z) / (2 * count)) / scale;
  const reach = (z / scale) * Math.sqrt((share * (1 - share)) / count + (z * z) / (4 * count * count));
  // Rounding must not leave the end out that was seen.
  return [Math.min(share, Math.max(0, center - reach)), Math.max(share, Math.min(1, center + reach))];
}

const resampleCount = 2000;

/** Returns the percentile bootstrap's interval of a mean; the same values give the same. */
export function bootstrapInterval(values: readonly number[]): Interval {
  if (values.length === 0) return [Number.NaN, Number.NaN];
  const draws = createDraws(1, "bootstrap", values.length);
  const means = new Float64Array(resampleCount);
  for (let index = 0; index < resampleCount; index++) {
    let sum = 0;
    for (let drawn = 0; drawn < values.length; drawn++) sum += values[draws.whole(0, values.length - 1)] ?? 0;
    means[index] = sum / values.length;
  }
  means.sort();
  const at = (share: number): number => means[Math.round(share * (resampleCount - 1))] ?? Number.NaN;
  return [at(0.025), at(0.975)];
}
