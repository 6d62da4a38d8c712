/**
 * Graphs of tensors, as the package exports them: build, verify, print, lower to ONNX.
 *
 * @example
 * import { GraphBuilder, graphToOnnx } from "edgeinfinite/graph";
 * const b = new GraphBuilder("double");
 * const x = b.input("x", "float32", ["T", 4]);
 * const bytes = graphToOnnx(b.finish([b.named("y", b.add(x, x))]), ({ source }) => source.name);
 */

export { GraphBuilder } from "./builder.ts";
export { addDims, type Dim, evaluateDim, multiplyDims, type Shape } from "./dim.ts";
export type {
  ExternalData,
  Graph,
  Initializer,
  InitializerData,
  Node,
  OpAttributes,
  OpName,
  Value,
} from "./graph.ts";
export { toPortableGraph } from "./portable.ts";
export { printGraph } from "./print.ts";
export { type Specialization, specializeGraph } from "./specialize.ts";
export { graphToOnnx, type NameLocation, type OnnxOptions, onnxOpset, portableOpset } from "./to-onnx.ts";
export { verifyGraph } from "./verify.ts";
