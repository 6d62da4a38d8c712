import { describeShapeRules, type ShapeCases } from "../../../test/support/describe-shape-rules.ts";
import { type ElementwiseAttributes, elementwiseShapes } from "./elementwise.ts";

type None = ElementwiseAttributes["Add"];

const unary: ShapeCases<None> = {
  gives: [
    ["float32 [T, 3]", {}, "float32 [T, 3]"],
    ["float64 []", {}, "float64 []"],
    ["float16 [0]", {}, "float16 [0]"],
  ],
  refuses: [
    ["", {}, /an input is missing/],
    ["int64 [3]", {}, /dtype, got "int64", expected float32 or float64 or float16/],
    ["bfloat16 [3]", {}, /dtype/],
  ],
};

const binary: ShapeCases<None> = {
  gives: [
    ["float32 [2, 1, 3]; float32 [4, 1]", {}, "float32 [2, 4, 3]"],
    ["float32 []; float32 [T, 2]", {}, "float32 [T, 2]"],
    ["int64 [P+T]; int64 [1]", {}, "int64 [P+T]"],
    ["float32 [0, 3]; float32 [1, 3]", {}, "float32 [0, 3]"],
  ],
  refuses: [
    ["float32 [3]", {}, /an input is missing, got 1/],
    ["float32 [3]; int64 [3]", {}, /inputs differ in dtype/],
    ["bool [3]; bool [3]", {}, /dtype, got "bool"/],
    ["bfloat16 [3]; bfloat16 [3]", {}, /dtype, got "bfloat16"/],
    ["float32 [2]; float32 [3]", {}, /shapes do not broadcast/],
    ["float32 [T]; float32 [P]", {}, /shapes do not broadcast/],
  ],
};

describeShapeRules<ElementwiseAttributes>(elementwiseShapes, {
  Identity: { gives: [["bfloat16 [T]", {}, "bfloat16 [T]"]], refuses: [["", {}, /an input is missing/]] },
  Add: binary,
  Sub: binary,
  Mul: binary,
  Div: binary,
  Max: binary,
  Min: binary,
  Greater: {
    gives: [
      ["float32 [2, 1, 3]; float32 [4, 1]", {}, "bool [2, 4, 3]"],
      ["int64 [T]; int64 []", {}, "bool [T]"],
    ],
    refuses: binary.refuses,
  },
  Neg: unary,
  Exp: unary,
  Log: unary,
  Sqrt: unary,
  Sigmoid: unary,
  Tanh: unary,
  Erf: unary,
  Elu: {
    gives: [["float32 [T, 3]", { alpha: 1 }, "float32 [T, 3]"]],
    refuses: [["int32 [3]", { alpha: 1 }, /dtype/]],
  },
  Gelu: {
    gives: [["float32 [T, 3]", { approximate: "tanh" }, "float32 [T, 3]"]],
    refuses: [["int32 [3]", { approximate: "none" }, /dtype/]],
  },
  Where: {
    gives: [
      ["bool [2, 1]; float32 [1, T]; float32 []", {}, "float32 [2, T]"],
      ["bool []; int64 [2]; int64 [2]", {}, "int64 [2]"],
    ],
    refuses: [
      ["bool [2]; float32 [2]", {}, /an input is missing/],
      ["float32 [2]; float32 [2]; float32 [2]", {}, /dtype, got "float32", expected bool/],
      ["bool [2]; float32 [2]; int64 [2]", {}, /differ in dtype/],
      ["bool [2]; float32 [3]; float32 [1]", {}, /do not broadcast/],
    ],
  },
  Cast: {
    gives: [["bfloat16 [T, 2]", { to: "float32" }, "float32 [T, 2]"]],
    refuses: [["", { to: "float32" }, /an input is missing/]],
  },
});
