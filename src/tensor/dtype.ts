/**
 * Element types of tensors: their widths and the typed arrays that hold them on the host.
 *
 * float16 and bfloat16 are held as their bit patterns in a Uint16Array: Node 20 has no Float16Array.
 */

/** Names an element type. */
export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int64"
  | "int32"
  | "int8"
  | "uint8"
  | "bool";

/** Maps each element type to the typed array that holds it. */
export interface DTypeArray {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int64: BigInt64Array;
  int32: Int32Array;
  int8: Int8Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}

/** Holds the elements of a host tensor. */
export type TensorData = DTypeArray[DType];

type ArrayConstructor<D extends DType> = {
  new (length: number): DTypeArray[D];
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): DTypeArray[D];
  readonly BYTES_PER_ELEMENT: number;
};

/** Gives the typed-array constructor of each element type. */
export const dtypeArrays: { readonly [D in DType]: ArrayConstructor<D> } = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

/** Returns the width of one element, in bytes. */
export function dtypeSizeBytes(dtype: DType): number {
  return dtypeArrays[dtype].BYTES_PER_ELEMENT;
}
