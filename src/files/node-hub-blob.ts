/**
 * Fetches one file of the hub into the cache's blobs: resumable, verified, safe beside other processes.
 *
 * Bytes go to `<etag>.incomplete`; only content whose length and hash are right is renamed to `<etag>`.
 * A lock file lets one process of this library work on it at a time. Other tools hold locks that Node cannot see
 * (`flock`): while one of them may be at work, the bytes go to a file of our own, which cannot be resumed.
 */

import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { basename } from "node:path";
import { FileError, isEdgeInfiniteError } from "../errors.ts";
import { type HttpExchange, retryWithBackoff, TransientFailure } from "./http-exchange.ts";
import { parseContentRange } from "./http-source.ts";
import { type HubFile, type HubOptions, hubStatusFailure, sendHubRequest } from "./hub.ts";
import { isFile, makeFolder } from "./node-hub-cache.ts";
import { withLockFile } from "./node-lock-file.ts";
import { systemFileError } from "./node-system-error.ts";

/** Says what to fetch, and where its bytes go. */
export interface BlobTask {
  readonly id: string;
  /** The file's name within the repository, for messages. */
  readonly file: string;
  readonly remote: HubFile;
  /** The finished file. */
  readonly blobPath: string;
  /** The repository's folder of lock files. */
  readonly lockDir: string;
  /** Is told how many bytes have come. */
  readonly onReceived: (receivedBytes: number) => void;
}

/** While another tool's lock and a partial file this fresh are there, that tool may be writing to it. */
const foreignWriterMs = 5 * 60_000;

async function mayHaveForeignWriter(partialPath: string, foreignLockPath: string): Promise<boolean> {
  if (!(await isFile(foreignLockPath))) return false;
  try {
    return Date.now() - (await stat(partialPath)).mtimeMs < foreignWriterMs;
  } catch {
    return false;
  }
}

function where(task: BlobTask): string {
  return `${task.id}@${task.remote.commit}/${task.file}`;
}

/** Hashes a file the way that its etag was made; undefined for an etag that is no hash we know. */
async function hashLike(
  etag: string,
  path: string,
  sizeBytes: number,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(etag)) return undefined;
  const hash = createHash(etag.length === 64 ? "sha256" : "sha1");
  if (etag.length === 40) hash.update(`blob ${sizeBytes}\0`);
  const stream = createReadStream(path, {
    highWaterMark: 1024 * 1024,
    ...(signal === undefined ? {} : { signal }),
  });
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest("hex");
}

/** Says where the body starts in the file; 0 when the server sends all of it. */
function bodyStart(task: BlobTask, response: Response, presentBytes: number): number {
  if (response.status === 200) return 0;
  const header = response.headers.get("content-range");
  const range = parseContentRange(header);
  const expectedBytes = task.remote.sizeBytes ?? range?.sizeBytes;
  if (range?.first === presentBytes && range.sizeBytes === expectedBytes) return presentBytes;
  throw new FileError({
    where: where(task),
    what: "the server sent another range than asked for",
    got: header,
    expected: `bytes from ${presentBytes} of ${expectedBytes}`,
    remedy: "Check that the endpoint and proxies support ranges.",
  });
}

function statusError(task: BlobTask, response: Response, options: HubOptions): FileError | TransientFailure {
  return hubStatusFailure(response, task.id, task.remote.commit, task.file, options.token !== undefined);
}

async function writeBody(
  task: BlobTask,
  exchange: HttpExchange,
  handle: FileHandle,
  startBytes: number,
): Promise<number> {
  let writtenBytes = startBytes;
  const limitBytes = task.remote.sizeBytes ?? Number.MAX_SAFE_INTEGER;
  for await (const chunk of exchange.chunks()) {
    if (writtenBytes + chunk.length > limitBytes) {
      throw new WrongContentError(
        new FileError({
          where: where(task),
          what: "the server sent more bytes than it announced",
          got: `over ${writtenBytes + chunk.length}`,
          expected: `${limitBytes}`,
          remedy: "Check the endpoint and proxies.",
        }),
      );
    }
    await writeFully(handle, chunk, writtenBytes);
    writtenBytes += chunk.length;
    task.onReceived(writtenBytes);
  }
  return writtenBytes;
}

async function writeFully(handle: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < chunk.length) {
    const { bytesWritten } = await handle.write(chunk, done, chunk.length - done, position + done);
    done += bytesWritten;
  }
}

/** Marks content that is wrong, not merely incomplete: the partial file is of no use. */
class WrongContentError extends Error {
  readonly error: FileError;
  constructor(error: FileError) {
    super(error.message);
    this.name = "WrongContentError";
    this.error = error;
  }
}

