/**
 * Model folders in Node: a folder on disk, or a model's name on the hub, by one argument.
 */

import { readdir, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { FileError } from "../errors.ts";
import { embeddedModelName, openEmbeddedModel } from "./embedded-model.ts";
import { ggufPartNames } from "./gguf-parts.ts";
import { parseHubAddress } from "./hub.ts";
import { type ModelFolder, makeModelFolder, missingFileError } from "./model-folder.ts";
import { openDiskSource } from "./node-disk.ts";
import { isFile } from "./node-hub-cache.ts";
import { downloadHubModel, type HubDownloadOptions } from "./node-hub-download.ts";
import { packagePath } from "./node-package.ts";
import { systemErrorCode, systemFileError } from "./node-system-error.ts";

/**
 * Serves a folder on disk.
 * @param path - an existing folder.
 * @param file - the file in it that is meant.
 */
export function diskModelFolder(path: string, file?: string): ModelFolder {
  const folder = resolve(path);
  return makeModelFolder({
    name: path,
    path: folder,
    file,
    list: () =>
      readdir(folder).catch((error: unknown) => {
        throw systemFileError(path, "the folder cannot be listed", error);
      }),
    has: (file) => isFile(join(folder, file)),
    async open(file) {
      const full = join(folder, file);
      // A dangling link is missing too: a cache whose blob was removed.
      const code = await stat(full).then(() => undefined, systemErrorCode);
      if (code === "ENOENT" || code === "ENOTDIR") throw missingFileError(path, file);
      return openDiskSource(full);
    },
  });
}

type PathKind = "folder" | "file" | "missing";

async function pathKind(path: string): Promise<PathKind> {
  try {
    return (await stat(path)).isDirectory() ? "folder" : "file";
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return "missing";
    throw systemFileError(path, "the folder cannot be opened", error);
  }
}

/** Tells whether a text can only be meant as a path: it starts like one, or is no name of the hub. */
function looksLikePath(text: string): boolean {
  return /^[./~]/.test(text) || /^[A-Za-z]:[\\/]/.test(text) || parseHubAddress(text) === undefined;
}

/**
 * Opens a model or adapter by its folder on disk or its name on the hub; a model also by its GGUF file.
 * `default` is the model of this package. What exists on disk wins; else `org/name` or `org/name/FILE.gguf` is looked up in the hub cache and downloaded.
 * @throws {@link FileError} when a path is missing or a file, or the download fails;
 * the signal's reason on abort.
 */
export async function openNodeModelFolder(
  pathOrId: string,
  options: HubDownloadOptions = {},
): Promise<ModelFolder> {
  options.signal?.throwIfAborted();
  if (pathOrId === embeddedModelName)
    return openEmbeddedModel((path, file) => diskModelFolder(packagePath(path), file), options.signal);
  const isHome = pathOrId === "~" || pathOrId.startsWith("~/");
  const path = isHome ? join(homedir(), pathOrId.slice(1)) : pathOrId;
  const kind = path === "" ? "missing" : await pathKind(path);
  if (kind === "folder") return diskModelFolder(path);
  if (kind === "file" && path.endsWith(".gguf")) return diskModelFolder(dirname(path), basename(path));
  if (kind === "file") {
    throw new FileError({
      where: pathOrId,
      what: "a model is a folder",
      got: "a file",
      expected: "the folder with config.json and the weights, or a .gguf file",
      remedy: "Give the folder that holds this file.",
    });
  }
  if (looksLikePath(pathOrId)) {
    throw new FileError({
      where: pathOrId === "" ? "model" : pathOrId,
      what: "there is no such model folder",
      got: pathOrId === "" ? "an empty name" : "nothing there",
      expected: "a folder, a .gguf file, or a name on the hub like org/name",
      remedy: "Check the path or the name.",
    });
  }
  const { id, file } = parseHubAddress(pathOrId) ?? { id: pathOrId };
  const files = file === undefined ? undefined : ggufPartNames(file);
  return diskModelFolder(await downloadHubModel(id, { files, ...options }), file);
}
