import { describeFileConstants } from "../../test/support/runtime-conformance/describe-file-constants.ts";
import { describeRuntime } from "../../test/support/runtime-conformance/describe-runtime.ts";
import { createNodeRuntime } from "./node.ts";

const create = async () => createNodeRuntime({ threads: 1 });

describeRuntime("ONNX Runtime in Node on the CPU", create);
describeFileConstants("ONNX Runtime in Node on the CPU", create);
