/**
 * Keeps large files in the origin's private file system (OPFS), in parts that are each whole or not there.
 *
 * A file is a folder of parts and, written last, a note that says it is complete: what was interrupted is never
 * taken for a file, and goes on with the part that is missing. On the main thread a single large file could not be
 * resumed: what a writable stream wrote is lost unless it is closed. Parts need no handle that only workers have.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { FileError } from "../errors.ts";
import { assertRange, type ByteSource } from "./byte-source.ts";

/** How long a part is, in bytes. */
const defaultPartBytes = 8 * 1024 * 1024;

const completeName = "complete.json";
const partName = (index: number): string => `part-${String(index).padStart(6, "0")}`;

/** Says what comes into the store. */
export interface StoredContent {
  readonly sizeBytes: number;
  /** Reads exactly these bytes: those of one part. */
  read(offset: number, lengthBytes: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** The content's hash, 64 hex digits, where it is known: other content is refused. */
  readonly sha256?: string | undefined;
  readonly onStored?: ((storedBytes: number) => void) | undefined;
}

/** Returns the error for a failure of the file system, saying what can be done about it. */
async function storageError(where: string, error: unknown): Promise<unknown> {
  if (!(error instanceof DOMException) || error.name === "AbortError") return error;
  if (error.name !== "QuotaExceededError") {
    const what = "the browser's file system failed";
    return new FileError({ where, what, got: `${error.name}: ${error.message}`, cause: error });
  }
  const { usage, quota } = await navigator.storage.estimate().catch((): StorageEstimate => ({}));
  return new FileError({
    where,
    what: "the browser gives this site no more room for files",
    got: usage === undefined ? "the quota is used up" : `${usage} bytes used`,
    ...(quota !== undefined && { expected: `at most ${quota} bytes` }),
    remedy: "Call removeStoredFiles(), free disk space, or choose a smaller model.",
    cause: error,
  });
}

function isMissing(error: unknown): boolean {
  return (
    error instanceof DOMException && (error.name === "NotFoundError" || error.name === "TypeMismatchError")
  );
}

async function writeFile(
  folder: FileSystemDirectoryHandle,
  name: string,
  bytes: Uint8Array | string,
): Promise<void> {
  const handle = await folder.getFileHandle(name, { create: true });
  const stream = await handle.createWritable();
  try {
    await stream.write(typeof bytes === "string" ? bytes : bytes.slice());
    await stream.close();
  } catch (error) {
    await stream.abort().catch(() => undefined);
    throw error;
  }
}

async function findFile(folder: FileSystemDirectoryHandle, name: string): Promise<File | undefined> {
  try {
    return await (await folder.getFileHandle(name)).getFile();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Wraps a Blob, which the browser reads from disk as it is asked, as a source. */
function blobSource(name: string, blob: Blob): ByteSource {
  return {
    name,
    sizeBytes: blob.size,
    async read(offset, lengthBytes, signal) {
      signal?.throwIfAborted();
      assertRange(name, blob.size, offset, lengthBytes);
      try {
        return new Uint8Array(await blob.slice(offset, offset + lengthBytes).arrayBuffer());
      } catch (error) {
        throw await storageError(name, error);
      }
    },
    async close() {},
  };
}

async function hashBlob(blob: Blob, partBytes: number, signal: AbortSignal | undefined): Promise<string> {
  const hash = sha256.create();
  for (let offset = 0; offset < blob.size; offset += partBytes) {
    signal?.throwIfAborted();
    hash.update(new Uint8Array(await blob.slice(offset, offset + partBytes).arrayBuffer()));
  }
  return bytesToHex(hash.digest());
}

/** Stores files under keys. */
export class OpfsStore {
  readonly #root: FileSystemDirectoryHandle;
  readonly #partBytes: number;

  /** @param root a folder that holds nothing else. */
  constructor(root: FileSystemDirectoryHandle, partBytes: number = defaultPartBytes) {
    this.#root = root;
    this.#partBytes = partBytes;
  }

  /** Returns the folder of a key; keys may hold any characters. */
  #folder(key: string, create: boolean): Promise<FileSystemDirectoryHandle> {
    const name = bytesToHex(sha256(new TextEncoder().encode(key)));
    return this.#root.getDirectoryHandle(name, { create });
  }

  async #open(folder: FileSystemDirectoryHandle, name: string): Promise<ByteSource | undefined> {
    const note = await findFile(folder, completeName);
    if (note === undefined) return undefined;
    const { sizeBytes, partCount } = readNote(await note.text());
    const parts: File[] = [];
    for (let index = 0; index < partCount; index++) {
      const part = await findFile(folder, partName(index));
      if (part !== undefined) parts.push(part);
    }
    const blob = new Blob(parts);
    return blob.size === sizeBytes ? blobSource(name, blob) : undefined;
  }

  /**
   * Opens a complete file.
   * @param name names it in messages.
   * @returns undefined when it is not there, or not whole.
   * @throws {@link FileError} when the file system fails.
   */
  async open(key: string, name: string): Promise<ByteSource | undefined> {
    try {
      return await this.#open(await this.#folder(key, false), name);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw await storageError(name, error);
    }
  }

  /**
   * Opens a file, storing first what is missing of it; one page of the site at a time.
   * @throws {@link FileError} when there is no room, the file system fails or the content has another hash;
   * whatever `read` throws, with the parts stored so far kept; the signal's reason on abort.
   */
  async store(key: string, name: string, content: StoredContent, signal?: AbortSignal): Promise<ByteSource> {
    return this.#locked(key, name, signal, async (folder) => {
      const known = await this.#open(folder, name);
      if (known !== undefined) return known;
      const { sizeBytes } = content;
      const parts: File[] = [];
      for (let offset = 0; offset < sizeBytes; offset += this.#partBytes) {
        signal?.throwIfAborted();
        const length = Math.min(this.#partBytes, sizeBytes - offset);
        const part = partName(parts.length);
        const present = await findFile(folder, part);
        if (present?.size !== length)
          await writeFile(folder, part, await content.read(offset, length, signal));
        const stored = present?.size === length ? present : await findFile(folder, part);
        parts.push(stored ?? new File([], part));
        content.onStored?.(offset + length);
      }
      const blob = new Blob(parts);
      if (content.sha256 !== undefined) await this.#verify(folder, name, blob, content.sha256, signal);
      await writeFile(folder, completeName, JSON.stringify({ sizeBytes, partCount: parts.length }));
      return blobSource(name, blob);
    });
  }

