/**
 * What training is made of, on the host: optimizer, schedules, data, checkpoints and the folders it writes.
 */

export {
  type AdamW,
  type AdamWOptions,
  type AdamWState,
  makeAdamW,
  type ParameterGroup,
  standardGroups,
} from "./adamw.ts";
export { clipGradients, globalNorm } from "./clip-gradient.ts";
export { type GuardedStep, guardStep, noSkippedSteps, type SkippedSteps } from "./loss-guard.ts";
export { addScaled, type NamedArrays, zerosLike } from "./parameters.ts";
export { makeSchedule, type Schedule, type ScheduleOptions } from "./schedule.ts";
