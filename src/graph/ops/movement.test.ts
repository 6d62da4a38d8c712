import { describeShapeRules } from "../../../test/support/describe-shape-rules.ts";
import { movementShapes } from "./movement.ts";

describeShapeRules(movementShapes, {
  Reshape: {
    gives: [
      ["float32 [2, 3]", { shape: [3, 1, 2] }, "float32 [3, 1, 2]"],
      ["float32 [1, 1]", { shape: [] }, "float32 []"],
      ["float32 [T, 8]", { shape: [1, "T", 2, 4] }, "float32 [1, T, 2, 4]"],
      ["float32 [2, T+P]", { shape: ["2*T+2*P"] }, "float32 [2*P+2*T]"],
      ["int64 [0, 3]", { shape: [5, 0] }, "int64 [5, 0]"],
    ],
    refuses: [
      ["", { shape: [1] }, /an input is missing/],
      ["float32 [2, 3]", { shape: [5] }, /different numbers of elements, got "\[5\]"/],
      ["float32 [T, 8]", { shape: ["P", 8] }, /different numbers of elements/],
      ["float32 [T, 8]", { shape: ["T-1", 8] }, /not a linear form/],
    ],
  },
  Transpose: {
    gives: [
      ["float32 [2, 3, T]", { permutation: [2, 0, 1] }, "float32 [T, 2, 3]"],
      ["float32 []", { permutation: [] }, "float32 []"],
    ],
    refuses: [
      ["float32 [2, 3]", { permutation: [0] }, /not a permutation/],
      ["float32 [2, 3]", { permutation: [0, 0] }, /not a permutation/],
      ["float32 [2, 3]", { permutation: [-1, 0] }, /not a permutation/],
    ],
  },
  Concat: {
    gives: [
      ["float32 [2, 3]", { axis: 0 }, "float32 [2, 3]"],
      ["float32 [1, P, 4]; float32 [1, T, 4]", { axis: 1 }, "float32 [1, P+T, 4]"],
      ["int64 [2]; int64 [3]; int64 [0]", { axis: -1 }, "int64 [5]"],
    ],
    refuses: [
      ["", { axis: 0 }, /an input is missing/],
      ["float32 []; float32 []", { axis: 0 }, /an axis is out of range/],
      ["float32 [2, 3]; float32 [2, 3]", { axis: 2 }, /an axis is out of range/],
      ["float32 [2, 3]; float32 [2, 4]", { axis: 0 }, /extents differ at axis 1, got 4, expected 3/],
      ["float32 [2, 3]; float32 [3]", { axis: 0 }, /ranks differ/],
      ["float32 [2]; int64 [2]", { axis: 0 }, /differ in dtype/],
    ],
  },
  Slice: {
    gives: [
      ["float32 [2, 5]", { axis: 1, start: 1, end: 3 }, "float32 [2, 2]"],
      ["float32 [2, 5]", { axis: -2, start: 0, end: 2 }, "float32 [2, 5]"],
      ["float32 [T]", { axis: 0, start: 0, end: 4 }, "float32 [4]"],
      ["float32 [2]", { axis: 0, start: 2, end: 2 }, "float32 [0]"],
    ],
    refuses: [
      ["float32 [2, 5]", { axis: 2, start: 0, end: 1 }, /an axis is out of range/],
      ["float32 [2, 5]", { axis: 1, start: -1, end: 3 }, /the range does not fit axis 1, got "-1..3"/],
      ["float32 [2, 5]", { axis: 1, start: 3, end: 2 }, /the range does not fit/],
      ["float32 [2, 5]", { axis: 1, start: 0, end: 6 }, /the range does not fit/],
    ],
  },
  Split: {
    gives: [
      ["float32 [2, 5]", { axis: 1, sizes: [1, 4] }, "float32 [2, 1]; float32 [2, 4]"],
      ["float32 [2, 5]", { axis: -2, sizes: [2] }, "float32 [2, 5]"],
      ["float32 [P+2*T]; int64 [2]", { axis: 0, sizes: ["T", "T+P"] }, "float32 [T]; float32 [P+T]"],
    ],
    refuses: [
      ["float32 [2, 5]", { axis: 1, sizes: [1, 3] }, /the parts do not add up, got 4, expected 5/],
      ["float32 [2, 5]", { axis: 3, sizes: [5] }, /an axis is out of range/],
      ["float32 [P+T]", { axis: 0, sizes: ["T", "P"] }, /Split with symbolic sizes: an input is missing/],
      ["float32 [P+T]; int32 [2]", { axis: 0, sizes: ["T", "P"] }, /dtype, got "int32"/],
      ["float32 [P+T]; int64 [3]", { axis: 0, sizes: ["T", "P"] }, /the number of sizes, got 3, expected 2/],
    ],
  },
  Gather: {
    gives: [
      ["float32 [100, 8]; int64 [1, T]", {}, "float32 [1, T, 8]"],
      ["float32 [100]; int32 []", {}, "float32 []"],
    ],
    refuses: [
      ["float32 [100, 8]", {}, /an input is missing/],
      ["float32 [100, 8]; float32 [2]", {}, /dtype, got "float32", expected int64 or int32/],
      ["float32 []; int64 [2]", {}, /an axis is out of range/],
    ],
  },
});
