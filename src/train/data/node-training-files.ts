/**
 * Finds the files of training data on disk: a `.jsonl` file, a text file, or a folder of both.
 */

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { InvalidRequestError } from "../../errors.ts";
import type { ByteSource } from "../../files/byte-source.ts";
import { openDiskSource } from "../../files/node-disk.ts";
import { systemFileError } from "../../files/node-system-error.ts";
import type { TrainingFile } from "./training-records.ts";

const endings: Readonly<Record<string, TrainingFile["format"]>> = {
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
  ".txt": "text",
  ".md": "text",
};

function formatOf(path: string): TrainingFile["format"] | undefined {
  return endings[/\.[^./\\]+$/.exec(path)?.[0].toLowerCase() ?? ""];
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw systemFileError(path, "the texts cannot be opened", error);
  }
}

async function listFolder(path: string): Promise<string[]> {
  const names = await readdir(path, { recursive: true }).catch((error: unknown) => {
    throw systemFileError(path, "the folder cannot be listed", error);
  });
  // By code units, so that the order is the same in every locale.
  const known = names.filter((name) => formatOf(name) !== undefined).sort((a, b) => (a < b ? -1 : 1));
  if (known.length > 0) return known.map((name) => join(path, name));
  throw new InvalidRequestError({
    where: path,
    what: "the folder holds no training data",
    got: `${names.length} other files and folders`,
    expected: `files ending in ${Object.keys(endings).join(", ")}`,
  });
}

/** Opens a file for each read anew: a data set may have more files than a process may keep open. */
async function onDemandSource(path: string): Promise<ByteSource> {
  const first = await openDiskSource(path);
  await first.close();
  return {
    name: path,
    sizeBytes: first.sizeBytes,
    async read(offset, lengthBytes, signal) {
      const source = await openDiskSource(path);
      return source.read(offset, lengthBytes, signal).finally(() => source.close());
    },
    async close() {},
  };
}

/**
 * Opens the files at some paths; no handle is kept. In a folder, however deep, files with other endings are left out.
 * @throws {@link FileError} when a path cannot be opened; {@link InvalidRequestError} when a folder has no data, or a
 * file another ending.
 */
export async function openTrainingFiles(paths: readonly string[]): Promise<TrainingFile[]> {
  const opened: TrainingFile[] = [];
  for (const path of paths) {
    for (const file of (await isFolder(path)) ? await listFolder(path) : [path]) {
      const format = formatOf(file);
      if (format === undefined) {
        const expected = Object.keys(endings).join(", ");
        throw new InvalidRequestError({ where: file, what: "this ending is not known", expected });
      }
      opened.push({ source: await onDemandSource(file), format });
    }
  }
  return opened;
}
