import { describe, expect, it } from "vitest";
import { describeFileConstants } from "../../test/support/runtime-conformance/describe-file-constants.ts";
import { describeRuntime } from "../../test/support/runtime-conformance/describe-runtime.ts";
import { RuntimeMissingError } from "../errors.ts";
import { createWebRuntime } from "./web.ts";

const create = () => createWebRuntime({ threads: 1 });

describeRuntime("ONNX Runtime as WebAssembly", create);
describeFileConstants("ONNX Runtime as WebAssembly", create);

describe("createWebRuntime", () => {
  it("refuses WebGPU where there is none", async () => {
    await expect(createWebRuntime({ device: "webgpu" })).rejects.toBeInstanceOf(RuntimeMissingError);
  });
});
