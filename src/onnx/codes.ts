/**
 * The numbers that the ONNX format uses for element types, attribute types and data locations.
 *
 * The schema writes them as plain int32 (see onnx.proto), so they are tables here and not enums.
 * Values are those of the public specification, onnx.proto3.
 */

import type { DType } from "../tensor/dtype.ts";

/** Gives the TensorProto.DataType of each element type: `dataType` of a tensor, `elemType` of a value. */
export const tensorDataTypes: { readonly [D in DType]: number } = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
};

/** Names the kinds of attribute that this library writes, by the AttributeProto field that holds them. */
export type AttributeKind =
  | "f"
  | "i"
  | "s"
  | "t"
  | "g"
  | "floats"
  | "ints"
  | "strings"
  | "tensors"
  | "graphs";

/** Gives the AttributeProto.AttributeType that goes with each content field. */
export const attributeTypes: { readonly [K in AttributeKind]: number } = {
  f: 1,
  i: 2,
  s: 3,
  t: 4,
  g: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
};

/** Gives the TensorProto.DataLocation values: inside the message, or in a file named by `externalData`. */
export const dataLocations: { readonly inline: 0; readonly external: 1 } = { inline: 0, external: 1 };
