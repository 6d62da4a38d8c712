/**
 * A model folder below a web address, read over HTTP ranges: for models that a site serves itself.
 */

import { InvalidRequestError } from "../errors.ts";
import {
  displayUrl,
  type HttpOptions,
  retryWithBackoff,
  sendRequest,
  statusFailure,
} from "./http-exchange.ts";
import { openHttpSource } from "./http-source.ts";
import { type ModelFolder, makeModelFolder, missingFileError } from "./model-folder.ts";

async function exists(url: string, options: HttpOptions, signal: AbortSignal | undefined): Promise<boolean> {
  return retryWithBackoff(
    async () => {
      const exchange = await sendRequest(url, { method: "HEAD", headers: {} }, options, signal);
      await exchange.discard();
      const { response } = exchange;
      if (response.status === 404 || response.status === 410) return false;
      if (!response.ok) throw statusFailure(displayUrl(url), response);
      return true;
    },
    { ...options, signal },
  );
}

/**
 * Opens the files below an address as a folder; nothing is fetched until a file is asked for. The address of a
 * GGUF file is that of its folder, with the file as the one that is meant.
 * @param baseUrl - an absolute http(s) URL, with or without a slash at the end.
 * @throws {@link InvalidRequestError} when the address is not such a URL.
 */
export function httpModelFolder(baseUrl: string, options: HttpOptions = {}): ModelFolder {
  if (!URL.canParse(baseUrl) || !/^https?:$/.test(new URL(baseUrl).protocol)) {
    throw new InvalidRequestError({
      where: "httpModelFolder",
      what: "the address is not a URL that can be fetched",
      got: baseUrl,
      expected: "an absolute http: or https: URL",
    });
  }
  const base = new URL(baseUrl);
  const [, parent, asked] = /^(.*)\/([^/]+\.gguf)$/.exec(base.pathname) ?? [];
  if (parent !== undefined) base.pathname = parent;
  const name = displayUrl(base.href).replace(/\/+$/, "");
  const urlOf = (file: string): string => {
    const url = new URL(base);
    const path = file.split("/").map(encodeURIComponent).join("/");
    // The query stays: it may hold the signature that the address needs.
    url.pathname = `${base.pathname.replace(/\/+$/, "")}/${path}`;
    return url.href;
  };
  return makeModelFolder({
    name,
    file: asked === undefined ? undefined : decodeURIComponent(asked),
    has: (file, signal) => exists(urlOf(file), options, signal),
    async open(file, signal) {
      if (!(await exists(urlOf(file), options, signal))) throw missingFileError(name, file);
      return openHttpSource(urlOf(file), { ...options, name: `${name}/${file}`, signal });
    },
  });
}
