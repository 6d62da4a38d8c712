/**
 * Loading in Node: models from disk or the hub, on ONNX Runtime.
 *
 * A look at headers alone downloads nothing: what is not on disk is read over HTTP ranges.
 */

import { existsSync } from "node:fs";
import { FileError, UnsupportedError } from "../errors.ts";
import { isHubId } from "../files/hub.ts";
import { openHubFolder } from "../files/hub-folder.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { isHubOffline, readHubToken } from "../files/node-hub-cache.ts";
import { openNodeModelFolder } from "../files/node-model-folder.ts";
import { createNodeRuntime } from "../runtime/node.ts";
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
    const mayAskHub = isHubId(pathOrId) && !existsSync(pathOrId) && !isHubOffline(process.env);
    if (!(error instanceof FileError) || !mayAskHub) throw error;
  }
  const endpoint = process.env.HF_ENDPOINT || undefined;
  return openHubFolder(pathOrId, { revision, signal, endpoint, token: await readHubToken(process.env) });
}

/** Is what Node provides. */
export const nodePlatform: Platform = {
  openFolder: (pathOrId, { headersOnly = false, ...options }) =>
    headersOnly ? openForHeaders(pathOrId, options) : openNodeModelFolder(pathOrId, options),
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
 * Tells the memory that a model and a session will need, from the headers of its files; downloads nothing else.
 * @throws as {@link loadModel} does before weights are read.
 */
export function estimateMemory(
  model: string | ModelFolder,
  options: LoadOptions = {},
): Promise<MemoryEstimate> {
  return estimateMemoryOn(nodePlatform, model, options);
}
