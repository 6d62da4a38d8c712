/**
 * EdgeInfinite in Node: models from disk or the hub, on ONNX Runtime.
 *
 * @example
 * import { loadModel } from "edgeinfinite/node";
 * await using model = await loadModel("HuggingFaceTB/SmolLM2-135M-Instruct");
 */

import { estimateMemoryOn, type LoadOptions, loadModelOn, type Platform } from "./engine/load-model.ts";
import type { MemoryEstimate } from "./engine/memory-estimate.ts";
import type { Model } from "./engine/model.ts";
import { UnsupportedError } from "./errors.ts";
import type { ModelFolder } from "./files/model-folder.ts";
import { openNodeModelFolder } from "./files/node-model-folder.ts";
import { createNodeRuntime } from "./runtime/node.ts";

export { downloadHubModel } from "./files/node-hub-download.ts";
export { openNodeModelFolder } from "./files/node-model-folder.ts";
export * from "./index.ts";

const nodePlatform: Platform = {
  openFolder: (pathOrId, { headersOnly: _, ...options }) => openNodeModelFolder(pathOrId, options),
  async createRuntime({ device = "cpu", threads }) {
    if (device !== "cpu" && device !== "webgpu") {
      throw new UnsupportedError({
        where: "device",
        what: "Node has no such device",
        got: device,
        expected: "cpu or webgpu",
      });
    }
    return createNodeRuntime({ device, ...(threads !== undefined && { threads }) });
  },
};

/**
 * Loads a model from a folder or the Hugging Face hub.
 * @param model a folder, a hub id such as `org/name`, or an opened folder.
 * @throws {@link FileError} {@link InvalidModelError} {@link UnsupportedError} {@link InvalidRequestError}
 * {@link OutOfMemoryError}; the signal's reason on abort.
 */
export function loadModel(model: string | ModelFolder, options: LoadOptions = {}): Promise<Model> {
  return loadModelOn(nodePlatform, model, options);
}

/**
 * Tells the memory that a model and a session will need, from the headers of its files.
 * @throws as {@link loadModel} does before weights are read.
 */
export function estimateMemory(
  model: string | ModelFolder,
  options: LoadOptions = {},
): Promise<MemoryEstimate> {
  return estimateMemoryOn(nodePlatform, model, options);
}
