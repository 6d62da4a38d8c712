/**
 * Examples of every operator. The table is typed by the operators' names: one without a row does not compile.
 */

import type { OpAttributes } from "../../../src/graph/graph.ts";
import { attentionExamples } from "./attention.ts";
import { controlExamples } from "./control.ts";
import { elementwiseExamples } from "./elementwise.ts";
import type { Examples } from "./example.ts";
import { linearExamples } from "./linear.ts";
import { movementExamples } from "./movement.ts";
import { quantizedExamples } from "./quantized.ts";
import { reductionExamples } from "./reduction.ts";

/** Lists the examples of every operator. */
export const opExamples: Examples<OpAttributes> = {
  ...elementwiseExamples,
  ...linearExamples,
  ...movementExamples,
  ...reductionExamples,
  ...attentionExamples,
  ...quantizedExamples,
  ...controlExamples,
};
