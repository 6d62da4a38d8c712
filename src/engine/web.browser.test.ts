import { expect, it } from "vitest";
import { describeHalf } from "../../test/support/describe-half.ts";
import { describeMethod, type LoadOnDevice } from "../../test/support/describe-method.ts";
import { keepWebgpu } from "../../test/support/keep-webgpu.ts";
import { UnsupportedError } from "../errors.ts";
import { createWebRuntime } from "../runtime/web.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import { estimateMemory, loadModel } from "./web.ts";

const page = crossOriginIsolated ? "an isolated page" : "a page that is not isolated";

/** Float32 sums in another order than the definition's: 1.2e-5 on a CPU. */
const tolerance = 1e-4;

describeMethod(`WebAssembly in ${page}`, (folder, options) => loadModel(folder, options), tolerance);

it(`refuses float16 on WebAssembly in ${page}`, async () => {
  const loading = loadModel(createTinyModelFolder(), { dtype: "f16" });
  await expect(loading).rejects.toBeInstanceOf(UnsupportedError);
  await expect(loading).rejects.toThrow(
    /^dtype: onnxruntime-web wasm does not multiply in float16.*Choose dtype "q8" or "f32"\.$/,
  );
});

it(`finds the package's own model by the name default in ${page}`, async () => {
  const { weightBytes } = await estimateMemory("default");
  expect(weightBytes).toBeGreaterThan(2.5e6);
});

if (crossOriginIsolated) {
  keepWebgpu(() => createWebRuntime({ device: "webgpu" }));
  const load: LoadOnDevice = (folder, options) => loadModel(folder, { ...options, device: "webgpu" });
  // The project's bar for every device; a GPU's exponentials are less exact.
  describeMethod(`WebGPU in ${page}`, load, 1e-3);
  describeHalf(`WebGPU in ${page}`, load, async () => {
    const adapter = await navigator.gpu.requestAdapter();
    return adapter?.features.has("shader-f16") ?? false;
  });
}
