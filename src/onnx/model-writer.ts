/**
 * Writes ONNX models: messages of the public schema from plain data, and a whole model to bytes.
 *
 * A tensor's bytes may stay in another file (external data), such as a safetensors checkpoint.
 * It refuses to know what an operator means: that is graph/.
 */

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { InternalError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { attributeTypes, dataLocations, tensorDataTypes } from "./codes.ts";
import {
  type AttributeProtoSchema,
  type GraphProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from "./generated/onnx_pb.ts";

/** Is an attribute of a node. */
export type OnnxAttribute = MessageInitShape<typeof AttributeProtoSchema>;
/** Is one operator applied. */
export type OnnxNode = MessageInitShape<typeof NodeProtoSchema>;
/** Is a graph or a branch. */
export type OnnxGraph = MessageInitShape<typeof GraphProtoSchema>;
/** Is a constant. */
export type OnnxTensor = MessageInitShape<typeof TensorProtoSchema>;
/** Is the type of an input or output. */
export type OnnxValueInfo = MessageInitShape<typeof ValueInfoProtoSchema>;

/** Says where the bytes of a tensor lie. */
export interface ExternalLocation {
  /** A path relative to the folder that the runtime is given, or the key of a file passed as bytes. */
  readonly location: string;
  readonly offset: number;
  readonly lengthBytes: number;
}

/** Makes an integer attribute. */
export function intAttribute(name: string, value: number): OnnxAttribute {
  return { name, type: attributeTypes.i, i: BigInt(value) };
}

/** Makes a float attribute. */
export function floatAttribute(name: string, value: number): OnnxAttribute {
  return { name, type: attributeTypes.f, f: value };
}

/** Makes an attribute that is a word. */
export function stringAttribute(name: string, value: string): OnnxAttribute {
  return { name, type: attributeTypes.s, s: new TextEncoder().encode(value) };
}

/** Makes an attribute that is a list of integers. */
export function intsAttribute(name: string, values: readonly number[]): OnnxAttribute {
  return { name, type: attributeTypes.ints, ints: values.map(BigInt) };
}

/** Makes an attribute that is a graph. */
export function graphAttribute(name: string, graph: OnnxGraph): OnnxAttribute {
  return { name, type: attributeTypes.g, g: graph };
}

/** Describes a value; a string extent is a symbol of the model. */
export function valueInfo(name: string, dtype: DType, shape: readonly (number | string)[]): OnnxValueInfo {
  const dim = shape.map((extent) =>
    typeof extent === "number"
      ? { value: { case: "dimValue" as const, value: BigInt(extent) } }
      : { value: { case: "dimParam" as const, value: extent } },
  );
  return {
    name,
    type: { value: { case: "tensorType", value: { elemType: tensorDataTypes[dtype], shape: { dim } } } },
  };
}

/** Makes a constant that lies in the model. Raw data is little-endian: so are all machines this runs on. */
export function inlineTensor(name: string, tensor: HostTensor): OnnxTensor {
  const { buffer, byteOffset, byteLength } = tensor.data;
  return {
    name,
    dataType: tensorDataTypes[tensor.dtype],
    dims: tensor.shape.map(BigInt),
    rawData: new Uint8Array(buffer, byteOffset, byteLength).slice(),
  };
}

/** Makes a constant that lies in another file. */
export function externalTensor(
  name: string,
  dtype: DType,
  shape: readonly number[],
  { location, offset, lengthBytes }: ExternalLocation,
): OnnxTensor {
  return {
    name,
    dataType: tensorDataTypes[dtype],
    dims: shape.map(BigInt),
    dataLocation: dataLocations.external,
    externalData: [
      { key: "location", value: location },
      { key: "offset", value: String(offset) },
      { key: "length", value: String(lengthBytes) },
    ],
  };
}

/**
 * Writes a model.
 * @param opsets version of each operator domain; "" is the standard one.
 * @param irVersion version of the format itself: 10 came with onnx 1.16, 8 with onnx 1.10.
 * @throws InternalError when the message passes protobuf's 2 GB: large constants belong into files.
 */
export function writeModel(
  graph: OnnxGraph,
  opsets: Readonly<Record<string, number>>,
  irVersion: 8 | 10 = 10,
): Uint8Array {
  const opsetImport = Object.entries(opsets).map(([domain, version]) => ({
    domain,
    version: BigInt(version),
  }));
  const bytes = toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: BigInt(irVersion),
      producerName: "edgeinfinite",
      opsetImport,
      graph,
    }),
  );
  if (bytes.length >= 2 ** 31) {
    throw new InternalError({
      where: "writeModel",
      what: "the model's message is too large",
      got: bytes.length,
      expected: "under 2 GB",
    });
  }
  return bytes;
}
