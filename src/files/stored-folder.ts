/**
 * Model folders whose files are stored in the browser when they are first opened, and read from there ever after.
 *
 * A file of the hub is known by its commit, so a second start asks for none of its bytes; without a network, the
 * listing of the last start serves. A file of any other server is known by its entity tag, which one byte shows.
 */

import { FileError } from "../errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { TransientFailure } from "./http-exchange.ts";
import {
  fetchHubListing,
  type HubListing,
  type HubOptions,
  hubEndpoint,
  hubRevision,
  parseHubListing,
} from "./hub.ts";
import { makeHubFolder } from "./hub-folder.ts";
import { type ModelFolder, makeModelFolder } from "./model-folder.ts";
import type { OpfsStore } from "./opfs-store.ts";

/** Tells how far a file is, in bytes. */
export type StoredProgress = (progress: {
  readonly file: string;
  readonly receivedBytes: number;
  readonly totalBytes: number | undefined;
}) => void;

/** Configures {@link openStoredHubFolder}. */
export interface StoredHubOptions extends HubOptions {
  readonly onProgress?: StoredProgress | undefined;
}

interface StoreRequest {
  readonly store: OpfsStore;
  readonly key: string;
  readonly file: string;
  readonly sha256?: string | undefined;
  readonly onProgress: StoredProgress | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Stores a remote file, part by part, and opens what was stored. */
async function storeRemote(remote: ByteSource, request: StoreRequest): Promise<ByteSource> {
  const { store, key, file, sha256, onProgress, signal } = request;
  const { sizeBytes } = remote;
  try {
    const content = {
      sizeBytes,
      sha256,
      read: remote.read,
      onStored: (receivedBytes: number) => onProgress?.({ file, receivedBytes, totalBytes: sizeBytes }),
    };
    return await store.store(key, remote.name, content, signal);
  } finally {
    await remote.close();
  }
}

/** Asks for the listing, or takes that of the last start when the hub cannot be reached. */
async function listFiles(store: OpfsStore, id: string, options: HubOptions): Promise<HubListing> {
  const key = `listing ${hubEndpoint(options)} ${id} ${hubRevision(options)}`;
  try {
    const listing = await fetchHubListing(id, { ...options, hashes: true });
    await store.replace(key, new TextEncoder().encode(JSON.stringify(listing.answer)));
    return listing;
  } catch (error) {
    const unreachable = error instanceof FileError && error.cause instanceof TransientFailure;
    const kept = unreachable ? await store.open(key, `${id}, listing`) : undefined;
    if (kept === undefined) throw error;
    return parseHubListing(id, await kept.read(0, kept.sizeBytes));
  }
}

/**
 * Opens a model of the hub as a folder whose files are stored when they are opened.
 * @param id `org/name`.
 * @param file the file in it that is meant.
 * @throws {@link InvalidRequestError} for a malformed name, revision or endpoint, at once; the folder's methods
 * throw {@link FileError} when the hub cannot be reached or refuses, a hash is wrong, or there is no room.
 */
export function openStoredHubFolder(
  store: OpfsStore,
  id: string,
  options: StoredHubOptions = {},
  file?: string,
): ModelFolder {
  const endpoint = hubEndpoint(options);
  return makeHubFolder(id, options, {
    file,
    list: () => listFiles(store, id, options),
    async open({ listing: { commit, hashes }, file: wanted, name, signal, openRemote }) {
      const key = `hub ${endpoint} ${id} ${commit} ${wanted}`;
      const known = await store.open(key, name);
      if (known !== undefined) return known;
      const { onProgress } = options;
      const sha256 = hashes.get(wanted);
      return storeRemote(await openRemote(), { store, key, file: wanted, sha256, onProgress, signal });
    },
  });
}

/**
 * Stores the files of a folder on a web server when they are opened, by their entity tags; a server that gives
 * none is read as it is.
 */
export function storedHttpFolder(
  store: OpfsStore,
  folder: ModelFolder,
  onProgress?: StoredProgress,
): ModelFolder {
  return makeModelFolder({
    name: folder.name,
    file: folder.file,
    list: (signal) => folder.list(signal),
    has: (file, signal) => folder.has(file, signal),
    async open(file, signal) {
      const remote = await folder.open(file, signal);
      if (remote.version === undefined) return remote;
      const key = `http ${remote.name} ${remote.sizeBytes} ${remote.version}`;
      const known = await store.open(key, remote.name);
      if (known === undefined) return storeRemote(remote, { store, key, file, onProgress, signal });
      await remote.close();
      return known;
    },
  });
}
