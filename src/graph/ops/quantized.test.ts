import { describeShapeRules } from "../../../test/support/describe-shape-rules.ts";
import { quantizedShapes } from "./quantized.ts";

const q8 = { bits: 8, blockSize: 32, innerSize: 64, accuracyLevel: 4 } as const;
const q4 = { ...q8, bits: 4 } as const;
const table = { bits: 4, blockSize: 32, innerSize: 64 } as const;

describeShapeRules(quantizedShapes, {
  MatMulNBits: {
    gives: [
      ["float32 [T, 64]; uint8 [7, 2, 32]; float32 [7, 2]", q8, "float32 [T, 7]"],
      ["float32 [T, 64]; uint8 [7, 2, 16]; float32 [7, 2]", q4, "float32 [T, 7]"],
      ["float32 [T, 64]; uint8 [7, 2, 16]; float32 [7, 2]; float32 [7, 2]", q4, "float32 [T, 7]"],
      ["float32 [T, 40]; uint8 [7, 2, 32]; float32 [7, 2]", { ...q8, innerSize: 40 }, "float32 [T, 7]"],
    ],
    refuses: [
      ["float32 [T, 64]; uint8 [7, 2, 32]", q8, /an input is missing/],
      ["float64 [T, 64]; uint8 [7, 2, 32]; float32 [7, 2]", q8, /dtype, got "float64"/],
      ["float32 [T, 64]; int8 [7, 2, 32]; float32 [7, 2]", q8, /dtype, got "int8"/],
      ["float32 [1, T, 64]; uint8 [7, 2, 32]; float32 [7, 2]", q8, /rank/],
      ["float32 [T, 64]; uint8 [7, 64]; float32 [7, 2]", q8, /rank/],
      ["float32 [T, 32]; uint8 [7, 2, 32]; float32 [7, 2]", q8, /inner extents differ, got 32, expected 64/],
      ["float32 [T, 64]; uint8 [7, 3, 32]; float32 [7, 2]", q8, /the data's blocks, got 3, expected 2/],
      ["float32 [T, 64]; uint8 [7, 2, 32]; float32 [7, 2]", q4, /bytes a block, got 32, expected 16/],
      ["float32 [T, 64]; uint8 [7, 2, 32]; float32 [6, 2]", q8, /the scales' rows, got 6, expected 7/],
      ["float32 [T, 64]; uint8 [7, 2, 32]; float32 [7, 1]", q8, /the scales' blocks, got 1, expected 2/],
      ["float32 [T, 64]; uint8 [7, 2, 32]; float32 [7, 2]; float32 [7, 1]", q8, /blocks, got 1, expected 2/],
    ],
  },
  GatherBlockQuantized: {
    gives: [["uint8 [9, 32]; int64 [T]; float32 [9, 2]", table, "float32 [T, 64]"]],
    refuses: [
      ["uint8 [9, 32]; int64 [T]", table, /an input is missing/],
      ["float32 [9, 32]; int64 [T]; float32 [9, 2]", table, /dtype, got "float32"/],
      ["uint8 [9, 32]; float32 [T]; float32 [9, 2]", table, /dtype, got "float32"/],
      ["uint8 [9, 32]; int64 [1, T]; float32 [9, 2]", table, /rank/],
      ["uint8 [9, 64]; int64 [T]; float32 [9, 2]", table, /the data's width, got 64, expected 32/],
      ["uint8 [9, 32]; int64 [T]; float32 [9, 1]", table, /the scales' blocks/],
    ],
  },
});
