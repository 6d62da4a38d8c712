/**
 * Kernels of control flow: only the branch that is taken is evaluated.
 */

import type { ControlAttributes } from "../../graph/graph.ts";
import { inputAt, type Kernels } from "./kernel.ts";
import { element, numbersOf } from "./reference-tensor.ts";

/** Gives the kernel of each control operator. */
export const controlKernels: Kernels<ControlAttributes> = {
  If: (inputs, { thenBranch, elseBranch }, { evaluateBranch }) =>
    evaluateBranch(element(numbersOf(inputAt(inputs, 0)), 0) !== 0 ? thenBranch : elseBranch),
};
