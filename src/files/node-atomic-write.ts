/**
 * Writes a file whole or not at all: into a temporary file of the same folder, flushed, then renamed.
 */

import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { systemFileError } from "./node-system-error.ts";

/** Is an open file, as far as writing needs it. */
export interface WritableFile {
  writeFile(bytes: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Is the file system, as far as an atomic write needs it; a test stands in for a full disk. */
export interface AtomicWriteFileSystem {
  open(path: string, flags: "wx" | "r"): Promise<WritableFile>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
}

const diskFileSystem: AtomicWriteFileSystem = {
  open,
  rename,
  remove: (path) => rm(path, { force: true }),
};

/** Makes the rename itself last through a power cut, where the system can. */
async function syncFolder(path: string, fileSystem: AtomicWriteFileSystem): Promise<void> {
  try {
    const folder = await fileSystem.open(path, "r");
    await folder.sync().finally(() => folder.close());
  } catch {
    // Windows opens no folders; the file itself is flushed already.
  }
}

/**
 * Writes a file atomically: a reader sees the old content or the new, and a failure leaves the old.
 * @param path - the file; its folder must exist.
 * @throws {@link FileError} when the disk is full or the folder cannot be written.
 */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array,
  fileSystem: AtomicWriteFileSystem = diskFileSystem,
): Promise<void> {
  const target = resolve(path);
  const temporary = `${target}.${randomUUID()}.tmp`;
  try {
    const file = await fileSystem.open(temporary, "wx");
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await fileSystem.rename(temporary, target);
  } catch (error) {
    await fileSystem.remove(temporary).catch(() => undefined);
    throw systemFileError(path, `the file (${bytes.length} bytes) cannot be written`, error);
  }
  await syncFolder(dirname(target), fileSystem);
}
