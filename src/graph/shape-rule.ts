/**
 * The type of shape rules and the checks they share.
 */

import { ShapeError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import { formatShape } from "../tensor/shape.ts";
import type { Dim, Shape } from "./dim.ts";

/** Is what a rule knows of a value, and what it says of one. */
export interface ValueType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/**
 * Derives the types of an operator's outputs from its inputs' types and attributes.
 * @throws {@link ShapeError} when they do not go together.
 */
export type ShapeRule<Attributes> = (
  inputs: readonly ValueType[],
  attributes: Attributes,
) => readonly ValueType[];

/** Returns input `index`. @throws {@link ShapeError} when there are fewer. */
export function inputAt(op: string, inputs: readonly ValueType[], index: number): ValueType {
  const input = inputs[index];
  if (input === undefined) {
    throw new ShapeError({
      where: op,
      what: "an input is missing",
      got: inputs.length,
      expected: `more than ${index}`,
    });
  }
  return input;
}

/** Resolves a possibly negative axis. @throws {@link ShapeError} when it is out of range. */
export function resolveAxis(op: string, shape: Shape, axis: number): number {
  const resolved = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(axis) || resolved < 0 || resolved >= shape.length) {
    throw new ShapeError({
      where: op,
      what: "an axis is out of range",
      got: axis,
      expected: `an axis of ${formatShape(shape)}`,
    });
  }
  return resolved;
}

/** Refuses inputs of different dtypes. @throws {@link ShapeError} */
export function assertSameDType(op: string, inputs: readonly ValueType[]): void {
  const first = inputs[0]?.dtype;
  if (inputs.some((input) => input.dtype !== first)) {
    throw new ShapeError({
      where: op,
      what: "inputs differ in dtype",
      got: inputs.map((input) => input.dtype),
      expected: `all ${first}`,
    });
  }
}

/** Refuses an input whose dtype is not one of those given. @throws {@link ShapeError} */
export function assertDType(op: string, input: ValueType, ...dtypes: readonly DType[]): void {
  if (!dtypes.includes(input.dtype)) {
    throw new ShapeError({
      where: op,
      what: "an input's dtype",
      got: input.dtype,
      expected: dtypes.join(" or "),
    });
  }
}

/** Refuses two extents that are not equal. @throws {@link ShapeError} */
export function assertSameDim(op: string, what: string, got: Dim, expected: Dim): void {
  if (got !== expected) throw new ShapeError({ where: op, what, got, expected: String(expected) });
}

/** Refuses a shape of another rank. @throws {@link ShapeError} */
export function assertRank(op: string, shape: Shape, rank: number): void {
  if (shape.length !== rank) {
    throw new ShapeError({
      where: op,
      what: "an input's rank",
      got: formatShape(shape),
      expected: `rank ${rank}`,
    });
  }
}
