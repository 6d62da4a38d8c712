/**
 * What a gradient rule is: how an operator hands the gradient of its outputs on to its inputs.
 *
 * Rules write nodes of the backward graph. What of them nobody needs is not written, or pruned afterwards.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { OpAttributes, OpName, Value } from "../graph/graph.ts";
import type { Stretch } from "./joined-parts.ts";

/** Is a gradient that is zero but for the elements that were taken: updates at int64 indices along an axis. */
export interface SparseGradient {
  readonly axis: number;
  /** Integers of the updates' shape. */
  readonly indices: Value;
  /** The value's shape but for the extent of the axis; those of equal indices add up. */
  readonly updates: Value;
}

/** Is one summand of a gradient. A dense one may have the shape that its value was broadcast to. */
export type Summand = Value | SparseGradient;

/** Is a summand for a value that lies behind the input: one of the parts that it was joined from. */
export interface HandedBehind {
  readonly to: Value;
  readonly gradient: Value;
}

/** Is the gradient of a value: the sum of its parts. */
export interface Gradient {
  readonly dense: Value | undefined;
  readonly sparse: readonly SparseGradient[];
}

/** Says why something has no gradient, for the message of who asks for it. */
export interface NoGradient {
  /** A clause without a full stop. */
  readonly reason: string;
}

/** Is what an operator hands on to one input: nothing (it is not a float), a reason, or summands when called. */
export type InputGradient =
  | undefined
  | NoGradient
  | (() => Summand | HandedBehind | readonly (Summand | HandedBehind)[]);

/** Is a node in the walk back, with the gradient of its outputs. */
export interface GradientContext<Op extends OpName = OpName> {
  readonly b: GraphBuilder;
  readonly attributes: OpAttributes[Op];
  readonly inputs: readonly Value[];
  /** Gives an input, as the forward graph has it. */
  readonly input: (index: number) => Value;
  /** Gives an output, the first by default, as the forward graph has it. */
  readonly output: (index?: number) => Value;
  /** Gives the gradient of an output, the first by default, as one tensor; zeros when nothing depends on it. */
  readonly gradient: (index?: number) => Value;
  /** Gives the gradient of the first output as it is. */
  readonly summands: () => Gradient;
  /**
   * Gives the parts that an input was joined from along an axis and that have a gradient; undefined unless there are
   * others, which have none.
   */
  readonly stretches: (index: number, axis: number) => readonly Stretch[] | undefined;
  /** Gives a constant `[]` of the dtype of the first output. */
  readonly scalar: (value: number) => Value;
}

/** Gives what each input gets, in their order; or says that none gets anything. */
export type GradientRule<Op extends OpName> =
  | NoGradient
  | ((context: GradientContext<Op>) => readonly InputGradient[]);

/** Maps every operator of a family to its rule. */
export type GradientRules<Family> = { readonly [Op in keyof Family & OpName]: GradientRule<Op> };
