/**
 * A student: a frozen base with a memory that learns from the same base with full attention.
 */

import { InvalidRequestError } from "../errors.ts";
import { type ContextSettings, localCapacityTokens } from "../memory/geometry.ts";
import type { MemoryPolicy } from "../memory/policy.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import type { ModelFamily } from "../models/family.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { WeightTensors } from "./weight-tensors.ts";

/** Says what is trained. */
export interface StudentOptions {
  readonly family: ModelFamily;
  readonly config: DecoderConfig;
  readonly base: WeightTensors;
  /** Tensors of the adapter that stay as they are. */
  readonly frozen: WeightTensors;
  readonly trained: WeightTensors;
  /** Makes the policy for settings, from the names and shapes of the adapter's tensors; called once for each. */
  readonly makePolicy: (context: ContextSettings) => MemoryPolicy;
  /** Settings that steps take in turn; all with as many slots. */
  readonly contexts: readonly ContextSettings[];
  readonly runtime: Runtime;
  /** Of documents that the teacher reads too, tokens; at most the positions of the model. */
  readonly lengthTokens: number;
}

/** Returns how many tokens of a document can be read in whole segments. */
export function wholeSegments(context: ContextSettings, lengthTokens: number): number {
  const [capacity, T] = [localCapacityTokens(context), context.segmentTokens];
  return capacity + Math.floor((lengthTokens - capacity) / T) * T;
}

/** Checks that a student reads a segment behind a commit. @throws {@link InvalidRequestError} */
export function checkStudentLength(contexts: readonly ContextSettings[], lengthTokens: number): void {
  const least = Math.max(...contexts.map((context) => localCapacityTokens(context) + context.segmentTokens));
  if (lengthTokens >= least) return;
  throw new InvalidRequestError({
    where: "lengthTokens",
    what: "no segment lies behind sinks, slots, window and segment",
    got: lengthTokens,
    expected: `${least} or more`,
    remedy: "Train with a smaller window and segment, fewer slots, or longer documents.",
  });
}
