/**
 * A model folder read straight from the Hugging Face hub over HTTP ranges: for browsers, and for a look into a
 * model without downloading it. It stores nothing; Node's hub cache is in node-hub-download.ts, the browser's in
 * stored-folder.ts.
 */

import type { ByteSource } from "./byte-source.ts";
import { openHttpSource } from "./http-source.ts";
import {
  assertHubId,
  fetchHubListing,
  type HubListing,
  type HubOptions,
  hubEndpoint,
  hubFileUrl,
  hubHeaders,
  hubRevision,
} from "./hub.ts";
import { type ModelFolder, makeModelFolder, missingFileError } from "./model-folder.ts";

/**
 * Opens a model of the hub as a folder; the first use asks the hub for its files, at one commit from then on.
 * @param id - `org/name`.
 * @param file - the file in it that is meant.
 * @throws {@link InvalidRequestError} for a malformed name, revision or endpoint, at once;
 * the folder's methods throw {@link FileError} when the hub cannot be reached or refuses.
 */
export function openHubFolder(id: string, options: HubOptions = {}, file?: string): ModelFolder {
  return makeHubFolder(id, options, {
    file,
    list: () => fetchHubListing(id, options),
    open: (wanted) => wanted.openRemote(),
  });
}

/** Is a file that is there, at the commit of the listing. */
export interface HubFile {
  readonly listing: HubListing;
  readonly file: string;
  /** Names it in messages. */
  readonly name: string;
  readonly signal: AbortSignal | undefined;
  /** Opens it over HTTP ranges. */
  openRemote(): Promise<ByteSource>;
}

/** Says how a folder of the hub is listed and its files are opened. */
export interface HubFolderParts {
  readonly file: string | undefined;
  list(): Promise<HubListing>;
  open(file: HubFile): Promise<ByteSource>;
}

/** Makes a folder of a repository: its listing is asked for once, at the first use. */
export function makeHubFolder(id: string, options: HubOptions, parts: HubFolderParts): ModelFolder {
  assertHubId(id);
  const endpoint = hubEndpoint(options);
  const name = `${id}@${hubRevision(options)}`;
  let listing: Promise<HubListing> | undefined;
  const list = (): Promise<HubListing> => {
    listing ??= parts.list().catch((error: unknown) => {
      // A failure is not remembered: the next use asks again.
      listing = undefined;
      throw error;
    });
    return listing;
  };
  return makeModelFolder({
    name,
    file: parts.file,
    async list(signal) {
      signal?.throwIfAborted();
      return (await list()).files.filter((listed) => !listed.includes("/"));
    },
    async has(file, signal) {
      signal?.throwIfAborted();
      return (await list()).files.includes(file);
    },
    async open(file, ownSignal) {
      const listed = await list();
      if (!listed.files.includes(file)) throw missingFileError(name, file);
      const [path, signal] = [`${name}/${file}`, ownSignal ?? options.signal];
      const openRemote = (): Promise<ByteSource> =>
        openHttpSource(hubFileUrl(id, file, listed.commit, endpoint), {
          ...options,
          headers: hubHeaders(options),
          name: path,
          signal,
        });
      return parts.open({ listing: listed, file, name: path, signal, openRemote });
    },
  });
}
