/**
 * The Hugging Face hub's addresses and answers: which files a model has, and what each is (size, hash, commit).
 *
 * Works over `fetch` alone, in browsers and in Node; it stores nothing and reads no environment.
 * The token goes to the hub's own origin only. Whatever the server says is validated: names, hashes, sizes.
 */

import { FileError, InvalidRequestError } from "../errors.ts";
import {
  displayUrl,
  type HttpExchange,
  type HttpOptions,
  type HttpRequest,
  readBody,
  retryWithBackoff,
  sendRequest,
  statusFailure,
  type TransientFailure,
} from "./http-exchange.ts";
import { isContainedFile } from "./model-folder.ts";

/** The public hub. */
const defaultHubEndpoint = "https://huggingface.co";

/** Bounds the answer that lists a repository's files, in bytes. */
const listingLimitBytes = 64 * 1024 * 1024;

/** Says which hub to ask, for which revision, and how. */
export interface HubOptions extends HttpOptions {
  /** A branch, tag, `refs/pr/N` or commit; default "main". */
  readonly revision?: string | undefined;
  /** The hub's address; default "https://huggingface.co". */
  readonly endpoint?: string | undefined;
  /** An access token, for private and gated repositories. */
  readonly token?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Lists a repository at one commit. */
export interface HubListing {
  readonly commit: string;
  /** The files' names within the repository. */
  readonly files: readonly string[];
  /** The SHA-256 (64 hex digits) of files, where it was asked for and the hub knows it: of the large ones. */
  readonly hashes: ReadonlyMap<string, string>;
  /** What the hub said, for {@link parseHubListing}. */
  readonly answer: unknown;
}

/** Says what one file of a repository is, before its bytes are fetched. */
export interface HubFile {
  /** Where to fetch it; the token may be sent here. */
  readonly url: string;
  readonly commit: string;
  /** The SHA-256 (64 hex digits) of a large file, the git blob's SHA-1 (40) of a small one; else opaque. */
  readonly etag: string;
  /** The length in bytes, where the server says it. */
  readonly sizeBytes: number | undefined;
}

const namePattern = /^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/;

/** Tells whether a text has the form of a model's name on the hub: `org/name`. */
export function isHubId(text: string): boolean {
  const parts = text.split("/");
  return parts.length === 2 && parts.every((part) => namePattern.test(part) && !/\.\.|--/.test(part));
}

/** Is what a text asks for on the hub: a repository, and perhaps one file of it. */
export interface HubAddress {
  readonly id: string;
  readonly file?: string;
}

/** Reads `org/name` or `org/name/FILE.gguf`; undefined when a text is neither. */
export function parseHubAddress(text: string): HubAddress | undefined {
  if (isHubId(text)) return { id: text };
  const parts = text.split("/");
  const [id, file] = [parts.slice(0, 2).join("/"), parts.slice(2).join("/")];
  return isHubId(id) && file.endsWith(".gguf") && isContainedFile(file) ? { id, file } : undefined;
}

/** Checks a model's name. @throws {@link InvalidRequestError} */
export function assertHubId(id: string): void {
  if (isHubId(id)) return;
  throw new InvalidRequestError({
    where: "Hugging Face hub",
    what: "this is not a model's name",
    got: id,
    expected: "org/name of letters, digits, single - or ., and _",
    remedy: "Copy the name from the model's page.",
  });
}

/** Returns the revision of the options, validated. @throws {@link InvalidRequestError} */
export function hubRevision(options: HubOptions): string {
  const revision = options.revision ?? "main";
  if (isContainedFile(revision) && revision.length <= 255) return revision;
  throw new InvalidRequestError({
    where: "Hugging Face hub",
    what: "the revision is malformed",
    got: revision,
    expected: "a branch, tag or commit",
  });
}

/** Returns the hub's address of the options, without a slash at the end. @throws {@link InvalidRequestError} */
export function hubEndpoint(options: HubOptions): string {
  const endpoint = options.endpoint ?? defaultHubEndpoint;
  if (URL.canParse(endpoint) && /^https?:$/.test(new URL(endpoint).protocol)) {
    return endpoint.replace(/\/+$/, "");
  }
  throw new InvalidRequestError({
    where: "Hugging Face hub",
    what: "the endpoint is not a URL",
    got: endpoint,
    expected: "an absolute http: or https: URL",
    remedy: "Correct the endpoint option or HF_ENDPOINT.",
  });
}

/** Returns the address of a file at a revision or commit. */
export function hubFileUrl(id: string, file: string, revision: string, endpoint: string): string {
  const path = file.split("/").map(encodeURIComponent).join("/");
  return `${endpoint}/${id}/resolve/${encodeURIComponent(revision)}/${path}`;
}

/**
 * Returns the request headers that the hub wants.
 * Bodies must come as they are: a length or range of compressed bytes would be of no use.
 */
export function hubHeaders(options: HubOptions): Record<string, string> {
  const authorization: Record<string, string> =
    options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
  return { ...options.headers, "accept-encoding": "identity", ...authorization };
}

function hubRemedy(status: number, errorCode: string | null, hasToken: boolean): string {
  if (errorCode === "GatedRepo" || (status === 403 && hasToken)) {
    return "The repository is gated: ask for access on its page, and pass a token of that account (HF_TOKEN).";
  }
  if (status === 401 || status === 403) {
    return hasToken
      ? "The token (HF_TOKEN) is not valid here, or the repository does not exist: check both."
      : "The repository is private or gated, or does not exist: check its name and set HF_TOKEN.";
  }
  if (errorCode === "RevisionNotFound") return "Check the revision.";
  return "Check the name, the file and the revision.";
}

/** Returns the error for a failed answer of the hub, naming repository, revision and file. */
export function hubStatusFailure(
  response: Response,
  id: string,
  revision: string,
  file: string | undefined,
  hasToken: boolean,
): FileError | TransientFailure {
  const { status } = response;
  const where = `${id}@${revision}${file === undefined ? "" : `/${file}`}`;
  if (status !== 401 && status !== 403 && status !== 404) return statusFailure(where, response);
  return new FileError({
    where,
    what:
      status === 404
        ? `the hub has no such ${file === undefined ? "model or revision" : "file"}`
        : "the hub refuses access",
    got: `status ${status}`,
    expected: "status 200",
    remedy: hubRemedy(status, response.headers.get("x-error-code"), hasToken),
  });
}

const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const redirectLimit = 8;

/**
 * Sends a request and follows redirects itself, so that the token never reaches another origin.
 * @param stopAt - tells whether an answer is wanted as it is, although it redirects.
 */
export async function sendHubRequest(
  url: string,
  request: HttpRequest,
  options: HubOptions,
  stopAt: (response: Response) => boolean = () => false,
): Promise<HttpExchange> {
  const { origin } = new URL(hubEndpoint(options));
  // The options' own headers are merged here, so that hops can drop them.
  const transport: HttpOptions = { ...options, headers: {} };
  let address = url;
  for (let hop = 0; hop <= redirectLimit; hop++) {
    const trusted = new URL(address).origin === origin;
    const headers = { ...hubHeaders(trusted ? options : { ...options, headers: {}, token: undefined }) };
    const hopRequest = { ...request, headers: { ...headers, ...request.headers } };
    let exchange = await sendRequest(
      address,
      { ...hopRequest, redirect: "manual" },
      transport,
      options.signal,
    );
    if (exchange.response.type === "opaqueredirect") {
      // A browser shows no redirect's target; its own following drops the token across origins.
      exchange = await sendRequest(address, hopRequest, transport, options.signal);
    }
    const { response } = exchange;
    const target = response.headers.get("location");
    if (!redirectStatuses.has(response.status) || target === null || stopAt(response)) return exchange;
    await exchange.discard();
    address = new URL(target, address).href;
  }
  throw new FileError({
    where: displayUrl(url),
    what: "the server redirects in circles",
    expected: `at most ${redirectLimit} redirects`,
    remedy: "Check the endpoint.",
  });
}

function malformedAnswer(where: string, what: string, got: unknown, expected: string): FileError {
  const remedy = "Check that the endpoint is a Hugging Face hub, and that no proxy changes its answers.";
  return new FileError({ where, what, got, expected, remedy });
}

/** Tells whether a text from the server may name one entry of a folder on disk. */
function isPlainName(text: unknown): text is string {
  return typeof text === "string" && /^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/.test(text);
}

function parseSibling(
  where: string,
  sibling: unknown,
): { readonly name: string; readonly sha256: string | undefined } {
  const fields: { rfilename?: unknown; lfs?: unknown } =
    typeof sibling === "object" && sibling !== null ? sibling : {};
  const { rfilename: name, lfs } = fields;
  if (typeof name !== "string" || !isContainedFile(name)) {
    throw malformedAnswer(where, "a file's name is malformed", name, "a relative name without ..");
  }
  const hash: unknown = typeof lfs === "object" && lfs !== null && "sha256" in lfs ? lfs.sha256 : undefined;
  return { name, sha256: typeof hash === "string" && /^[0-9a-f]{64}$/.test(hash) ? hash : undefined };
}

/**
 * Reads a hub's answer about a repository.
 * @throws {@link FileError} when it is none.
 */
export function parseHubListing(where: string, body: Uint8Array): HubListing {
  let answer: unknown;
  try {
    answer = JSON.parse(new TextDecoder().decode(body));
  } catch {
    throw malformedAnswer(where, "the hub's answer is not JSON", "other text", "a JSON object");
  }
  const fields: { sha?: unknown; siblings?: unknown } =
    typeof answer === "object" && answer !== null ? answer : {};
  if (!isPlainName(fields.sha)) throw malformedAnswer(where, "the commit is malformed", fields.sha, "a hash");
  if (!Array.isArray(fields.siblings)) {
    throw malformedAnswer(where, "the list of files is malformed", fields.siblings, "a list");
  }
  const files = fields.siblings.map((sibling: unknown) => parseSibling(where, sibling));
  const hashes = new Map(
    files.flatMap(({ name, sha256 }) => (sha256 === undefined ? [] : [[name, sha256] as const])),
  );
  return { commit: fields.sha, files: files.map(({ name }) => name), hashes, answer };
}

/** Says what to ask about a repository. */
export interface HubListingOptions extends HubOptions {
  /** Whether the files' hashes are wanted too; default false. */
  readonly hashes?: boolean;
}

/**
 * Asks the hub which files a model has.
 * @throws {@link FileError} when the hub cannot be reached, refuses, or knows no such model.
 */
export async function fetchHubListing(id: string, options: HubListingOptions = {}): Promise<HubListing> {
  assertHubId(id);
  const revision = hubRevision(options);
  const url = `${hubEndpoint(options)}/api/models/${id}/revision/${encodeURIComponent(revision)}${options.hashes === true ? "?blobs=true" : ""}`;
  return retryWithBackoff(async () => {
    const exchange = await sendHubRequest(url, { method: "GET", headers: {} }, options);
    try {
      if (exchange.response.status !== 200) {
        throw hubStatusFailure(exchange.response, id, revision, undefined, options.token !== undefined);
      }
      return parseHubListing(`${id}@${revision}`, await readBody(exchange, listingLimitBytes));
    } finally {
      await exchange.discard();
    }
  }, options);
}

function parseSize(text: string | null): number | undefined {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/**
 * Asks the hub what a file is, without fetching it.
 * @param id - `org/name`.
 * @param file - the file's name within the repository.
 * @throws {@link FileError} when the hub cannot be reached, refuses, or has no such file.
 */
export async function resolveHubFile(id: string, file: string, options: HubOptions = {}): Promise<HubFile> {
  assertHubId(id);
  const revision = hubRevision(options);
  const url = hubFileUrl(id, file, revision, hubEndpoint(options));
  const where = `${id}@${revision}/${file}`;
  // A large file redirects to storage on another host, which does not know the file's hash: stop before.
  const isLinked = (response: Response): boolean => response.headers.has("x-linked-etag");
  return retryWithBackoff(async () => {
    const exchange = await sendHubRequest(url, { method: "HEAD", headers: {} }, options, isLinked);
    await exchange.discard();
    const { response } = exchange;
    const { headers } = response;
    if (response.status !== 200 && !isLinked(response)) {
      throw hubStatusFailure(response, id, revision, file, options.token !== undefined);
    }
    const header = headers.get("x-linked-etag") ?? headers.get("etag");
    const etag = header?.replace(/^W\//, "").replace(/^"(.*)"$/, "$1");
    if (!isPlainName(etag)) throw malformedAnswer(where, "the etag is malformed", header, "a hash");
    const commit = headers.get("x-repo-commit") ?? revision;
    if (!isPlainName(commit)) throw malformedAnswer(where, "the commit is malformed", commit, "a hash");
    const linked = isLinked(response);
    return {
      url,
      commit,
      etag,
      sizeBytes: parseSize(headers.get(linked ? "x-linked-size" : "content-length")),
    };
  }, options);
}
