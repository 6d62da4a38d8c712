/**
 * Loading in a browser: models from the hub or a web server, on WebAssembly or WebGPU.
 */

import { UnsupportedError } from "../errors.ts";
import { httpModelFolder } from "../files/http-folder.ts";
import { parseHubAddress } from "../files/hub.ts";
import { openHubFolder } from "../files/hub-folder.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { createWebRuntime } from "../runtime/web.ts";
import { estimateMemoryOn, type LoadOptions, loadModelOn, type Platform } from "./load-model.ts";
import type { MemoryEstimate } from "./memory-estimate.ts";
import type { Model } from "./model.ts";

const webPlatform: Platform = {
  async openFolder(addressOrId, { revision, signal }) {
    const onHub = parseHubAddress(addressOrId);
    if (onHub !== undefined) return openHubFolder(onHub.id, { revision, signal }, onHub.file);
    const base = typeof location === "undefined" ? undefined : location.href;
    return httpModelFolder(URL.canParse(addressOrId, base) ? new URL(addressOrId, base).href : addressOrId);
  },
  async createRuntime({ device = "wasm", threads }) {
    if (device !== "wasm" && device !== "webgpu") {
      const expected = "wasm or webgpu";
      throw new UnsupportedError({
        where: "device",
        what: "a browser has no such device",
        got: device,
        expected,
      });
    }
    return createWebRuntime({ device, ...(threads !== undefined && { threads }) });
  },
};

/**
 * Loads a model from the Hugging Face hub or a web server.
 * @param model a hub id such as `org/name` or `org/name/FILE.gguf`, an address such as `/models/mine` or
 * `/models/mine.gguf`, or an opened folder.
 * @throws {@link FileError} {@link InvalidModelError} {@link UnsupportedError} {@link InvalidRequestError}
 * {@link OutOfMemoryError} {@link RuntimeMissingError}; the signal's reason on abort.
 */
export function loadModel(model: string | ModelFolder, options: LoadOptions = {}): Promise<Model> {
  return loadModelOn(webPlatform, model, options);
}

/**
 * Tells the memory that a model and a session will need, from the headers of its files.
 * @throws as {@link loadModel} does before weights are read.
 */
export function estimateMemory(
  model: string | ModelFolder,
  options: LoadOptions = {},
): Promise<MemoryEstimate> {
  return estimateMemoryOn(webPlatform, model, options);
}
