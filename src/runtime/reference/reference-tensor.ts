/**
 * The interpreter's tensors: every float is held as float64, every other dtype as itself.
 *
 * Plain functions over typed arrays; reading beyond an array is an error here, never a silent zero.
 */

import { InternalError } from "../../errors.ts";
import type { DType } from "../../tensor/dtype.ts";
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from "../../tensor/half-float.ts";
import { type HostTensor, hasDType, hostTensor } from "../../tensor/host-tensor.ts";
import { elementCount, rowMajorStrides, type StaticShape } from "../../tensor/shape.ts";

/** Holds elements that are JS numbers: floats, int32, int8, uint8 and bools. */
export type NumberData = Float64Array | Int32Array | Int8Array | Uint8Array;

/** Holds elements of any dtype. */
export type ReferenceData = NumberData | BigInt64Array;

/** Is a tensor under evaluation. */
export interface ReferenceTensor {
  readonly dtype: DType;
  readonly shape: StaticShape;
  /** Row-major elements. */
  readonly data: ReferenceData;
}

/** Says how exactly the values of dtype float32 are kept: as such, or as float64. */
export type Precision = "float32" | "float64";

/** Allocates an array of zeros for a dtype. */
function allocate(dtype: DType, length: number): ReferenceData {
  switch (dtype) {
    case "int64":
      return new BigInt64Array(length);
    case "int32":
      return new Int32Array(length);
    case "int8":
      return new Int8Array(length);
    case "uint8":
    case "bool":
      return new Uint8Array(length);
    default:
      return new Float64Array(length);
  }
}

/** Tells whether a dtype is one of the floats. */
export function isFloat(dtype: DType): boolean {
  return dtype.includes("float");
}

/** Returns one element. @throws {@link InternalError} beyond the end. */
export function element<E>(data: { readonly [index: number]: E }, index: number): E {
  const value = data[index];
  if (value === undefined) throw new InternalError({ where: "reference", what: "no element", got: index });
  return value;
}

/** Returns the elements of a tensor whose dtype is not int64. */
export function numbersOf({ data, dtype }: ReferenceTensor): NumberData {
  if (data instanceof BigInt64Array) {
    throw new InternalError({ where: "reference", what: "an operator lacks this dtype", got: dtype });
  }
  return data;
}

/** Returns the elements of an int64 tensor. */
export function int64Of({ data, dtype }: ReferenceTensor): BigInt64Array {
  if (data instanceof BigInt64Array) return data;
  throw new InternalError({ where: "reference", what: "an operator needs int64", got: dtype });
}

/** Returns the elements of an integer tensor as numbers. */
export function integersOf({ data }: ReferenceTensor): number[] {
  return data instanceof BigInt64Array ? Array.from(data, Number) : Array.from(data);
}

/** Makes a tensor by computing each element, as a JS number. */
export function tabulate(
  dtype: DType,
  shape: StaticShape,
  compute: (index: number) => number,
): ReferenceTensor {
  const data = numbersOf({ dtype, shape, data: allocate(dtype, elementCount(shape)) });
  for (let index = 0; index < data.length; index++) data[index] = compute(index);
  return { dtype, shape, data };
}

/** Makes an int64 tensor by computing each element. */
export function tabulateInt64(shape: StaticShape, compute: (index: number) => bigint): ReferenceTensor {
  const data = new BigInt64Array(elementCount(shape));
  for (let index = 0; index < data.length; index++) data[index] = compute(index);
  return { dtype: "int64", shape, data };
}

/** Makes a tensor of the elements of another, each named by its index there. */
export function select(
  { dtype, data }: Omit<ReferenceTensor, "shape">,
  shape: StaticShape,
  source: (index: number) => number,
): ReferenceTensor {
  return data instanceof BigInt64Array
    ? tabulateInt64(shape, (index) => element(data, source(index)))
    : tabulate(dtype, shape, (index) => element(data, source(index)));
}

/** Returns the coordinates of a row-major index. */
export function coordinates(shape: StaticShape, index: number): number[] {
  const found = new Array<number>(shape.length);
  let rest = index;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const extent = element(shape, axis);
    found[axis] = rest % extent;
    rest = Math.floor(rest / extent);
  }
  return found;
}

/** Returns the function from an index into a shape to the index into one that broadcasts to it. */
export function broadcastIndex(from: StaticShape, to: StaticShape): (index: number) => number {
  if (elementCount(from) === elementCount(to)) return (index) => index;
  const missing = to.length - from.length;
  const strides = rowMajorStrides(from).map((stride, axis) => (from[axis] === 1 ? 0 : stride));
  return (index) =>
    coordinates(to, index).reduce(
      (total, at, axis) => (axis < missing ? total : total + at * element(strides, axis - missing)),
      0,
    );
}

/** Rounds the elements of a float tensor, in place, to what its dtype holds. */
export function roundToDType({ dtype, data }: ReferenceTensor, precision: Precision): void {
  if (!(data instanceof Float64Array)) return;
  if (dtype === "float32" && precision === "float32") data.set(Float32Array.from(data));
  if (dtype === "float16") data.set(decodeFloat16(encodeFloat16(data)));
  if (dtype === "bfloat16") data.set(decodeBfloat16(encodeBfloat16(data)));
}

/** Copies a host tensor. */
export function fromHostTensor(tensor: HostTensor): ReferenceTensor {
  const { dtype, shape } = tensor;
  if (hasDType(tensor, "int64")) return { dtype, shape, data: tensor.data.slice() };
  if (hasDType(tensor, "float16"))
    return { dtype, shape, data: Float64Array.from(decodeFloat16(tensor.data)) };
  if (hasDType(tensor, "bfloat16")) {
    return { dtype, shape, data: Float64Array.from(decodeBfloat16(tensor.data)) };
  }
  const { data } = tensor;
  return tabulate(dtype, shape, (index) => Number(element<number | bigint>(data, index)));
}

/** Copies a tensor to the host, in its own dtype or, for floats, in another one. */
export function toHostTensor({ shape, data, dtype: own }: ReferenceTensor, dtype: DType = own): HostTensor {
  if (data instanceof BigInt64Array) return hostTensor("int64", shape, data.slice());
  switch (dtype) {
    case "float32":
      return hostTensor(dtype, shape, Float32Array.from(data));
    case "float64":
      return hostTensor(dtype, shape, Float64Array.from(data));
    case "float16":
      return hostTensor(dtype, shape, encodeFloat16(data));
    case "bfloat16":
      return hostTensor(dtype, shape, encodeBfloat16(data));
    case "int32":
      return hostTensor(dtype, shape, Int32Array.from(data));
    case "int8":
      return hostTensor(dtype, shape, Int8Array.from(data));
    case "uint8":
    case "bool":
      return hostTensor(dtype, shape, Uint8Array.from(data));
    default:
      throw new InternalError({ where: "reference", what: "numbers of dtype int64" });
  }
}
