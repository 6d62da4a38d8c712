/** Cases of the gradients of the operators of attention. */

import fc from "fast-check";
import type { AttentionAttributes } from "../../../src/graph/ops/attention.ts";
import type { GradientCases } from "./gradient-case.ts";

const small = fc.integer({ min: 1, max: 3 });

/** Cases of the operators of attention. */
export const attentionGradientCases: GradientCases<AttentionAttributes> = {
  RotaryEmbedding: [
    {
      title: "of whole heads and parts of them, batches with tables of their own",
      examples: fc
        .tuple(small, small, small, small, fc.nat(2))
        .map(([batch, heads, tokens, pairs, rest]) => ({
          inputs: [
            [batch, heads, tokens, 2 * pairs + rest],
            [batch, tokens, pairs],
            [batch, tokens, pairs],
          ],
          differentiable: [0],
          symbolic: [
            ["B", heads, "T", 2 * pairs + rest],
            ["B", "T", pairs],
            ["B", "T", pairs],
          ],
          write: (b, x, cos, sin) => [b.rotaryEmbedding(x, cos, sin)],
        })),
    },
  ],
  Attention: [
    {
      title:
        "of groups of one to three heads, few and many places, values of any width, any scale, masks too",
      examples: fc
        .tuple(
          fc.tuple(small, small, small, small),
          fc.integer({ min: 1, max: 4 }),
          small,
          small,
          fc.constantFrom(1, 0.5),
        )
        .map(([[batch, keyHeads, group, tokens], places, width, valueWidth, scale]) => ({
          inputs: [
            [batch, keyHeads * group, tokens, width],
            [batch, keyHeads, places, width],
            [batch, keyHeads, places, valueWidth],
            [tokens, places],
          ],
          symbolic: [
            [batch, keyHeads * group, "T", width],
            [batch, keyHeads, "P", width],
            [batch, keyHeads, "P", valueWidth],
            ["T", "P"],
          ],
          write: (b, q, k, v, mask) => [b.attention(q, k, v, mask, scale)],
        })),
    },
  ],
};
