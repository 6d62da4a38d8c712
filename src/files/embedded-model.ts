/**
 * The model that comes with this package, by the name `default`: where it lies below the package's folder, and the
 * adapters beside it. How files there are opened is the platform's.
 */

import { FileError } from "../errors.ts";
import type { ModelFolder } from "./model-folder.ts";

/** Is the name that stands for the package's own model. */
export const embeddedModelName = "default";

const folderPath = "models/edgeinfinite-3m";
const modelFile = "edgeinfinite-3m-q8_0.gguf";
/** Folders beside the model, named by the policies that they are trained for, the best first. */
const adapterNames: readonly string[] = ["plus", "paper"];

/**
 * Opens the package's own model with the adapters that are there.
 * @param openFolder - opens a folder by its path below the package's, with the file in it that is meant.
 * @throws {@link FileError} when the package lacks it; as `has` does.
 */
export async function openEmbeddedModel(
  openFolder: (path: string, file?: string) => ModelFolder,
  signal?: AbortSignal,
): Promise<ModelFolder> {
  const folder = openFolder(folderPath, modelFile);
  if (!(await folder.has(modelFile, signal))) {
    throw new FileError({
      where: folder.name,
      what: "the model that comes with this package is not there",
      got: "nothing there",
      expected: modelFile,
      remedy: "Install the package again, serve its folder models/ beside dist/, or name a model of yours.",
    });
  }
  const adapters = new Map<string, ModelFolder>();
  for (const name of adapterNames) {
    if (await folder.has(`${name}/adapter_config.json`, signal))
      adapters.set(name, openFolder(`${folderPath}/${name}`));
  }
  return { ...folder, name: embeddedModelName, adapters };
}
