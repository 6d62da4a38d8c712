/**
 * Keeps weights in the form that a runtime wants, beside the hub cache, so that a second start only maps them.
 *
 * Files are named by what they were made from, written whole or not at all, by one process at a time.
 */

import { dirname, join } from "node:path";
import { isEdgeInfiniteError } from "../errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { writeFileAtomic } from "./node-atomic-write.ts";
import { openDiskSource } from "./node-disk.ts";
import { type Environment, hubCacheDir, isFile, makeFolder } from "./node-hub-cache.ts";
import { withLockFile } from "./node-lock-file.ts";
import { parseSafetensorsHeader } from "./safetensors.ts";

/** Returns the folder of kept weights: EDGEINFINITE_CACHE, else `edgeinfinite` beside the hub cache. */
export function weightCacheDir(environment: Environment): string {
  return environment.EDGEINFINITE_CACHE || join(dirname(hubCacheDir(environment)), "edgeinfinite");
}

/** Opens a kept file when it is there and whole. */
async function openKept(path: string): Promise<ByteSource | undefined> {
  if (!(await isFile(path))) return undefined;
  const source = await openDiskSource(path);
  try {
    await parseSafetensorsHeader(source);
    return source;
  } catch (error) {
    await source.close();
    // A damaged file is written anew.
    if (isEdgeInfiniteError(error) && error.code === "invalid-model") return undefined;
    throw error;
  }
}

/**
 * Opens the weights kept under a key, writing them first when they are not there.
 * @param key - names what they were made from; letters, digits, `-` and `.`.
 * @param write - gives the bytes of a safetensors file.
 * @throws {@link FileError} when the disk is full or the folder cannot be written; the signal's reason on abort.
 */
export async function keepWeights(
  key: string,
  write: () => AsyncIterable<Uint8Array>,
  environment: Environment,
  signal?: AbortSignal,
): Promise<ByteSource> {
  const folder = weightCacheDir(environment);
  const path = join(folder, `${key}.safetensors`);
  const kept = await openKept(path);
  if (kept !== undefined) return kept;
  await makeFolder(folder);
  return withLockFile(
    `${path}.lock`,
    async () => {
      const meanwhile = await openKept(path);
      if (meanwhile !== undefined) return meanwhile;
      await writeFileAtomic(path, write());
      return openDiskSource(path);
    },
    signal,
  );
}
