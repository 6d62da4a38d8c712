/**
 * A stand-in for the Hugging Face hub on 127.0.0.1, for tests: repositories in memory, and faults on demand.
 *
 * Small files are served by the hub's own origin; large ones redirect to a second origin, as the real hub does, so that
 * a test sees what reaches it. Every request is recorded.
 */

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

/** Is one repository: its commit and its files by name. */
export interface HubRepository {
  readonly commit: string;
  readonly files: Readonly<Record<string, Uint8Array | string>>;
  /** The files that are stored on the second origin, and named by their SHA-256. */
  readonly large?: readonly string[];
  /** The revisions that stand for the commit; default "main". */
  readonly revisions?: readonly string[];
}

/** Says how a request goes wrong. */
export type Fault = {
  /** The request's path ends with this. */
  readonly path: string;
  readonly method?: "GET" | "HEAD";
  /** Where it happens; default both origins. */
  readonly origin?: SeenRequest["origin"];
  /** How many requests it meets; default 1. */
  readonly times?: number;
} & (
  | { readonly kind: "drop" | "end-early" | "stall"; readonly afterBytes: number }
  | { readonly kind: "status"; readonly status: number; readonly headers?: Record<string, string> }
  | { readonly kind: "wrong-bytes" | "ignore-range" | "wrong-range" | "extra-bytes" }
);

/** Is a request as the server saw it. */
export interface SeenRequest {
  readonly origin: "hub" | "storage";
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** Is a running server. */
export interface HubServer {
  readonly endpoint: string;
  readonly requests: SeenRequest[];
  /** Makes the next matching requests go wrong. */
  fault(fault: Fault): void;
  /** The address of a file. */
  fileUrl(id: string, file: string): string;
  close(): Promise<void>;
}

const encoder = new TextEncoder();

function contentOf(repository: HubRepository, file: string): Uint8Array | undefined {
  const content = Object.hasOwn(repository.files, file) ? repository.files[file] : undefined;
  return typeof content === "string" ? encoder.encode(content) : content;
}

/** Compares bytes quickly: an assertion on long arrays takes seconds. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Returns the etag that the hub gives to a file's content. */
export function hubEtag(content: Uint8Array | string, isLarge: boolean): string {
  const bytes = typeof content === "string" ? encoder.encode(content) : content;
  if (isLarge) return createHash("sha256").update(bytes).digest("hex");
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

function parseRange(
  header: string | undefined,
  sizeBytes: number,
): { first: number; last: number } | undefined {
  const match = /^bytes=(\d+)-(\d*)$/.exec(header ?? "");
  if (match === null) return undefined;
  const last = match[2] === "" ? sizeBytes - 1 : Math.min(Number(match[2]), sizeBytes - 1);
  return { first: Number(match[1]), last };
}

function corrupt(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte) => byte ^ 0xff);
}

function sendPartly(response: ServerResponse, body: Uint8Array, fault: Fault & { afterBytes: number }): void {
  const part = body.subarray(0, fault.afterBytes);
  if (fault.kind === "end-early") {
    response.removeHeader("content-length");
    response.end(part);
    return;
  }
  response.flushHeaders();
  response.write(part, () => {
    // A stream that fails forgets what was not read yet: give the reader time, so that it has made progress.
    if (fault.kind === "drop") setTimeout(() => response.socket?.destroySoon(), 30);
  });
}

function sendContent(
  request: IncomingMessage,
  response: ServerResponse,
  content: Uint8Array,
  fault: Fault | undefined,
): void {
  const bytes = fault?.kind === "wrong-bytes" ? corrupt(content) : content;
  const range = fault?.kind === "ignore-range" ? undefined : parseRange(request.headers.range, bytes.length);
  if (range !== undefined && range.first >= bytes.length) {
    response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
    return;
  }
  let body = range === undefined ? bytes : bytes.subarray(range.first, range.last + 1);
  if (range !== undefined) {
    response.statusCode = 206;
    const shift = fault?.kind === "wrong-range" ? 1 : 0;
    response.setHeader("content-range", `bytes ${range.first + shift}-${range.last}/${bytes.length}`);
  }
  if (fault?.kind === "extra-bytes") body = Buffer.concat([body, Buffer.from("extra")]);
  if (fault?.kind !== "extra-bytes" || request.method === "HEAD") {
    response.setHeader("content-length", body.length);
  }
  if (request.method === "HEAD") response.end();
  else if (fault !== undefined && "afterBytes" in fault) sendPartly(response, body, fault);
  else response.end(body);
}

/** Lets pages of other origins read the answers, as the hub does. */
function allowOrigins(response: ServerResponse): void {
  response.setHeader("access-control-allow-origin", "*");
  response.setHeader("access-control-allow-headers", "*");
  response.setHeader(
    "access-control-expose-headers",
    "ETag, Content-Range, X-Repo-Commit, X-Linked-ETag, X-Linked-Size, X-Error-Code",
  );
}

