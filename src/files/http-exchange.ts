/**
 * One HTTP exchange at a time: a request, its response, its body in chunks, and when to try again.
 *
 * Tells failures that pass (a dropped connection, a busy server, silence) from those that stay.
 * It refuses to know what is fetched; it runs in browsers and in Node, over `fetch` alone.
 */

import { FileError } from "../errors.ts";

/** Sends a request: the part of `fetch` that is used here, so that a test can stand in for it. */
export type FetchFunction = (url: string, init: RequestInit) => Promise<Response>;

/** Configures how requests are sent and when they are tried again. */
export interface HttpOptions {
  /** Headers of every request. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Stands in for the global `fetch`. */
  readonly fetch?: FetchFunction | undefined;
  /** How many times in a row, without a byte of progress, a failure that passes is tried again; default 4. */
  readonly retryLimit?: number | undefined;
  /** The first wait between two tries; it doubles with each; default 500. */
  readonly retryDelayMs?: number | undefined;
  /** How long a server may stay silent before the connection counts as dropped; default 30000. */
  readonly stallTimeoutMs?: number | undefined;
}

/** Describes one request. */
export interface HttpRequest {
  readonly method: "GET" | "HEAD";
  readonly headers: Readonly<Record<string, string>>;
  /** "manual" hands a redirect back instead of following it; default "follow". */
  readonly redirect?: "follow" | "manual";
}

/** Is a response whose body has not been read yet: read it or discard it. */
export interface HttpExchange {
  readonly response: Response;
  /** Yields the body's chunks; throws {@link TransientFailure} when the connection drops. */
  chunks(): AsyncGenerator<Uint8Array, void, undefined>;
  /** Lets go of the body without reading it. */
  discard(): Promise<void>;
}

/** Carries a failure that may pass; after the last try its `error` is what the caller sees. */
export class TransientFailure extends Error {
  readonly error: FileError;
  /** How long the server asked to be left alone, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(error: FileError, retryAfterMs?: number) {
    super(error.message, { cause: error });
    this.name = "TransientFailure";
    this.error = error;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Bounds the wait between two tries, also when the server asks for more, in milliseconds. */
const longestDelayMs = 30_000;

const transientStatuses: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Returns a URL fit for a message: without credentials, query (it may hold a signature) and fragment. */
export function displayUrl(url: string): string {
  try {
    const parsed = new URL(url);
    return `${parsed.origin}${parsed.pathname}`;
  } catch {
    return url;
  }
}

/** Waits, or throws the signal's reason as soon as it aborts. */
export async function delay(milliseconds: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

function describeCause(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause: unknown = error.cause;
  const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
  const detail = cause instanceof Error && cause.message !== "" ? `: ${cause.message}` : "";
  return `${error.message}${detail}${code}`;
}

function connectionFailure(where: string, error: unknown): TransientFailure {
  return new TransientFailure(
    new FileError({
      where,
      what: "the connection failed",
      got: describeCause(error),
      expected: "a complete answer",
      remedy: "Check the network, the address and, in a browser, that the server allows this origin (CORS).",
      cause: error,
    }),
  );
}

function stallFailure(where: string, stallTimeoutMs: number): TransientFailure {
  return new TransientFailure(
    new FileError({
      where,
      what: "the server fell silent",
      got: `no bytes for ${stallTimeoutMs} ms`,
      expected: "a steady answer",
      remedy: "Check the network, or raise stallTimeoutMs.",
    }),
  );
}

/**
 * Sends one request and waits for the response's head, whatever its status.
 * @throws {@link TransientFailure} when no response came; the signal's reason on abort.
 */
export async function sendRequest(
  url: string,
  request: HttpRequest,
  options: HttpOptions,
  signal?: AbortSignal,
): Promise<HttpExchange> {
  signal?.throwIfAborted();
  const where = displayUrl(url);
  const fetchFunction: FetchFunction = options.fetch ?? ((address, init) => fetch(address, init));
  const stallTimeoutMs = options.stallTimeoutMs ?? 30_000;
  const stall = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const watch = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => stall.abort(), stallTimeoutMs);
  };
  const failure = (error: unknown): unknown => {
    if (signal?.aborted) return signal.reason;
    return stall.signal.aborted ? stallFailure(where, stallTimeoutMs) : connectionFailure(where, error);
  };
  watch();
  let response: Response;
  try {
    response = await fetchFunction(url, {
      method: request.method,
      headers: { ...options.headers, ...request.headers },
      redirect: request.redirect ?? "follow",
      signal: signal === undefined ? stall.signal : AbortSignal.any([signal, stall.signal]),
    });
  } catch (error) {
    throw failure(error);
  } finally {
    clearTimeout(timer);
  }
  return {
    response,
    async *chunks() {
      const reader = response.body?.getReader();
      if (reader === undefined) return;
      try {
        for (;;) {
          watch();
          const { done, value } = await reader.read();
          clearTimeout(timer);
          if (done) return;
          yield value;
        }
      } catch (error) {
        throw failure(error);
      } finally {
        clearTimeout(timer);
        await reader.cancel().catch(() => undefined);
      }
    },
    async discard() {
      await response.body?.cancel().catch(() => undefined);
    },
  };
}

