import { describeShapeRules } from "../../../test/support/describe-shape-rules.ts";
import { linearShapes } from "./linear.ts";

describeShapeRules(linearShapes, {
  MatMul: {
    gives: [
      ["float32 [2, 3]; float32 [3, 4]", {}, "float32 [2, 4]"],
      ["float32 [2, 1, T, 3]; float32 [5, 3, 4]", {}, "float32 [2, 5, T, 4]"],
      ["float64 [1, 9, T, P+T]; float64 [1, 9, P+T, 64]", {}, "float64 [1, 9, T, 64]"],
      ["float32 [2, 0]; float32 [0, 3]", {}, "float32 [2, 3]"],
    ],
    refuses: [
      ["float32 [2, 3]", {}, /an input is missing/],
      ["float32 [3]; float32 [3, 4]", {}, /rank, got "\[3\]", expected rank 2/],
      ["float32 [2, 3]; float32 [3]", {}, /rank, got "\[3\]", expected rank 2/],
      ["float32 []; float32 [3, 4]", {}, /rank/],
      ["float32 [2, 3]; float32 [4, 3]", {}, /inner extents differ, got 4, expected 3/],
      ["float32 [2, T]; float32 [P, 3]", {}, /inner extents differ/],
      ["float32 [2, 2, 3]; float32 [4, 3, 4]", {}, /do not broadcast/],
      ["float32 [2, 3]; float64 [3, 4]", {}, /differ in dtype/],
      ["bfloat16 [2, 3]; bfloat16 [3, 4]", {}, /dtype, got "bfloat16"/],
    ],
  },
  Gemm: {
    gives: [
      ["float32 [T, 3]; float32 [4, 3]", { transposeA: false, transposeB: true }, "float32 [T, 4]"],
      ["float32 [T, 3]; float32 [3, 4]", { transposeA: false, transposeB: false }, "float32 [T, 4]"],
      [
        "float32 [2, 3]; float32 [4, 3]; float32 [4]",
        { transposeA: false, transposeB: true },
        "float32 [2, 4]",
      ],
    ],
    refuses: [
      ["float32 [2, 3]", { transposeA: false, transposeB: true }, /an input is missing/],
      [
        "float32 [2, 3]; float32 [3, 4]",
        { transposeA: false, transposeB: true },
        /inner extents differ, got 4, expected 3/,
      ],
      [
        "float32 [2, 3]; float32 [4, 3]",
        { transposeA: false, transposeB: false },
        /inner extents differ, got 4, expected 3/,
      ],
      ["float32 [1, 2, 3]; float32 [4, 3]", { transposeA: false, transposeB: true }, /rank/],
      ["float32 [2, 3]; float32 [3]", { transposeA: false, transposeB: true }, /rank/],
      [
        "float32 [2, 3]; float32 [4, 3]; float32 [3]",
        { transposeA: false, transposeB: true },
        /the bias does not fit/,
      ],
      ["float32 [2, 3]; float32 [4, 3]; float32 [1, 4]", { transposeA: false, transposeB: true }, /rank/],
      [
        "float32 [2, 3]; float32 [4, 3]; float64 [4]",
        { transposeA: false, transposeB: true },
        /differ in dtype/,
      ],
      ["int64 [2, 3]; int64 [4, 3]", { transposeA: false, transposeB: true }, /dtype, got "int64"/],
    ],
  },
});
