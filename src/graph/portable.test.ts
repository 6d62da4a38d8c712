import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ModelProtoSchema } from "../onnx/generated/onnx_pb.ts";
import { GraphBuilder } from "./builder.ts";
import type { Graph, Value } from "./graph.ts";
import { toPortableGraph } from "./portable.ts";
import { graphToOnnx, portableOpset } from "./to-onnx.ts";
import { verifyGraph } from "./verify.ts";

const graphOf = (write: (b: GraphBuilder) => Value): Graph => {
  const b = new GraphBuilder("g");
  return b.finish([b.named("y", write(b))]);
};

const x = (b: GraphBuilder): Value => b.input("x", "float32", [1, 2, 3, 8]);
const table = (b: GraphBuilder, name: string, pairs: number): Value =>
  b.input(name, "float32", [1, 3, pairs]);

const newer: readonly [string, (b: GraphBuilder) => Value, readonly string[]][] = [
  [
    "a norm",
    (b) => b.rmsNorm(x(b), b.input("w", "float32", [8]), 1e-5),
    ["Mul", "ReduceMean", "Add", "Sqrt", "Div", "Mul"],
  ],
  [
    "a rotation",
    (b) => b.rotaryEmbedding(x(b), table(b, "cos", 4), table(b, "sin", 4)),
    ["Reshape", "Reshape", "Split", "Mul", "Mul", "Sub", "Mul", "Mul", "Add", "Concat"],
  ],
  ["a GELU by the error function", (b) => b.gelu(x(b), "none"), ["Mul", "Mul", "Erf", "Add", "Mul"]],
];

describe("toPortableGraph", () => {
  it.each(newer)("takes %s apart", (_, write, ops) => {
    const graph = toPortableGraph(graphOf(write));
    expect(() => verifyGraph(graph)).not.toThrow();
    expect(graph.nodes.map(({ op }) => op)).toEqual([...ops, "Identity"]);
    expect(graph.outputs.map(({ name }) => name)).toEqual(["y"]);
  });

  it("splits off the end of a head that is not rotated", () => {
    const graph = toPortableGraph(
      graphOf((b) => b.rotaryEmbedding(x(b), table(b, "cos", 3), table(b, "sin", 3))),
    );
    const split = graph.nodes.find(({ op }) => op === "Split");
    expect(split?.attributes).toEqual({ axis: 3, sizes: [3, 3, 2] });
  });

  it("keeps what is old enough, names included", () => {
    const graph = graphOf((b) => b.softmax(b.elu(x(b)), 3));
    expect(toPortableGraph(graph)).toEqual(graph);
  });
});

describe("graphToOnnx for an old opset", () => {
  const write = (graph: Graph) =>
    fromBinary(
      ModelProtoSchema,
      graphToOnnx(graph, () => "", { opset: portableOpset, withTypes: true }),
    );

  it("says so, in the format's version too", () => {
    const model = write(graphOf((b) => b.exp(x(b))));
    expect(model.irVersion).toBe(8n);
    expect(model.opsetImport).toMatchObject([{ domain: "", version: 17n }]);
  });

  it("writes the axes of a mean as an attribute and those of a sum as an input", () => {
    const model = write(graphOf((b) => b.reduceSum(b.reduceMean(x(b), [-1], true), [0, 3], false)));
    const [mean, sum] = model.graph?.node ?? [];
    expect(mean?.input).toEqual(["x"]);
    expect(mean?.attribute).toMatchObject([
      { name: "keepdims", i: 1n },
      { name: "axes", ints: [-1n] },
    ]);
    expect(sum?.input).toEqual(["reducemean", "int64:0,3"]);
  });

  it("refuses to reduce nothing, which would mean everything", () => {
    const graph = graphOf((b) => b.reduceMax(x(b), [], false));
    expect(() => write(graph)).toThrow(/at least one axis/);
  });

  it("writes down the types of inner values when asked", () => {
    const model = write(graphOf((b) => b.exp(b.neg(x(b)))));
    expect(model.graph?.valueInfo.map(({ name }) => name)).toEqual(["neg", "exp"]);
  });
});
