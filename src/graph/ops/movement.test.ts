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
  GatherElements: {
    gives: [
      ["float32 [T, 100]; int64 [T, 1]", { axis: 1 }, "float32 [T, 1]"],
      ["int64 [2, T, 4]; int32 [2, 7, 4]", { axis: -2 }, "int64 [2, 7, 4]"],
    ],
    refuses: [
      ["float32 [T, 8]", { axis: 1 }, /an input is missing/],
      ["float32 [T, 8]; float32 [T, 1]", { axis: 1 }, /dtype, got "float32", expected int64 or int32/],
      ["float32 [T, 8]; int64 [T]", { axis: 1 }, /rank, got "\[T\]", expected rank 2/],
      ["float32 [T, 8]; int64 [P, 1]", { axis: 1 }, /extents differ at axis 0, got "P", expected T/],
      ["float32 [T, 8]; int64 [T, 1]", { axis: 2 }, /an axis is out of range/],
    ],
  },
  ScatterElements: {
    gives: [
      ["float32 [100, E]; int64 [T, E]; float32 [T, E]", { axis: 0, reduction: "add" }, "float32 [100, E]"],
    ],
    refuses: [
      ["float32 [9, 8]; int64 [T, 8]", { axis: 0, reduction: "add" }, /an input is missing/],
      ["float32 [9, 8]; int64 [T, 1]; float32 [T, 1]", { axis: 0, reduction: "add" }, /differ at axis 1/],
      ["float32 [9]; int64 [2]; float32 [3]", { axis: 0, reduction: "add" }, /updates and indices differ/],
      ["float32 [9]; int64 [2]; float32 [2, 1]", { axis: 0, reduction: "add" }, /rank/],
      ["float32 [9]; int64 [2]; float64 [2]", { axis: 0, reduction: "add" }, /differ in dtype/],
      ["int64 [9]; int64 [2]; int64 [2]", { axis: 0, reduction: "add" }, /dtype, got "int64"/],
    ],
  },
  Expand: {
    gives: [
      ["float32 []", { shape: [2, 3] }, "float32 [2, 3]"],
      ["int64 [2, 1]", { shape: [5, 2, 3] }, "int64 [5, 2, 3]"],
      ["float32 [T, 1]; int64 [2]", { shape: ["T", 3] }, "float32 [T, 3]"],
    ],
    refuses: [
      ["", { shape: [1] }, /an input is missing/],
      ["float32 [2]", { shape: [3] }, /do not broadcast/],
      ["float32 [2]", { shape: [1] }, /does not broadcast to the shape, got "\[2\]", expected .*\[1\]/],
      ["float32 [1, 2]", { shape: [2] }, /does not broadcast to the shape/],
      ["float32 []", { shape: ["T"] }, /Expand to symbolic extents: an input is missing/],
      ["float32 []; int64 [2]", { shape: ["T"] }, /the number of extents, got 2, expected 1/],
      ["float32 []; int32 [1]", { shape: ["T"] }, /dtype, got "int32"/],
    ],
  },
  Shape: {
    gives: [
      ["float32 [T, 3]", {}, "int64 [2]"],
      ["bool []", {}, "int64 [0]"],
    ],
    refuses: [["", {}, /an input is missing/]],
  },
});