function listen(server: Server): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("no port"));
      else resolve(`http://127.0.0.1:${address.port}`);
    });
  });
}

function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

interface Located {
  readonly repository: HubRepository;
  readonly file: string | undefined;
}

/** Starts a hub that serves the given repositories by their names; with `token`, only to who sends it. */
export async function startHubServer(
  repositories: Readonly<Record<string, HubRepository>>,
  token?: string,
): Promise<HubServer> {
  const requests: SeenRequest[] = [];
  const faults: { fault: Fault; left: number }[] = [];
  let storageOrigin = "";

  const takeFault = ({ origin, method, path }: SeenRequest): Fault | undefined => {
    const active = faults.find(
      ({ fault, left }) =>
        left > 0 &&
        path.endsWith(fault.path) &&
        (fault.method ?? method) === method &&
        (fault.origin ?? origin) === origin,
    );
    if (active !== undefined) active.left--;
    return active?.fault;
  };
  const begin = (origin: SeenRequest["origin"], request: IncomingMessage, response: ServerResponse) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
    const method = request.method ?? "GET";
    const { range, authorization } = request.headers;
    const seen: SeenRequest = { origin, method, path, range, authorization };
    requests.push(seen);
    const fault = takeFault(seen);
    if (fault?.kind !== "status") return { path, fault, done: false };
    response.writeHead(fault.status, fault.headers).end();
    return { path, fault, done: true };
  };
  const locate = (path: string): Located | undefined => {
    const match = /^(?:\/api\/models)?\/([^/]+\/[^/]+)\/(?:resolve|revision)\/(.+)$/.exec(path);
    const id = match?.[1] ?? "";
    const repository = Object.hasOwn(repositories, id) ? repositories[id] : undefined;
    if (repository === undefined) return undefined;
    const rest = match?.[2] ?? "";
    const revisions = [repository.commit, ...(repository.revisions ?? ["main"])];
    const revision = revisions.find((name) => rest === name || rest.startsWith(`${name}/`));
    if (revision === undefined) return undefined;
    return { repository, file: rest === revision ? undefined : rest.slice(revision.length + 1) };
  };

  const hub = createServer((request, response) => {
    allowOrigins(response);
    if (request.method === "OPTIONS") return void response.writeHead(204).end();
    const { path, fault, done } = begin("hub", request, response);
    if (done) return;
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
      response.writeHead(401, { "x-error-code": "GatedRepo" }).end();
      return;
    }
    const located = locate(path);
    if (located === undefined) return void response.writeHead(404).end();
    const { repository, file } = located;
    response.setHeader("x-repo-commit", repository.commit);
    if (file === undefined) {
      const asksHashes = request.url?.includes("blobs=true") === true;
      const siblings = Object.keys(repository.files).map((rfilename) => {
        const content = contentOf(repository, rfilename) ?? new Uint8Array();
        const isLarge = repository.large?.includes(rfilename) === true;
        return { rfilename, ...(asksHashes && isLarge && { lfs: { sha256: hubEtag(content, true) } }) };
      });
      return void response.end(JSON.stringify({ sha: repository.commit, siblings }));
    }
    const content = contentOf(repository, file);
    if (content === undefined) return void response.writeHead(404, { "x-error-code": "EntryNotFound" }).end();
    const isLarge = repository.large?.includes(file) ?? false;
    const etag = hubEtag(content, isLarge);
    if (!isLarge) {
      response.setHeader("etag", `"${etag}"`);
      return sendContent(request, response, content, fault);
    }
    response.setHeader("x-linked-etag", `"${etag}"`);
    response.setHeader("x-linked-size", content.length);
    response.writeHead(302, { location: `${storageOrigin}${path}?signature=secret` }).end();
  });
  const storage = createServer((request, response) => {
    allowOrigins(response);
    if (request.method === "OPTIONS") return void response.writeHead(204).end();
    const { path, fault, done } = begin("storage", request, response);
    if (done) return;
    const located = locate(path);
    const content = located?.file === undefined ? undefined : contentOf(located.repository, located.file);
    if (content === undefined) return void response.writeHead(404).end();
    response.setHeader("etag", '"storage-etag"');
    sendContent(request, response, content, fault);
  });
  const endpoint = await listen(hub);
  storageOrigin = await listen(storage);
  return {
    endpoint,
    requests,
    fault: (fault) => void faults.push({ fault, left: fault.times ?? 1 }),
    fileUrl: (id, file) => `${endpoint}/${id}/resolve/main/${file}`,
    close: async () => void (await Promise.all([stop(hub), stop(storage)])),
  };
}
