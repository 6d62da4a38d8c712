/**
 * Loading in a browser: models from the hub or a web server, on WebAssembly or WebGPU.
 */

import { UnsupportedError } from "../errors.ts";
import { collectBytes } from "../files/byte-source.ts";
import { embeddedModelName, openEmbeddedModel } from "../files/embedded-model.ts";
import { httpModelFolder } from "../files/http-folder.ts";
import { parseHubAddress } from "../files/hub.ts";
import { openHubFolder } from "../files/hub-folder.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { openOpfsStore } from "../files/opfs-store.ts";
import { openStoredHubFolder, storedHttpFolder } from "../files/stored-folder.ts";
import { createWebRuntime } from "../runtime/web.ts";
import {
  estimateMemoryOn,
  type LoadOptions,
  loadModelOn,
  type OpenFolderOptions,
  type Platform,
} from "./load-model.ts";
import type { MemoryEstimate } from "./memory-estimate.ts";
import type { Model } from "./model.ts";

const unstoredNotice =
  "This page has no private file system (is it served over https?), so a model's files are fetched at every start.";

/** Opens a folder; its files are stored in the browser as they are opened, unless only headers are wanted. */
async function openFolder(
  addressOrId: string,
  { revision, signal, onProgress, headersOnly = false }: OpenFolderOptions,
): Promise<ModelFolder> {
  const store = headersOnly ? undefined : await openOpfsStore();
  const openAddress = (address: string): ModelFolder => {
    const folder = httpModelFolder(address);
    return store === undefined ? folder : storedHttpFolder(store, folder, onProgress);
  };
  if (addressOrId === embeddedModelName) {
    // dist/engine/ lies as deep as src/engine/. Bundlers would take a literal for an asset of theirs.
    const packageFolder = "../../";
    const addressOf = (path: string): string => new URL(packageFolder + path, import.meta.url).href;
    return openEmbeddedModel(
      (path, file) => openAddress(addressOf(file === undefined ? path : `${path}/${file}`)),
      signal,
    );
  }
  const onHub = parseHubAddress(addressOrId);
  if (onHub !== undefined) {
    const options = { revision, signal };
    if (store === undefined) return openHubFolder(onHub.id, options, onHub.file);
    return openStoredHubFolder(store, onHub.id, { ...options, onProgress }, onHub.file);
  }
  const base = typeof location === "undefined" ? undefined : location.href;
  const address = URL.canParse(addressOrId, base) ? new URL(addressOrId, base).href : addressOrId;
  return openAddress(address);
}

const webPlatform: Platform = {
  openFolder,
  async keepWeights(key, write, signal) {
    const store = await openOpfsStore();
    const name = `${key}.safetensors`;
    return store === undefined
      ? collectBytes(name, write())
      : store.keep(`weights ${key}`, name, write, signal);
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
    const runtime = await createWebRuntime({ device, ...(threads !== undefined && { threads }) });
    if ((await openOpfsStore()) !== undefined) return runtime;
    return { ...runtime, notices: [...(runtime.notices ?? []), unstoredNotice] };
  },
};

/**
 * Loads a model from the Hugging Face hub or a web server.
 * @param model a hub id such as `org/name` or `org/name/FILE.gguf`, an address such as `/models/mine` or
 * `/models/mine.gguf`, `default` for the package's own where its folder is served as it is, or an opened folder.
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
