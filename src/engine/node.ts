/**
 * Loading in Node: models from disk or the hub, on ONNX Runtime.
 *
 * A look at headers alone downloads nothing: what is not on disk is read over HTTP ranges.
 */

import { existsSync } from "node:fs";
import { FileError, RuntimeMissingError, UnsupportedError } from "../errors.ts";
import { parseHubAddress } from "../files/hub.ts";
import { openHubFolder } from "../files/hub-folder.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { isHubOffline, readHubToken } from "../files/node-hub-cache.ts";
import { openNodeModelFolder } from "../files/node-model-folder.ts";
import { keepWeights } from "../files/node-weight-cache.ts";
import type { NodeRuntimeOptions } from "../runtime/node.ts";
import type { Runtime } from "../runtime/runtime.ts";
import {
  estimateMemoryOn,
  type LoadOptions,
  loadModelOn,
  type OpenFolderOptions,
  type Platform,
} from "./load-model.ts";
import type { MemoryEstimate } from "./memory-estimate.ts";
import type { Model } from "./model.ts";

/** Opens what is on disk or in the hub cache; else looks into the hub's files without downloading them. */
async function openForHeaders(
  pathOrId: string,
  { revision, signal }: OpenFolderOptions,
): Promise<ModelFolder> {
  try {
    return await openNodeModelFolder(pathOrId, { revision, signal, offline: true });
  } catch (error) {
    const address = existsSync(pathOrId) ? undefined : parseHubAddress(pathOrId);
    const mayAskHub = error instanceof FileError && !isHubOffline(process.env);
    if (address === undefined || !mayAskHub) throw error;
    const endpoint = process.env.HF_ENDPOINT || undefined;
    const token = await readHubToken(process.env);
    return openHubFolder(address.id, { revision, signal, endpoint, token }, address.file);
  }
}

/** Loads ONNX Runtime when a model is to run: a look at headers does without. */
async function createRuntime(options: NodeRuntimeOptions): Promise<Runtime> {
  let runtimeModule: typeof import("../runtime/node.ts");
  try {
    runtimeModule = await import("../runtime/node.ts");
  } catch (error) {
    throw new RuntimeMissingError({
      where: "onnxruntime-node",
      what: "the runtime cannot be loaded",
      got: error instanceof Error ? error.message : String(error),
      remedy: "Install the package again on this machine: its binary must fit the system.",
      cause: error,
    });
  }
  return runtimeModule.createNodeRuntime(options);
}

/** Is what Node provides. */
export const nodePlatform: Platform = {
  openFolder: (pathOrId, { headersOnly = false, ...options }) =>
    headersOnly ? openForHeaders(pathOrId, options) : openNodeModelFolder(pathOrId, options),
  keepWeights: (key, write, signal) => keepWeights(key, write, process.env, signal),
  async createRuntime({ device = "cpu", threads, plansMemory }) {
    if (device !== "cpu" && device !== "webgpu") {
      throw new UnsupportedError({
        where: "device",
        what: "Node has no such device",
        got: device,
        expected: "cpu or webgpu",
      });
    }
    return createRuntime({ device, plansMemory, ...(threads !== undefined && { threads }) });
  },
};

/**
 * Loads a model from a folder or the Hugging Face hub.
 * @param model a folder or GGUF file, a hub id such as `org/name` or `org/name/FILE.gguf`, `default` for the package's
 * own with its adapter, or an opened folder.
 * @throws {@link FileError} {@link InvalidModelError} {@link UnsupportedError} {@link InvalidRequestError}
 * {@link OutOfMemoryError} {@link RuntimeMissingError}; the signal's reason on abort.
 */
export function loadModel(model: string | ModelFolder, options: LoadOptions = {}): Promise<Model> {
  return loadModelOn(nodePlatform, model, options);
}

/**
 * Tells the memory that a model and a session will need, from the headers of its files; downloads nothing else.
 * @throws as {@link loadModel} does before weights are read.
 */
export function estimateMemory(
  model: string | ModelFolder,
  options: LoadOptions = {},
): Promise<MemoryEstimate> {
  return estimateMemoryOn(nodePlatform, model, options);
}
