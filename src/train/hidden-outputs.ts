/**
 * Makes inference graphs give what the attention of each layer was computed from, so that training can compute a
 * token's numbers again long after it was read. Inference has no use for it.
 */

import type { Value } from "../graph/graph.ts";
import { type AttentionGeometry, memoryLayers } from "../memory/geometry.ts";
import { tokensSymbol } from "../memory/local-attention.ts";
import type { MemoryPolicy } from "../memory/policy.ts";

/** Names the output with the h of the new tokens, float32 `[N, T, E]`. */
export const hiddenName = "token_hidden";

/** Gives a policy whose graphs have the output {@link hiddenName} too. */
export function withHiddenOutputs(policy: MemoryPolicy, geometry: AttentionGeometry): MemoryPolicy {
  const remembering = new Set(memoryLayers(geometry));
  return {
    ...policy,
    beginAttention(b) {
      const writer = policy.beginAttention(b);
      const hidden: Value[] = [];
      return {
        positions: writer.positions,
        attend(layer, inputs) {
          if (remembering.has(layer))
            hidden.push(b.reshape(inputs.hidden, [1, tokensSymbol, geometry.hiddenSize]));
          return writer.attend(layer, inputs);
        },
        finish: () => [...writer.finish(), b.named(hiddenName, b.concat(hidden, 0))],
      };
    },
  };
}
