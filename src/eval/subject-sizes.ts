/**
 * What ways to remember take, from headers alone: the sizes of their regions and the bytes of a state. And windows as
 * long as bytes allow, so that a policy without slots is compared at the bytes of one with slots.
 */

import { estimateMemoryOn, type Platform } from "../engine/load-model.ts";
import { InvalidRequestError, isEdgeInfiniteError } from "../errors.ts";
import type { ContextSettings } from "../memory/geometry.ts";
import type { PolicyName } from "../memory/policy.ts";
import type { Subject } from "./subject.ts";

/** Is a subject with what it takes. */
export interface SubjectSize {
  readonly subject: Subject;
  /** All its settings. */
  readonly context: ContextSettings;
  /** Bytes of a session. */
  readonly stateBytes: number;
  /** Bytes that a token of the window takes, keys and values of all layers. */
  readonly tokenBytes: number;
}

/**
 * Measures subjects. Those whose state grows (`full`) are left out, and those that cannot be loaded: they are told of
 * when it is their turn.
 */
export async function measureSubjects(
  platform: Platform,
  model: string,
  subjects: readonly Subject[],
  signal: AbortSignal,
): Promise<readonly SubjectSize[]> {
  const sizes: SubjectSize[] = [];
  for (const subject of subjects) {
    const { policy, adapter, context } = subject;
    if (policy === "full") continue;
    const memory = { policy, context, ...(adapter !== undefined && { adapter }) };
    try {
      const estimate = await estimateMemoryOn(platform, model, { ...memory, signal });
      const { stateBytes, fullCacheBytesPerToken: tokenBytes } = estimate;
      sizes.push({ subject, context: estimate.context, stateBytes, tokenBytes });
    } catch (error) {
      if (!isEdgeInfiniteError(error)) throw error;
    }
  }
  return sizes;
}

function refuse(policy: PolicyName, what: string): never {
  throw new InvalidRequestError({ where: "--equal-bytes", what, got: policy });
}

/**
 * Gives the subjects of some policies, each with a window as long as the state of the largest subject with
 * slots allows: no fewer bytes than any of them but for less than a token's.
 * @param sizes - of all subjects, those of the policies among them; ablated ones do not count.
 * @throws {@link InvalidRequestError} when no subject has slots, one of the policies has none, or no token more fits.
 */
export function lengthenWindows(
  sizes: readonly SubjectSize[],
  policies: readonly PolicyName[],
): readonly SubjectSize[] {
  const whole = sizes.filter(({ subject }) => subject.ablation === undefined);
  const withSlots = whole.filter(({ context }) => context.slotTokens > 0);
  const budgetBytes = Math.max(0, ...withSlots.map(({ stateBytes }) => stateBytes));
  return policies.flatMap((policy) => {
    if (withSlots.length === 0) refuse(policy, "no policy of this evaluation has slots to be equal to");
    const own = whole.filter(({ subject }) => subject.policy === policy);
    if (own.length === 0) refuse(policy, "the policy cannot be loaded");
    return own.map(({ subject, context, stateBytes, tokenBytes }): SubjectSize => {
      const moreTokens = Math.floor((budgetBytes - stateBytes) / tokenBytes);
      if (moreTokens < 1) refuse(policy, "the policy has as many bytes as those with slots already");
      const windowTokens = context.windowTokens + moreTokens;
      return {
        subject: {
          ...subject,
          label: `${subject.label} equal-bytes`,
          context: { ...subject.context, windowTokens },
        },
        context: { ...context, windowTokens },
        stateBytes: stateBytes + moreTokens * tokenBytes,
        tokenBytes,
      };
    });
  });
}
