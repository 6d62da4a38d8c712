import { describe, it } from "vitest";
import { describeHalf } from "../../test/support/describe-half.ts";
import { describeMethod, type LoadOnDevice } from "../../test/support/describe-method.ts";
import { keepWebgpu } from "../../test/support/keep-webgpu.ts";
import { enableSwiftShader } from "../../test/support/swiftshader.ts";
import { computesFloat16 } from "../runtime/compute-float16.ts";
import { createNodeRuntime } from "../runtime/node.ts";
import { loadModel } from "./node.ts";

const missing = enableSwiftShader();

if (missing === undefined) {
  keepWebgpu(async () => createNodeRuntime({ device: "webgpu" }));
  const load: LoadOnDevice = (folder, options) => loadModel(folder, { ...options, device: "webgpu" });
  // The project's bar for every device; a GPU's exponentials are less exact.
  describeMethod("WebGPU in Node", load, 1e-3);
  describeHalf("WebGPU in Node", load, () => computesFloat16(createNodeRuntime({ device: "webgpu" })));
} else {
  describe("WebGPU in Node", () => {
    it.skip(`keeps to the method (skipped: ${missing})`, () => undefined);
  });
}
