/**
 * H2O: the heavy hitters, tokens that have received the most attention so far, and the latest tokens (Zhang et al.,
 * arXiv 2306.14048, section 4.1, definition 4.3 and algorithm 1).
 *
 *   F(T) = sum of o_s over s in T,   o_i = softmax(q_i K_S^T)   summed over all steps i since a token was read
 *
 * The paper drops one token a step, the one with the lowest sum. Here a commit drops T at once, and the sums of the B
 * slots and the T oldest local tokens decide; the window and the segment are its recent tokens, and sinks are kept
 * besides. Query heads of a group share keys, so that their mean counts. A token that stays keeps its sum, one that is
 * dropped loses it, as in the paper: older tokens have had more time to gather theirs, and what is in a slot early is
 * hard to displace.
 *
 * Sums grow as long as the stream does and are kept in float64: a state has 4 bytes a token, layer and key/value head
 * more than one of `snapkv`, and so many less 8 D a layer and head more than one of `keydiff`: 0.3 to 0.7% of all.
 */

import type { AttentionGeometry, ContextSettings } from "./geometry.ts";
import type { MemoryPolicy } from "./policy.ts";
import type { AttentionScoring } from "./received-attention.ts";
import { createAttentionPolicy } from "./slot-policies.ts";

const heavyHitters: AttentionScoring = {
  observedTokens: Number.POSITIVE_INFINITY,
  isCumulative: true,
  scoreCandidates: (received) => received,
};

/**
 * Creates the policy that keeps heavy hitters in its slots.
 * @throws {@link InvalidRequestError} without slots.
 */
export function createHeavyHitterPolicy(geometry: AttentionGeometry, context: ContextSettings): MemoryPolicy {
  return createAttentionPolicy("h2o", geometry, context, heavyHitters);
}
