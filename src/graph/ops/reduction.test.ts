import { describeShapeRules, type ShapeCases } from "../../../test/support/describe-shape-rules.ts";
import { type ReductionAttributes, reductionShapes } from "./reduction.ts";

const reduce: ShapeCases<ReductionAttributes["ReduceSum"]> = {
  gives: [
    ["float32 [2, T, 3]", { axes: [1], keepDims: true }, "float32 [2, 1, 3]"],
    ["float32 [2, T, 3]", { axes: [-1, 0], keepDims: false }, "float32 [T]"],
    ["float32 [2, 3]", { axes: [0, 1], keepDims: false }, "float32 []"],
    ["int64 [2, 3]", { axes: [], keepDims: false }, "int64 [2, 3]"],
  ],
  refuses: [
    ["", { axes: [0], keepDims: true }, /an input is missing/],
    ["float32 [2, 3]", { axes: [2], keepDims: true }, /an axis is out of range, got 2/],
    ["float32 [2, 3]", { axes: [-3], keepDims: true }, /an axis is out of range/],
    ["float32 [2, 3]", { axes: [0.5], keepDims: true }, /an axis is out of range/],
    ["bool [2, 3]", { axes: [0], keepDims: true }, /dtype, got "bool"/],
  ],
};

const alongAxis: ShapeCases<ReductionAttributes["Softmax"]> = {
  gives: [["float32 [2, T]", { axis: -1 }, "float32 [2, T]"]],
  refuses: [
    ["float32 [2]", { axis: 1 }, /an axis is out of range/],
    ["float32 []", { axis: -1 }, /an axis is out of range/],
    ["int64 [2]", { axis: 0 }, /dtype, got "int64"/],
  ],
};

describeShapeRules(reductionShapes, {
  ReduceSum: reduce,
  ReduceMean: reduce,
  ReduceMax: reduce,
  Softmax: alongAxis,
  LogSoftmax: alongAxis,
  RMSNormalization: {
    gives: [["float32 [1, T, 8]; float32 [8]", { epsilon: 1e-5 }, "float32 [1, T, 8]"]],
    refuses: [
      ["float32 [8]", { epsilon: 1e-5 }, /an input is missing/],
      ["float32 [T, 8]; float32 [4]", { epsilon: 1e-5 }, /the weight does not fit, got 4, expected 8/],
      ["float32 [T, 8]; float32 [1, 8]", { epsilon: 1e-5 }, /rank/],
      ["float32 []; float32 [1]", { epsilon: 1e-5 }, /an axis is out of range/],
      ["float32 [T, 8]; float16 [8]", { epsilon: 1e-5 }, /differ in dtype/],
      ["int64 [8]; int64 [8]", { epsilon: 1e-5 }, /dtype/],
    ],
  },
  LayerNormalization: {
    gives: [["float32 [1, T, 8]; float32 [8]; float32 [8]", { epsilon: 1e-5 }, "float32 [1, T, 8]"]],
    refuses: [
      ["float32 [8]; float32 [8]", { epsilon: 1e-5 }, /an input is missing/],
      ["float32 [T, 8]; float32 [4]; float32 [8]", { epsilon: 1e-5 }, /the weight does not fit, got 4/],
      [
        "float32 [T, 8]; float32 [8]; float32 [4]",
        { epsilon: 1e-5 },
        /the bias does not fit, got 4, expected 8/,
      ],
      ["float32 [T, 8]; float32 [8]; float32 [1, 8]", { epsilon: 1e-5 }, /rank/],
      ["float32 []; float32 [1]; float32 [1]", { epsilon: 1e-5 }, /an axis is out of range/],
      ["float32 [T, 8]; float32 [8]; float64 [8]", { epsilon: 1e-5 }, /differ in dtype/],
      ["int64 [8]; int64 [8]; int64 [8]", { epsilon: 1e-5 }, /dtype/],
    ],
  },
});