/** Reads a whole body, refusing one above a limit. @throws {@link FileError} */
export async function readBody(exchange: HttpExchange, limitBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of exchange.chunks()) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) {
      throw new FileError({
        where: displayUrl(exchange.response.url),
        what: "the answer is too long",
        got: `over ${sizeBytes} bytes`,
        expected: `at most ${limitBytes} bytes`,
        remedy: "Check that the address is the right one.",
      });
    }
    parts.push(chunk);
  }
  const bytes = new Uint8Array(sizeBytes);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

function retryAfterMs(response: Response): number | undefined {
  const header = response.headers.get("retry-after");
  if (header === null) return undefined;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds * 1000) : undefined;
}

const statusRemedies: Readonly<Record<number, string>> = {
  401: "The server wants credentials: pass a token.",
  403: "The server refuses these credentials: check the token and your access.",
  404: "Check the address: there is nothing here.",
  416: "The file changed on the server: start again.",
  429: "The server limits requests: wait, or pass a token.",
};

/** Returns the error that a failed status stands for; a {@link TransientFailure} when it may pass. */
export function statusFailure(
  where: string,
  response: Response,
  expected = "status 200",
): FileError | TransientFailure {
  const error = new FileError({
    where,
    what: "the server refused the request",
    got: `status ${response.status}${response.statusText === "" ? "" : ` ${response.statusText}`}`,
    expected,
    remedy: statusRemedies[response.status] ?? "Try again later, or use another server.",
  });
  if (!transientStatuses.has(response.status)) return error;
  return new TransientFailure(error, retryAfterMs(response));
}

/** Configures {@link retryWithBackoff}. */
export interface RetryPolicy extends HttpOptions {
  readonly signal?: AbortSignal | undefined;
  /** Returns how far the work has come, in bytes: a try that got further resets the count. */
  readonly progressBytes?: () => number;
}

/**
 * Runs an attempt until it succeeds, waiting twice as long after each failure that may pass.
 * @throws the {@link TransientFailure}'s own `FileError` once `retryLimit` tries in a row got no further,
 * with the failure as `cause`; any other error at once; the signal's reason on abort.
 */
export async function retryWithBackoff<T>(attempt: () => Promise<T>, policy: RetryPolicy): Promise<T> {
  const retryLimit = policy.retryLimit ?? 4;
  const firstDelayMs = policy.retryDelayMs ?? 500;
  let furthestBytes = policy.progressBytes?.() ?? 0;
  let failureCount = 0;
  for (;;) {
    policy.signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      policy.signal?.throwIfAborted();
      if (!(error instanceof TransientFailure)) throw error;
      const reachedBytes = policy.progressBytes?.() ?? 0;
      failureCount = reachedBytes > furthestBytes ? 1 : failureCount + 1;
      furthestBytes = Math.max(furthestBytes, reachedBytes);
      if (failureCount > retryLimit) throw exhausted(error, failureCount);
      const backoffMs = firstDelayMs * 2 ** (failureCount - 1);
      await delay(Math.min(longestDelayMs, Math.max(backoffMs, error.retryAfterMs ?? 0)), policy.signal);
    }
  }
}

function exhausted(failure: TransientFailure, tryCount: number): FileError {
  const { where, got, expected, remedy } = failure.error;
  return new FileError({
    where,
    what: `the server could not be read in ${tryCount} ${tryCount === 1 ? "try" : "tries"}`,
    got,
    ...(expected === undefined ? {} : { expected }),
    ...(remedy === undefined ? {} : { remedy }),
    cause: failure,
  });
}
