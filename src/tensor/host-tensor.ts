/**
 * Host tensors: a dtype, a static shape and a typed array in row-major order. Plain data.
 */

import { ShapeError } from "../errors.ts";
import { type DType, type DTypeArray, dtypeArrays } from "./dtype.ts";
import { elementCount, formatShape, type StaticShape } from "./shape.ts";

/** Is a tensor in host memory. */
export interface HostTensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: StaticShape;
  /** Row-major elements; its length is the product of `shape`. */
  readonly data: DTypeArray[D];
}

/**
 * Wraps a typed array as a tensor, without copying.
 * @throws {@link ShapeError} when the length is not the product of the shape.
 */
export function hostTensor<D extends DType>(
  dtype: D,
  shape: StaticShape,
  data: DTypeArray[D],
): HostTensor<D> {
  if (data.length !== elementCount(shape)) {
    throw new ShapeError({
      where: "hostTensor",
      what: `the data does not fill shape ${formatShape(shape)}`,
      got: data.length,
      expected: `${elementCount(shape)} elements`,
    });
  }
  return { dtype, shape, data };
}

/** Creates a tensor of zeros. */
export function zeros<D extends DType>(dtype: D, shape: StaticShape): HostTensor<D> {
  return { dtype, shape, data: new dtypeArrays[dtype](elementCount(shape)) as DTypeArray[D] };
}

/** Tells whether a tensor has the given element type, and narrows it. */
export function hasDType<D extends DType>(tensor: HostTensor, dtype: D): tensor is HostTensor<D> {
  return tensor.dtype === dtype;
}
