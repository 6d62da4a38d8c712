import { describe, it } from "vitest";
import { describeMethod } from "../../test/support/describe-method.ts";
import { keepWebgpu } from "../../test/support/keep-webgpu.ts";
import { enableSwiftShader } from "../../test/support/swiftshader.ts";
import { createNodeRuntime } from "../runtime/node.ts";
import { loadModel } from "./node.ts";

const missing = enableSwiftShader();

if (missing === undefined) {
  keepWebgpu(async () => createNodeRuntime({ device: "webgpu" }));
  // The project's bar for every device; a GPU's exponentials are less exact.
  describeMethod(
    "WebGPU in Node",
    (folder, options) => loadModel(folder, { ...options, device: "webgpu" }),
    1e-3,
  );
} else {
  describe("WebGPU in Node", () => {
    it.skip(`keeps to the method (skipped: ${missing})`, () => undefined);
  });
}
