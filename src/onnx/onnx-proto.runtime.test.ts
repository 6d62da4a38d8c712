import { create, toBinary } from "@bufbuild/protobuf";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { attributeTypes, tensorDataTypes } from "./codes.ts";
import { ModelProtoSchema, type NodeProto } from "./generated/onnx_pb.ts";

type NodeInit = Pick<NodeProto, "opType" | "input"> & {
  attribute?: { name: string; type: number; i: bigint }[];
};

/** Builds a model of one node with output `y`; every input and the output are float32 of the given rank. */
function oneNodeModel(node: NodeInit, rank: number): Uint8Array {
  const dim = Array.from({ length: rank }, () => ({}));
  const value = (name: string) => ({
    name,
    type: {
      value: { case: "tensorType" as const, value: { elemType: tensorDataTypes.float32, shape: { dim } } },
    },
  });
  const model = create(ModelProtoSchema, {
    irVersion: 10n,
    opsetImport: [{ domain: "", version: 21n }],
    graph: {
      name: "one-node",
      node: [{ ...node, output: ["y"] }],
      input: node.input.map(value),
      output: [value("y")],
    },
  });
  return toBinary(ModelProtoSchema, model);
}

describe("ONNX Runtime", () => {
  it("loads and runs a hand-made Add model", async () => {
    const session = await InferenceSession.create(oneNodeModel({ opType: "Add", input: ["a", "b"] }, 2));
    const a = new Tensor("float32", Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
    const b = new Tensor("float32", Float32Array.of(10, 20, 30), [1, 3]);
    const { y } = await session.run({ a, b });
    expect(y?.dims).toEqual([2, 3]);
    expect(y?.data).toEqual(Float32Array.of(11, 22, 33, 14, 25, 36));
    await session.release();
  });

  it("sees an attribute of zero whose default is not zero", async () => {
    const axis = { name: "axis", type: attributeTypes.i, i: 0n };
    const session = await InferenceSession.create(
      oneNodeModel({ opType: "Flatten", input: ["x"], attribute: [axis] }, 2),
    );
    const x = new Tensor("float32", new Float32Array(6), [2, 3]);
    const { y } = await session.run({ x });
    expect(y?.dims).toEqual([1, 6]); // the default axis, 1, would give [2, 3]
    await session.release();
  });

  it("refuses bytes that are no model", async () => {
    await expect(InferenceSession.create(Uint8Array.of(1, 2, 3))).rejects.toThrow(/protobuf|parse/i);
  });
});
