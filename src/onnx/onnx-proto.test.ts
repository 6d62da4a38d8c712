import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { attributeTypes, dataLocations, tensorDataTypes } from "./codes.ts";
import {
  AttributeProtoSchema,
  ModelProtoSchema,
  TensorProtoSchema,
  TensorShapeProtoSchema,
} from "./generated/onnx_pb.ts";

/** Encodes ASCII text as a length-delimited protobuf field. */
function textField(fieldNumber: number, text: string): number[] {
  return [(fieldNumber << 3) | 2, text.length, ...new TextEncoder().encode(text)];
}

describe("the ONNX schema", () => {
  it("encodes a model as the wire format prescribes, byte for byte", () => {
    const model = create(ModelProtoSchema, {
      irVersion: 10n,
      producerName: "p",
      graph: { name: "g", node: [{ input: ["a", "b"], output: ["c"], opType: "Add" }] },
      opsetImport: [{ domain: "", version: 300n }],
    });
    const node = [...textField(1, "a"), ...textField(1, "b"), ...textField(2, "c"), ...textField(4, "Add")];
    const graph = [0x0a, node.length, ...node, ...textField(2, "g")];
    expect([...toBinary(ModelProtoSchema, model)]).toEqual([
      ...[0x08, 10], // field 1, varint
      ...textField(2, "p"),
      ...[0x3a, graph.length, ...graph], // field 7, length-delimited
      ...[0x42, 3, 0x10, 0xac, 0x02], // field 8; an empty domain is not written; 300 = 0b10_0101100
    ]);
  });

  it("packs repeated numbers and writes raw bytes as they are", () => {
    const tensor = create(TensorProtoSchema, {
      dims: [2n, 1n],
      dataType: tensorDataTypes.float16,
      name: "w",
      rawData: Uint8Array.of(0x00, 0x3c, 0xff, 0x00),
    });
    expect([...toBinary(TensorProtoSchema, tensor)]).toEqual([
      ...[0x0a, 2, 2, 1], // dims
      ...[0x10, 10], // data_type FLOAT16
      ...textField(8, "w"),
      ...[0x4a, 4, 0x00, 0x3c, 0xff, 0x00], // raw_data
    ]);
  });

  it("writes where external data lies", () => {
    const tensor = create(TensorProtoSchema, {
      dataType: tensorDataTypes.bfloat16,
      externalData: [{ key: "location", value: "m" }],
      dataLocation: dataLocations.external,
    });
    const entry = [...textField(1, "location"), ...textField(2, "m")];
    expect([...toBinary(TensorProtoSchema, tensor)]).toEqual([
      ...[0x10, 16],
      ...[0x6a, entry.length, ...entry], // field 13
      ...[0x70, 1], // field 14
    ]);
  });

  it("writes an attribute that is explicitly zero, and field numbers above 15 in two bytes", () => {
    const attribute = create(AttributeProtoSchema, { name: "axis", i: 0n, type: attributeTypes.i });
    expect([...toBinary(AttributeProtoSchema, attribute)]).toEqual([
      ...textField(1, "axis"),
      ...[0x18, 0], // field 3: a reader that asks has_i() must find it
      ...[0xa0, 0x01, 2], // field 20
    ]);
  });

  it("writes negative integers as ten-byte varints", () => {
    const attribute = create(AttributeProtoSchema, { i: -1n });
    expect([...toBinary(AttributeProtoSchema, attribute)]).toEqual([0x18, ...Array(9).fill(0xff), 0x01]);
  });

  it("tells a fixed extent of zero from a symbolic and from an unknown one", () => {
    const shape = create(TensorShapeProtoSchema, {
      dim: [{ value: { case: "dimValue", value: 0n } }, { value: { case: "dimParam", value: "T" } }, {}],
    });
    expect([...toBinary(TensorShapeProtoSchema, shape)]).toEqual([
      ...[0x0a, 2, 0x08, 0],
      ...[0x0a, 3, ...textField(2, "T")],
      ...[0x0a, 0],
    ]);
  });

  it("reads back what it wrote, nested graphs included", () => {
    const branch = { name: "then", node: [{ opType: "Constant", output: ["k"] }] };
    const model = create(ModelProtoSchema, {
      irVersion: 11n,
      graph: {
        name: "main",
        node: [
          {
            opType: "If",
            input: ["cond"],
            output: ["y"],
            attribute: [
              { name: "then_branch", type: attributeTypes.g, g: branch },
              { name: "scales", type: attributeTypes.floats, floats: [0.5, -1] },
              { name: "axes", type: attributeTypes.ints, ints: [-1n, 0n, 1n << 40n] },
              { name: "mode", type: attributeTypes.s, s: new TextEncoder().encode("é") },
            ],
          },
        ],
        input: [
          {
            name: "cond",
            type: { value: { case: "tensorType", value: { elemType: tensorDataTypes.bool, shape: {} } } },
          },
        ],
      },
      opsetImport: [{ version: 24n }, { domain: "com.microsoft", version: 1n }],
      functions: [{ name: "f", domain: "local", node: [{ opType: "Identity" }] }],
    });
    expect(fromBinary(ModelProtoSchema, toBinary(ModelProtoSchema, model))).toEqual(model);
  });
});