/** Makes one request for what is missing of the partial file. */
async function receiveOnce(
  task: BlobTask,
  handle: FileHandle,
  options: HubOptions,
  presentBytes: number,
): Promise<number> {
  // No If-Range: the address holds the commit, so its content cannot change, and storage hosts have other etags.
  const headers: Record<string, string> = presentBytes === 0 ? {} : { range: `bytes=${presentBytes}-` };
  const exchange = await sendHubRequest(task.remote.url, { method: "GET", headers }, options);
  try {
    const { response } = exchange;
    if (response.status !== 200 && response.status !== 206) {
      const failure = statusError(task, response, options);
      if (response.status !== 416 || !(failure instanceof FileError)) throw failure;
      // The partial file does not fit the one on the server: from nothing, then.
      await handle.truncate(0);
      throw new TransientFailure(failure);
    }
    const startBytes = bodyStart(task, response, presentBytes);
    if (startBytes < presentBytes) await handle.truncate(startBytes);
    return await writeBody(task, exchange, handle, startBytes);
  } finally {
    await exchange.discard();
  }
}

async function receive(task: BlobTask, partialPath: string, options: HubOptions): Promise<void> {
  const { sizeBytes } = task.remote;
  let handle: FileHandle | undefined;
  let furthestBytes = 0;
  try {
    const partial = await openPartial(partialPath);
    handle = partial;
    const attempt = async (): Promise<void> => {
      let presentBytes = (await partial.stat()).size;
      if (presentBytes > (sizeBytes ?? Number.MAX_SAFE_INTEGER)) {
        await partial.truncate(0);
        presentBytes = 0;
      }
      furthestBytes = Math.max(furthestBytes, presentBytes);
      task.onReceived(presentBytes);
      if (presentBytes === sizeBytes) return;
      const watched: BlobTask = {
        ...task,
        onReceived: (receivedBytes) => {
          furthestBytes = Math.max(furthestBytes, receivedBytes);
          task.onReceived(receivedBytes);
        },
      };
      const receivedBytes = await receiveOnce(watched, partial, options, presentBytes);
      if (sizeBytes !== undefined && receivedBytes < sizeBytes) throw shortBody(task, receivedBytes);
    };
    await retryWithBackoff(attempt, { ...options, progressBytes: () => furthestBytes });
    await partial.datasync();
  } catch (error) {
    const known = isEdgeInfiniteError(error) || error instanceof WrongContentError;
    if (known || options.signal?.aborted) throw error;
    throw systemFileError(partialPath, `${where(task)} cannot be stored`, error);
  } finally {
    await handle?.close();
  }
}

/** Opens for writing at any position, and keeps what is there. */
async function openPartial(path: string): Promise<FileHandle> {
  const created = await open(path, "a");
  await created.close();
  return open(path, "r+");
}

function shortBody(task: BlobTask, receivedBytes: number): TransientFailure {
  return new TransientFailure(
    new FileError({
      where: where(task),
      what: "the connection ended early",
      got: `${receivedBytes} bytes`,
      expected: `${task.remote.sizeBytes} bytes`,
      remedy: "Run it again: the download goes on where it stopped.",
    }),
  );
}

/** Receives and verifies; throws {@link WrongContentError} when what came is not what the hub announced. */
async function receiveVerified(task: BlobTask, partialPath: string, options: HubOptions): Promise<void> {
  await receive(task, partialPath, options);
  const { etag } = task.remote;
  const { size } = await stat(partialPath);
  const hash = await hashLike(etag, partialPath, size, options.signal);
  if (hash === undefined || hash === etag) return;
  throw new WrongContentError(
    new FileError({
      where: where(task),
      what: `the content's ${etag.length === 64 ? "SHA-256" : "git SHA-1"} is wrong, twice`,
      got: hash,
      expected: etag,
      remedy: "The partial file was removed. Check the endpoint and proxies, then try again.",
    }),
  );
}

async function fetchLocked(task: BlobTask, partialPath: string, options: HubOptions): Promise<void> {
  for (let tryCount = 1; ; tryCount++) {
    try {
      await receiveVerified(task, partialPath, options);
      await rename(partialPath, task.blobPath).catch((error: unknown) => {
        throw systemFileError(task.blobPath, "the finished file cannot be renamed", error);
      });
      return;
    } catch (error) {
      if (!(error instanceof WrongContentError)) throw error;
      await rm(partialPath, { force: true });
      // A resumed file may have been started by something else: one try from nothing tells.
      if (tryCount === 2) throw error.error;
    }
  }
}

/**
 * Fetches a blob unless it is there.
 * On abort and on failure the bytes that came stay in `<etag>.incomplete`, and the next call goes on from them.
 * @throws {@link FileError} when the hub refuses, the disk is full, or the content's hash is wrong twice;
 * the signal's reason on abort.
 */
export async function fetchBlob(task: BlobTask, options: HubOptions): Promise<void> {
  await makeFolder(task.lockDir);
  const name = basename(task.blobPath);
  const work = async (): Promise<void> => {
    if (await isFile(task.blobPath)) {
      task.onReceived((await stat(task.blobPath)).size);
      return;
    }
    const partialPath = `${task.blobPath}.incomplete`;
    if (!(await mayHaveForeignWriter(partialPath, `${task.lockDir}/${name}.lock`))) {
      return fetchLocked(task, partialPath, options);
    }
    const ownPath = `${task.blobPath}.${randomUUID()}.incomplete`;
    await fetchLocked(task, ownPath, options).finally(() => rm(ownPath, { force: true }));
  };
  try {
    await withLockFile(`${task.lockDir}/${name}.edgeinfinite.lock`, work, options.signal);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  }
}
