import { describeShapeRules } from "../../../test/support/describe-shape-rules.ts";
import { attentionShapes } from "./attention.ts";

/** Query, key and value of given shapes, and a mask `[T, S]`. */
function attention(query: string, key: string, maskDType = "float32"): string {
  return `float32 [${query}]; float32 [${key}]; float32 [${key}]; ${maskDType} [T, S]`;
}

describeShapeRules(attentionShapes, {
  RotaryEmbedding: {
    gives: [
      ["float32 [1, 9, T, 64]; float32 [1, T, 32]; float32 [1, T, 32]", {}, "float32 [1, 9, T, 64]"],
      ["float32 [2, 9, T, 64]; float32 [2, T, 8]; float32 [2, T, 8]", {}, "float32 [2, 9, T, 64]"],
    ],
    refuses: [
      ["float32 [1, 9, T, 64]; float32 [1, T, 32]", {}, /an input is missing/],
      ["float32 [9, T, 64]; float32 [1, T, 32]; float32 [1, T, 32]", {}, /rank/],
      ["float32 [1, 9, T, 64]; float32 [T, 32]; float32 [T, 32]", {}, /rank/],
      ["float32 [2, 9, T, 64]; float32 [1, T, 32]; float32 [1, T, 32]", {}, /a table's batch/],
      ["float32 [1, 9, T, 64]; float32 [1, T, 32]; float32 [1, P, 32]", {}, /a table's rows, got "P"/],
      ["float32 [1, 9, T, 64]; float32 [1, T, 64]; float32 [1, T, 64]", {}, /a table's width, got 64/],
      ["float32 [1, 9, T, 3]; float32 [1, T, 2]; float32 [1, T, 2]", {}, /a table's width/],
      ["float32 [1, 9, T, 64]; float32 [1, T, 8]; float32 [1, T, 16]", {}, /a table's width, got 16/],
      ["int64 [1, 9, T, 64]; int64 [1, T, 32]; int64 [1, T, 32]", {}, /dtype/],
      ["float32 [1, 9, T, 64]; float64 [1, T, 32]; float32 [1, T, 32]", {}, /differ in dtype/],
    ],
  },
  Attention: {
    gives: [
      [attention("1, 9, T, 64", "1, 3, S, 64"), { scale: 1 }, "float32 [1, 9, T, 64]"],
      [attention("2, 4, T, 8", "2, 4, S, 8"), { scale: 0.5 }, "float32 [2, 4, T, 8]"],
      [
        "float32 [1, 9, T, 66]; float32 [1, 3, S, 66]; float32 [1, 3, S, 65]; float32 [T, S]",
        { scale: 1 },
        "float32 [1, 9, T, 65]",
      ],
    ],
    refuses: [
      ["float32 [1, 9, T, 64]; float32 [1, 3, S, 64]", { scale: 1 }, /an input is missing/],
      [attention("9, T, 64", "3, S, 64"), { scale: 1 }, /rank/],
      [attention("1, 9, T, 64", "1, 2, S, 64"), { scale: 1 }, /do not share key heads evenly, got "9 and 2"/],
      [attention("2, 9, T, 64", "1, 3, S, 64"), { scale: 1 }, /batches differ/],
      [attention("1, 9, T, 64", "1, 3, S, 32"), { scale: 1 }, /head widths differ/],
      [attention("1, 9, T, 64", "1, 3, P, 64"), { scale: 1 }, /the mask's columns/],
      [attention("1, 9, P, 64", "1, 3, S, 64"), { scale: 1 }, /the mask's rows/],
      [attention("1, 9, T, 64", "1, 3, S, 64", "float64"), { scale: 1 }, /differ in dtype/],
    ],
  },
});
