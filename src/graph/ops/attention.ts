/**
 * Operators of attention: rotary embedding.
 */

import {
  assertDType,
  assertRank,
  assertSameDim,
  assertSameDType,
  inputAt,
  type ShapeRule,
} from "../shape-rule.ts";

/** Lists the attributes of each attention operator. */
export interface AttentionAttributes {
  /**
   * Rotates the pairs (i, i + n) of each head by the angle of its token: inputs are x `[B, H, T, D]`,
   * cos `[B, T, n]`, sin `[B, T, n]`; the layout of Hugging Face (halves, not interleaved). Elements of a head
   * from 2n on stay as they are.
   */
  RotaryEmbedding: Readonly<Record<string, never>>;
}

/** Gives the shape rule of each attention operator. */
export const attentionShapes: {
  readonly [Op in keyof AttentionAttributes]: ShapeRule<AttentionAttributes[Op]>;
} = {
  RotaryEmbedding: (inputs) => {
    const x = inputAt("RotaryEmbedding", inputs, 0);
    const cos = inputAt("RotaryEmbedding", inputs, 1);
    const sin = inputAt("RotaryEmbedding", inputs, 2);
    assertSameDType("RotaryEmbedding", [x, cos, sin]);
    assertDType("RotaryEmbedding", x, "float32", "float64", "float16");
    assertRank("RotaryEmbedding", x.shape, 4);
    const [batch = 0, , tokens = 0, headSize = 0] = x.shape;
    const width = Math.min(Number(cos.shape[2] ?? 0), Math.floor(Number(headSize) / 2));
    for (const table of [cos, sin]) {
      assertRank("RotaryEmbedding", table.shape, 3);
      assertSameDim("RotaryEmbedding", "a table's batch", table.shape[0] ?? 0, batch);
      assertSameDim("RotaryEmbedding", "a table's rows", table.shape[1] ?? 0, tokens);
      assertSameDim("RotaryEmbedding", "a table's width", table.shape[2] ?? 0, width);
    }
    return [x];
  },
};
