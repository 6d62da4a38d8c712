import { describeMethod } from "../../test/support/describe-method.ts";
import { keepWebgpu } from "../../test/support/keep-webgpu.ts";
import { createWebRuntime } from "../runtime/web.ts";
import { loadModel } from "./web.ts";

const page = crossOriginIsolated ? "an isolated page" : "a page that is not isolated";

/** Float32 sums in another order than the definition's: 1.2e-5 on a CPU. */
const tolerance = 1e-4;

describeMethod(`WebAssembly in ${page}`, (folder, options) => loadModel(folder, options), tolerance);

if (crossOriginIsolated) {
  keepWebgpu(() => createWebRuntime({ device: "webgpu" }));
  const load: Parameters<typeof describeMethod>[1] = (folder, options) =>
    loadModel(folder, { ...options, device: "webgpu" });
  // The project's bar for every device; a GPU's exponentials are less exact.
  describeMethod(`WebGPU in ${page}`, load, 1e-3);
}
