/**
 * Byte source over a file on disk, with the absolute path that a runtime needs to map it.
 *
 * Symbolic links are resolved at opening: the hub cache is made of them, and a runtime may refuse them.
 */

import { type FileHandle, open, realpath, stat } from "node:fs/promises";
import { FileError } from "../errors.ts";
import { allocateBytes, assertRange, type ByteSource } from "./byte-source.ts";
import { systemFileError } from "./node-system-error.ts";

/** The most bytes of one system call: reads stay abortable, and under the 2 GiB that Linux allows. */
const longestReadBytes = 64 * 1024 * 1024;

async function readInto(
  handle: FileHandle,
  name: string,
  target: Uint8Array,
  offset: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  let done = 0;
  while (done < target.length) {
    signal?.throwIfAborted();
    const wanted = Math.min(longestReadBytes, target.length - done);
    const { bytesRead } = await handle.read(target, done, wanted, offset + done);
    if (bytesRead === 0) {
      throw new FileError({
        where: name,
        what: "the file became shorter while it was read",
        got: `${offset + done} bytes`,
        expected: `${offset + target.length} bytes`,
        remedy: "Let nothing write to it while it is in use.",
      });
    }
    done += bytesRead;
  }
}

/**
 * Opens a file on disk for random access.
 * @param path - relative to the working folder, or absolute.
 * @throws {@link FileError} when it is missing, a folder, or may not be read.
 */
export async function openDiskSource(path: string): Promise<ByteSource> {
  let handle: FileHandle | undefined;
  try {
    // Looked at before it is opened: opening a pipe would wait for its writer.
    const facts = await stat(path);
    if (!facts.isFile()) {
      throw new FileError({
        where: path,
        what: "this is not a file",
        got: facts.isDirectory() ? "a folder" : "a device or pipe",
        expected: "a regular file",
        remedy: "Give the path of a file in it.",
      });
    }
    handle = await open(path, "r");
    return diskSource(path, await realpath(path), (await handle.stat()).size, handle);
  } catch (error) {
    await handle?.close();
    throw error instanceof FileError ? error : systemFileError(path, "the file cannot be opened", error);
  }
}

function diskSource(name: string, path: string, sizeBytes: number, handle: FileHandle): ByteSource {
  let closing: Promise<void> | undefined;
  return {
    name,
    path,
    sizeBytes,
    async read(offset, lengthBytes, signal) {
      signal?.throwIfAborted();
      if (closing !== undefined) {
        throw new FileError({ where: name, what: "the source was read after it was closed" });
      }
      assertRange(name, sizeBytes, offset, lengthBytes);
      const target = allocateBytes(name, lengthBytes);
      try {
        await readInto(handle, name, target, offset, signal);
      } catch (error) {
        if (error instanceof FileError || signal?.aborted) throw error;
        throw systemFileError(name, "the file cannot be read", error);
      }
      return target;
    },
    async close() {
      closing ??= handle.close();
      await closing;
    },
  };
}
