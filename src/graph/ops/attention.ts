/**
 * Operators of attention: rotary embedding, and attention as one kernel.
 */

import { ShapeError } from "../../errors.ts";
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
  /**
   * softmax(scale q k^T + mask) v: q `[B, H, T, D]`, k `[B, K, S, D]`, v `[B, K, S, Dv]`, of which H / K query heads
   * each share one head, mask `[T, S]` -> `[B, H, T, Dv]`.
   */
  Attention: { readonly scale: number };
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
  Attention: (inputs) => {
    const op = "Attention";
    const [query, key] = [inputAt(op, inputs, 0), inputAt(op, inputs, 1)];
    const [value, mask] = [inputAt(op, inputs, 2), inputAt(op, inputs, 3)];
    assertSameDType(op, [query, key, value, mask]);
    assertDType(op, query, "float32", "float64", "float16");
    for (const { shape } of [query, key, value]) assertRank(op, shape, 4);
    assertRank(op, mask.shape, 2);
    const [batch = 0, heads = 0, tokens = 0, width = 0] = query.shape;
    const [, keyHeads = 0, places = 0] = key.shape;
    if (typeof heads !== "number" || typeof keyHeads !== "number" || heads % keyHeads !== 0) {
      throw new ShapeError({
        where: op,
        what: "query heads do not share key heads evenly",
        got: `${heads} and ${keyHeads}`,
        expected: "a multiple",
      });
    }
    for (const { shape } of [key, value]) {
      assertSameDim(op, "batches differ", shape[0] ?? 0, batch);
      assertSameDim(op, "key and value heads differ", shape[1] ?? 0, keyHeads);
      assertSameDim(op, "keys and values differ in number", shape[2] ?? 0, places);
    }
    assertSameDim(op, "head widths differ", key.shape[3] ?? 0, width);
    assertSameDim(op, "the mask's rows", mask.shape[0] ?? 0, tokens);
    assertSameDim(op, "the mask's columns", mask.shape[1] ?? 0, places);
    return [{ dtype: query.dtype, shape: query.shape.with(3, value.shape[3] ?? 0) }];
  },
};
