/**
 * SnapKV: the tokens that the last queries look at, and their neighbours (Li et al., arXiv 2404.14469, section 4).
 *
 *   C_n = sum of a_tn over the queries t of the observation window,   a_t = softmax(q_t K^T)
 *   kept: the highest of pool(C) a head, pool the maximum (or the mean) over 7 neighbours, itself in the middle
 *
 * The paper does it once, at the end of a prompt, with the prompt's last tokens as the observation window; its code has
 * both ways of pooling, and other widths and windows (the mean over 5 where nothing is said). The maximum over 7
 * and 32 queries are one such choice. A stream has no end, so here every commit does it, with the last
 * queries before that commit: 32, where window and segment are as long. Nobody has asked anything
 * then: what a question would look at is known only where it happens to lie in the observation, and what a commit drops
 * is gone. Pooled are the candidates, slots and the T oldest local tokens, in stream order; sinks and window stay in any
 * case. Query heads of a group share keys, so that their mean counts. What was received is forgotten at the commit,
 * so that float32 is enough for it: no policy with slots has a smaller state.
 */

import type { AttentionGeometry, ContextSettings } from "./geometry.ts";
import type { MemoryPolicy } from "./policy.ts";
import type { AttentionScoring } from "./received-attention.ts";
import { createAttentionPolicy } from "./slot-policies.ts";
import type { NumberArray } from "./token-numbers.ts";

const mostObserved = 32;
const poolWidth = 7;

/** Gives each the highest of itself and its neighbours. */
function poolHighest(received: NumberArray): NumberArray {
  const reach = (poolWidth - 1) / 2;
  return received.map((_, index) =>
    Math.max(...received.subarray(Math.max(0, index - reach), index + reach + 1)),
  );
}

/** Returns how the last queries before a commit score tokens. */
export function observationScoring({ windowTokens, segmentTokens }: ContextSettings): AttentionScoring {
  return {
    observedTokens: Math.min(mostObserved, windowTokens, segmentTokens),
    isCumulative: false,
    scoreCandidates: poolHighest,
  };
}

/**
 * Creates the policy that keeps in its slots what the last queries before a commit look at.
 * @throws {@link InvalidRequestError} without slots.
 */
export function createSnapPolicy(geometry: AttentionGeometry, context: ContextSettings): MemoryPolicy {
  return createAttentionPolicy("snapkv", geometry, context, observationScoring(context));
}
