/**
 * What a kernel of the interpreter is: the meaning of one operator, in plain arithmetic.
 */

import { InternalError } from "../../errors.ts";
import type { Shape } from "../../graph/dim.ts";
import type { Graph } from "../../graph/graph.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { StaticShape } from "../../tensor/shape.ts";
import type { ReferenceTensor } from "./reference-tensor.ts";

/** Is what a kernel may ask of the evaluation that it is part of. */
export interface KernelContext {
  /** Replaces the symbols of a shape by what they stand for in this run. */
  readonly evaluateShape: (shape: Shape) => StaticShape;
  /** Evaluates a branch, which sees the values of the graph around it. */
  readonly evaluateBranch: (graph: Graph) => readonly ReferenceTensor[];
  /** Rounds what a sum of products of that dtype is after each term. */
  readonly roundPartialSum: (dtype: DType) => (sum: number) => number;
}

/** Computes an operator's outputs. Floats are not rounded here: the interpreter does it. */
export type Kernel<Attributes> = (
  inputs: readonly ReferenceTensor[],
  attributes: Attributes,
  context: KernelContext,
) => readonly ReferenceTensor[];

/** Maps every operator of a family to its kernel. */
export type Kernels<Family> = { readonly [Op in keyof Family]: Kernel<Family[Op]> };

/** Returns input `index`. @throws {@link InternalError} when there are fewer. */
export function inputAt(inputs: readonly ReferenceTensor[], index: number): ReferenceTensor {
  const input = inputs[index];
  if (input === undefined)
    throw new InternalError({ where: "reference", what: "an input is missing", got: index });
  return input;
}

/** Resolves a possibly negative axis that the shape rule has accepted. */
export function axisOf(shape: StaticShape, axis: number): number {
  return axis < 0 ? axis + shape.length : axis;
}
