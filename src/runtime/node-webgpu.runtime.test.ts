import { describe, it } from "vitest";
import { describeRuntime } from "../../test/support/runtime-conformance/describe-runtime.ts";
import { nodeWebgpuLimits } from "../../test/support/runtime-conformance/webgpu-limits.ts";
import { enableSwiftShader } from "../../test/support/swiftshader.ts";
import { createNodeRuntime } from "./node.ts";

const missing = enableSwiftShader();
const name = "ONNX Runtime in Node on WebGPU";

if (missing === undefined) {
  describeRuntime(name, async () => createNodeRuntime({ device: "webgpu" }), nodeWebgpuLimits);
} else {
  describe(name, () => {
    it.skip(`conforms (skipped: ${missing})`, () => undefined);
  });
}
