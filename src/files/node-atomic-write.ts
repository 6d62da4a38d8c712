/**
 * Writes a file whole or not at all: into a temporary file of the same folder, flushed, then renamed.
 */

import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { isEdgeInfiniteError } from "../errors.ts";
import { systemErrorCode, systemFileError } from "./node-system-error.ts";

/** Is an open file, as far as writing needs it. */
export interface WritableFile {
  /** Writes behind what was written before. */
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
 * @param bytes - all of them, or a stream that is never held as a whole.
 * @throws {@link FileError} when the disk is full or the folder cannot be written.
 */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array | AsyncIterable<Uint8Array>,
  fileSystem: AtomicWriteFileSystem = diskFileSystem,
): Promise<void> {
  const target = resolve(path);
  const temporary = `${target}.${randomUUID()}.tmp`;
  try {
    const file = await fileSystem.open(temporary, "wx");
    try {
      if (bytes instanceof Uint8Array) await file.writeFile(bytes);
      else for await (const chunk of bytes) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await fileSystem.rename(temporary, target);
  } catch (error) {
    await fileSystem.remove(temporary).catch(() => undefined);
    // What the stream itself throws is not the disk's fault.
    if (isEdgeInfiniteError(error) || systemErrorCode(error) === undefined) throw error;
    const size = bytes instanceof Uint8Array ? ` (${bytes.length} bytes)` : "";
    throw systemFileError(path, `the file${size} cannot be written`, error);
  }
  await syncFolder(dirname(target), fileSystem);
}
