/**
 * EdgeInfinite in the browser: models from the hub or a web server, on WebAssembly or WebGPU.
 *
 * @example
 * import { loadModel } from "edgeinfinite/web";
 * await using model = await loadModel("HuggingFaceTB/SmolLM2-135M-Instruct", { device: "webgpu" });
 */

export { estimateMemory, loadModel } from "./engine/web.ts";
export { httpModelFolder } from "./files/http-folder.ts";
export { openHubFolder } from "./files/hub-folder.ts";
export { removeStoredFiles } from "./files/opfs-store.ts";
export * from "./index.ts";
