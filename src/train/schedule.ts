/**
 * Learning-rate schedules: a rise from zero (warm-up), then constant or half a cosine down (arXiv 1608.03983).
 * A constant rate may fall in equal parts in the end (warm-up, stable, decay: arXiv 2404.06395): a run that turns
 * out too short is then gone on with from before its fall.
 *
 * A schedule is a function of the step alone, so that a resumed run needs no state of it.
 */

import { InvalidRequestError } from "../errors.ts";

/** Chooses a schedule. */
export interface ScheduleOptions {
  readonly kind: "constant" | "cosine";
  /** The highest learning rate, reached at the end of warm-up. */
  readonly peakRate: number;
  /** Steps from nearly zero to the peak, in equal parts; default 0. */
  readonly warmupSteps?: number;
  /** All steps of the run, warm-up included; a cosine reaches its floor at the last. */
  readonly totalSteps: number;
  /** The last steps, in which a constant rate falls to its floor; default 0. */
  readonly decaySteps?: number;
  /** The rate at the end of a cosine or a fall, as a share of the peak, in [0, 1]; default 0. */
  readonly floorShare?: number;
}

/** Gives the learning rate of a step, counted from 0; steps past the last keep the last one's. */
export type Schedule = (step: number) => number;

function check(name: string, got: number, fits: boolean, expected: string): void {
  if (fits) return;
  throw new InvalidRequestError({ where: `schedule: ${name}`, what: "out of range", got, expected });
}

/** Makes a schedule. @throws {@link InvalidRequestError} naming the option that is out of range. */
export function makeSchedule(options: ScheduleOptions): Schedule {
  const { kind, peakRate, warmupSteps = 0, totalSteps, decaySteps = 0, floorShare = 0 } = options;
  check("peakRate", peakRate, peakRate > 0 && Number.isFinite(peakRate), "a number > 0");
  check(
    "totalSteps",
    totalSteps,
    Number.isSafeInteger(totalSteps) && totalSteps > 0,
    "a whole number from 1",
  );
  const warmupFits = Number.isSafeInteger(warmupSteps) && warmupSteps >= 0 && warmupSteps <= totalSteps;
  check("warmupSteps", warmupSteps, warmupFits, "a whole number from 0 to totalSteps");
  const decayFits =
    Number.isSafeInteger(decaySteps) && decaySteps >= 0 && warmupSteps + decaySteps <= totalSteps;
  check("decaySteps", decaySteps, decayFits, "a whole number from 0; with warm-up, at most totalSteps");
  if (kind === "cosine")
    check("decaySteps", decaySteps, decaySteps === 0, "0 for a cosine, which falls itself");
  check("floorShare", floorShare, floorShare >= 0 && floorShare <= 1, "a number in [0, 1]");
  // The first step after warm-up has the peak, the last of the run the floor.
  const fallSteps = Math.max(1, totalSteps - 1 - warmupSteps);
  return (step) => {
    if (step < warmupSteps) return (peakRate * (step + 1)) / warmupSteps;
    if (kind === "constant") {
      const left = Math.max(0, totalSteps - 1 - step);
      const share = decaySteps === 0 ? 1 : Math.min(1, left / decaySteps);
      return peakRate * (floorShare + (1 - floorShare) * share);
    }
    const progress = Math.min(1, (step - warmupSteps) / fallSteps);
    return peakRate * (floorShare + (1 - floorShare) * 0.5 * (1 + Math.cos(Math.PI * progress)));
  };
}
