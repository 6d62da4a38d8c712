/**
 * Byte source over HTTP ranges: reads parts of a remote file without fetching the rest.
 *
 * Every answer is checked against what was asked: status 206, its Content-Range, its length, and that the
 * file is still the one that was opened. A dropped connection goes on from the bytes that have come.
 * It refuses servers that ignore ranges: reading a header would fetch gigabytes.
 */

import { FileError, InvalidRequestError } from "../errors.ts";
import { allocateBytes, assertRange, type ByteSource } from "./byte-source.ts";
import {
  displayUrl,
  type HttpExchange,
  type HttpOptions,
  retryWithBackoff,
  sendRequest,
  statusFailure,
  TransientFailure,
} from "./http-exchange.ts";

/** Configures {@link openHttpSource}. */
export interface HttpSourceOptions extends HttpOptions {
  /** Names the file in messages; default the URL without its query. */
  readonly name?: string;
  /** Aborts the opening; each read takes its own signal. */
  readonly signal?: AbortSignal | undefined;
}

interface ContentRange {
  readonly first: number;
  readonly last: number;
  readonly sizeBytes: number;
}

/** Parses `bytes 0-99/1234`; an unknown total (`*`) counts as unparsable. */
export function parseContentRange(header: string | null): ContentRange | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,16})$/i.exec(header?.trim() ?? "");
  if (match === null) return undefined;
  const [first, last, sizeBytes] = [Number(match[1]), Number(match[2]), Number(match[3])];
  return first <= last && last < sizeBytes && Number.isSafeInteger(sizeBytes)
    ? { first, last, sizeBytes }
    : undefined;
}

function assertHttpUrl(url: string): void {
  const valid = URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
  if (valid) return;
  throw new InvalidRequestError({
    where: "openHttpSource",
    what: "the address is not a URL that can be fetched",
    got: url,
    expected: "an absolute http: or https: URL",
  });
}

/** @param last the last byte asked for; undefined when it does not matter. */
function checkRangeResponse(
  where: string,
  response: Response,
  first: number,
  last: number | undefined,
): ContentRange {
  if (response.status === 200) {
    throw new FileError({
      where,
      what: "the server ignores range requests",
      got: "status 200 with the whole file",
      expected: "status 206 with the part asked for",
      remedy: "Serve the file from a server that supports ranges, or download it first.",
    });
  }
  if (response.status !== 206) throw statusFailure(where, response, "status 206");
  const header = response.headers.get("content-range");
  const range = parseContentRange(header);
  if (range === undefined || range.first !== first || range.last !== (last ?? range.last)) {
    throw new FileError({
      where,
      what: "the server sent another range than asked for",
      got: header === null ? "no Content-Range header" : header,
      expected: `bytes ${first}-${last ?? first}`,
      remedy:
        header === null
          ? "In a browser the server must name Content-Range in Access-Control-Expose-Headers."
          : "Use a server or proxy that supports ranges.",
    });
  }
  return range;
}

interface RemoteFile {
  readonly sizeBytes: number;
  readonly etag: string | null;
}

/** Asks for the first byte: this shows the size and, unlike HEAD, whether ranges work. */
async function probe(url: string, where: string, options: HttpSourceOptions): Promise<RemoteFile> {
  const exchange = await sendRequest(
    url,
    { method: "GET", headers: { range: "bytes=0-0" } },
    options,
    options.signal,
  );
  try {
    const { response } = exchange;
    const etag = response.headers.get("etag");
    // An empty file has no first byte: the server answers 416 with `bytes */0`.
    if (response.status === 416 && response.headers.get("content-range")?.trim() === "bytes */0") {
      return { sizeBytes: 0, etag };
    }
    // Some servers (sirv, which Vite serves with) take 0-0 for the whole file: its body is not read anyway.
    return { sizeBytes: checkRangeResponse(where, response, 0, undefined).sizeBytes, etag };
  } finally {
    await exchange.discard();
  }
}

function assertUnchanged(where: string, file: RemoteFile, sizeBytes: number, etag: string | null): void {
  const sameTag = etag === null || file.etag === null || etag === file.etag;
  if (sizeBytes === file.sizeBytes && sameTag) return;
  throw new FileError({
    where,
    what: "the file changed on the server while it was read",
    got: `${sizeBytes} bytes, etag ${etag}`,
    expected: `${file.sizeBytes} bytes, etag ${file.etag}`,
    remedy: "Open it again.",
  });
}

async function receive(
  where: string,
  exchange: HttpExchange,
  target: Uint8Array,
  startBytes: number,
  onReceived: (receivedBytes: number) => void,
): Promise<void> {
  let receivedBytes = startBytes;
  for await (const chunk of exchange.chunks()) {
    if (receivedBytes + chunk.length > target.length) {
      throw new FileError({
        where,
        what: "the server sent more bytes than asked for",
        got: `over ${receivedBytes + chunk.length}`,
        expected: `${target.length}`,
        remedy: "Use a server or proxy that supports ranges.",
      });
    }
    target.set(chunk, receivedBytes);
    receivedBytes += chunk.length;
    onReceived(receivedBytes);
  }
  if (receivedBytes === target.length) return;
  throw new TransientFailure(
    new FileError({
      where,
      what: "the server sent fewer bytes than asked for",
      got: receivedBytes,
      expected: `${target.length}`,
      remedy: "The file on the server may be truncated, or a proxy cuts answers short.",
    }),
  );
}

/**
 * Opens a remote file for random access by ranges, in browsers and in Node.
 * @param url - an absolute http(s) URL; redirects are followed.
 * @throws {@link FileError} when the server cannot be reached, refuses, or ignores ranges.
 */
export async function openHttpSource(url: string, options: HttpSourceOptions = {}): Promise<ByteSource> {
  assertHttpUrl(url);
  const where = options.name ?? displayUrl(url);
  const file = await retryWithBackoff(() => probe(url, where, options), options);
  let closed = false;
  return {
    name: where,
    sizeBytes: file.sizeBytes,
    ...(file.etag !== null && { version: file.etag }),
    async read(offset, lengthBytes, signal) {
      signal?.throwIfAborted();
      if (closed) throw new FileError({ where, what: "the source was read after it was closed" });
      assertRange(where, file.sizeBytes, offset, lengthBytes);
      const target = allocateBytes(where, lengthBytes);
      let receivedBytes = 0;
      if (lengthBytes === 0) return target;
      const attempt = async (): Promise<void> => {
        const [first, last] = [offset + receivedBytes, offset + lengthBytes - 1];
        const headers = { range: `bytes=${first}-${last}` };
        const exchange = await sendRequest(url, { method: "GET", headers }, options, signal);
        try {
          const range = checkRangeResponse(where, exchange.response, first, last);
          assertUnchanged(where, file, range.sizeBytes, exchange.response.headers.get("etag"));
          await receive(where, exchange, target, receivedBytes, (bytes) => {
            receivedBytes = bytes;
          });
        } finally {
          await exchange.discard();
        }
      };
      await retryWithBackoff(attempt, { ...options, signal, progressBytes: () => receivedBytes });
      return target;
    },
    async close() {
      closed = true;
    },
  };
}
