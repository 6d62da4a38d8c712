import { describeShapeRules } from "../../../test/support/describe-shape-rules.ts";
import { attentionShapes } from "./attention.ts";

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
});
