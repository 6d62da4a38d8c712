import { describeRuntime } from "../../test/support/runtime-conformance/describe-runtime.ts";
import { createNodeRuntime } from "./node.ts";

describeRuntime("ONNX Runtime in Node on the CPU", async () => createNodeRuntime({ threads: 1 }));