  /**
   * Opens a file, writing it first when it is not there; nothing of a writing that was interrupted is used.
   * @throws {@link FileError} when there is no room or the file system fails; whatever `write` throws.
   */
  async keep(
    key: string,
    name: string,
    write: () => AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<ByteSource> {
    return this.#locked(key, name, signal, async (folder) => {
      const known = await this.#open(folder, name);
      if (known !== undefined) return known;
      let [sizeBytes, partCount] = [0, 0];
      for await (const part of regroup(write(), this.#partBytes)) {
        signal?.throwIfAborted();
        await writeFile(folder, partName(partCount), part);
        partCount += 1;
        sizeBytes += part.length;
      }
      await writeFile(folder, completeName, JSON.stringify({ sizeBytes, partCount }));
      const source = await this.#open(folder, name);
      if (source !== undefined) return source;
      throw new FileError({ where: name, what: "the browser lost what was just stored" });
    });
  }

  /** Stores a small file in place of the one that may be there. */
  async replace(key: string, bytes: Uint8Array): Promise<void> {
    await this.#locked(key, "stored file", undefined, async (folder) => {
      await folder.removeEntry(completeName).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
      await writeFile(folder, partName(0), bytes);
      await writeFile(folder, completeName, JSON.stringify({ sizeBytes: bytes.length, partCount: 1 }));
    });
  }

  async #verify(
    folder: FileSystemDirectoryHandle,
    name: string,
    blob: Blob,
    expected: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const got = await hashBlob(blob, this.#partBytes, signal);
    if (got === expected) return;
    for await (const entry of folder.keys()) await folder.removeEntry(entry);
    const remedy = "Try again: nothing of it was kept.";
    throw new FileError({ where: name, what: "the content has another hash", got, expected, remedy });
  }

  async #locked<Result>(
    key: string,
    name: string,
    signal: AbortSignal | undefined,
    work: (folder: FileSystemDirectoryHandle) => Promise<Result>,
  ): Promise<Result> {
    const options = signal === undefined ? {} : { signal };
    return await navigator.locks.request(`edgeinfinite:${key}`, options, async () => {
      try {
        return await work(await this.#folder(key, true));
      } catch (error) {
        throw await storageError(name, error);
      }
    });
  }
}

function readNote(text: string): { readonly sizeBytes: number; readonly partCount: number } {
  try {
    const note: { sizeBytes?: unknown; partCount?: unknown } = JSON.parse(text);
    const { sizeBytes, partCount } = note;
    if (typeof sizeBytes === "number" && typeof partCount === "number") return { sizeBytes, partCount };
  } catch {
    // A damaged note is none.
  }
  return { sizeBytes: -1, partCount: 0 };
}

/** Regroups chunks into parts of one length; the last may be shorter. */
async function* regroup(chunks: AsyncIterable<Uint8Array>, partBytes: number): AsyncGenerator<Uint8Array> {
  let part = new Uint8Array(partBytes);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let taken = 0; taken < chunk.length; ) {
      const length = Math.min(chunk.length - taken, partBytes - filled);
      part.set(chunk.subarray(taken, taken + length), filled);
      taken += length;
      filled += length;
      if (filled < partBytes) continue;
      yield part;
      part = new Uint8Array(partBytes);
      filled = 0;
    }
  }
  if (filled > 0) yield part.subarray(0, filled);
}

const rootName = "edgeinfinite";

/** Opens the page's store; undefined where there is no private file system: on pages that are not secure, say. */
export async function openOpfsStore(): Promise<OpfsStore | undefined> {
  if (typeof navigator === "undefined" || navigator.storage?.getDirectory === undefined) return undefined;
  if (navigator.locks === undefined) return undefined;
  try {
    const root = await navigator.storage.getDirectory();
    return new OpfsStore(await root.getDirectoryHandle(rootName, { create: true }));
  } catch (error) {
    // Private windows of some browsers have the function and refuse its use.
    if (error instanceof DOMException) return undefined;
    throw error;
  }
}

/** Removes every file that was stored for this site: checkpoints and quantised weights. */
export async function removeStoredFiles(): Promise<void> {
  const root = await navigator.storage.getDirectory();
  await root.removeEntry(rootName, { recursive: true }).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
}
