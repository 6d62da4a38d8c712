/**
 * A model folder read straight from the Hugging Face hub over HTTP ranges: for browsers, and for a look into a
 * model without downloading it. It stores nothing; Node's hub cache is in node-hub-download.ts.
 */

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
  assertHubId(id);
  const endpoint = hubEndpoint(options);
  const name = `${id}@${hubRevision(options)}`;
  let listing: Promise<HubListing> | undefined;
  const list = (): Promise<HubListing> => {
    listing ??= fetchHubListing(id, options).catch((error: unknown) => {
      // A failure is not remembered: the next use asks again.
      listing = undefined;
      throw error;
    });
    return listing;
  };
  return makeModelFolder({
    name,
    file,
    async list(signal) {
      signal?.throwIfAborted();
      return (await list()).files.filter((listed) => !listed.includes("/"));
    },
    async has(file, signal) {
      signal?.throwIfAborted();
      return (await list()).files.includes(file);
    },
    async open(file, signal) {
      const { commit, files } = await list();
      if (!files.includes(file)) throw missingFileError(name, file);
      return openHttpSource(hubFileUrl(id, file, commit, endpoint), {
        ...options,
        headers: hubHeaders(options),
        name: `${name}/${file}`,
        signal: signal ?? options.signal,
      });
    },
  });
}
