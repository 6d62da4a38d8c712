import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Fault, type HubServer, sameBytes, startHubServer } from "../../test/support/hub-server.ts";
import { FileError } from "../errors.ts";
import type { HttpOptions } from "./http-exchange.ts";
import { openHttpSource, parseContentRange } from "./http-source.ts";

const content = Uint8Array.from({ length: 50_000 }, (_, index) => (index * 7) % 256);
const quick: HttpOptions = { retryDelayMs: 1, retryLimit: 2, stallTimeoutMs: 2000 };
let server: HubServer;
let url = "";

beforeAll(async () => {
  server = await startHubServer({ "org/files": { commit: "c0ffee", files: { content } } });
  url = server.fileUrl("org/files", "content");
});
afterAll(() => server.close());

async function readWith(fault: Fault | undefined, options: HttpOptions = quick): Promise<Uint8Array> {
  const source = await openHttpSource(url, options);
  if (fault !== undefined) server.fault(fault);
  return source.read(100, 40_000);
}

describe("openHttpSource", () => {
  it("goes on from the received bytes when the connection drops", async () => {
    server.requests.length = 0;
    const bytes = await readWith({ path: "content", kind: "drop", afterBytes: 15_000, times: 2 });
    expect(sameBytes(bytes, content.subarray(100, 40_100))).toBe(true);
    const ranges = server.requests.map(({ range }) => range);
    expect(ranges.slice(0, 2)).toEqual(["bytes=0-0", "bytes=100-40099"]);
    expect(ranges).toHaveLength(4);
    const resumed = ranges.slice(2).map((range) => Number(/^bytes=(\d+)-40099$/.exec(range ?? "")?.[1]));
    expect(Math.min(...resumed)).toBeGreaterThan(100);
  });

  it("goes on when a body ends early without a word", async () => {
    const bytes = await readWith({ path: "content", kind: "end-early", afterBytes: 10 });
    expect(sameBytes(bytes, content.subarray(100, 40_100))).toBe(true);
  });

  it("gives up after as many tries without progress as allowed, and says how many", async () => {
    const fault: Fault = { path: "content", kind: "end-early", afterBytes: 0, times: 3 };
    await expect(readWith(fault)).rejects.toThrow(/could not be read in 3 tries, got 0, expected 40000/);
  });

  it("waits for a busy server", async () => {
    const busy: Fault = { path: "content", kind: "status", status: 503, times: 2 };
    expect(sameBytes(await readWith(busy), content.subarray(100, 40_100))).toBe(true);
    const limited: Fault = { path: "content", kind: "status", status: 429, headers: { "retry-after": "0" } };
    expect(sameBytes(await readWith(limited), content.subarray(100, 40_100))).toBe(true);
  });

  it("counts a silent server as dropped", async () => {
    const bytes = await readWith(
      { path: "content", kind: "stall", afterBytes: 5000 },
      { ...quick, stallTimeoutMs: 40 },
    );
    expect(sameBytes(bytes, content.subarray(100, 40_100))).toBe(true);
  });

  it("refuses a server that ignores ranges, at opening and later", async () => {
    const ignoring: Fault = { path: "content", kind: "ignore-range" };
    await expect(readWith(ignoring)).rejects.toThrow(/ignores range requests, got "status 200/);
    server.fault(ignoring);
    await expect(openHttpSource(url, quick)).rejects.toThrow(/ignores range requests/);
  });

  it("refuses another range than asked for, and bytes beyond it", async () => {
    await expect(readWith({ path: "content", kind: "wrong-range" })).rejects.toThrow(
      /another range than asked for, got "bytes 101-40099\/50000", expected bytes 100-40099/,
    );
    await expect(readWith({ path: "content", kind: "extra-bytes" })).rejects.toThrow(/more bytes than asked/);
  });

  it.each([401, 403, 404])("does not try again after status %d", async (status) => {
    server.requests.length = 0;
    server.fault({ path: "content", kind: "status", status });
    await expect(openHttpSource(url, quick)).rejects.toMatchObject({
      code: "file",
      message: expect.stringContaining(`got "status ${status}`),
    });
    expect(server.requests).toHaveLength(1);
  });

  it("refuses a file that changed since it was opened", async () => {
    let etag = '"one"';
    const fetch = async () =>
      new Response("x", { status: 206, headers: { "content-range": "bytes 0-0/9", etag } });
    const source = await openHttpSource("http://host/file", { ...quick, fetch });
    expect(await source.read(0, 1)).toEqual(new TextEncoder().encode("x"));
    etag = '"two"';
    await expect(source.read(0, 1)).rejects.toThrow(/changed on the server/);
  });

  it("explains a Content-Range that a browser hides", async () => {
    const fetch = async () => new Response("x", { status: 206 });
    await expect(openHttpSource("http://host/file", { ...quick, fetch })).rejects.toThrow(
      /Access-Control-Expose-Headers/,
    );
  });

  it("reports an unreachable server with the cause, after the last try", async () => {
    const fetch = vi.fn(async () => {
      throw new TypeError("fetch failed", {
        cause: Object.assign(new Error("connect"), { code: "ECONNREFUSED" }),
      });
    });
    const opening = openHttpSource("http://user:pass@host/file?signature=secret", { ...quick, fetch });
    const error = await opening.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(FileError);
    expect(String(error)).toContain("ECONNREFUSED");
    expect(String(error)).not.toMatch(/secret|pass/);
    expect(fetch).toHaveBeenCalledTimes(3);
  });

  it("stops at once when aborted, in a body and between tries", async () => {
    const controller = new AbortController();
    const source = await openHttpSource(url, quick);
    server.fault({ path: "content", kind: "stall", afterBytes: 1000 });
    const reading = source.read(0, 40_000, controller.signal);
    setTimeout(() => controller.abort(new Error("stop")), 20);
    await expect(reading).rejects.toThrow("stop");
    server.fault({ path: "content", kind: "status", status: 503 });
    const patient = { ...quick, retryDelayMs: 60_000, signal: AbortSignal.timeout(20) };
    await expect(openHttpSource(url, patient)).rejects.toMatchObject({ name: "TimeoutError" });
  });

  it("refuses to read after close", async () => {
    const source = await openHttpSource(url, quick);
    await source.close();
    await expect(source.read(0, 1)).rejects.toThrow(/after it was closed/);
  });

  it.each(["model.safetensors", "file:///etc/passwd", ""])("refuses %j as an address", async (address) => {
    await expect(openHttpSource(address)).rejects.toMatchObject({ code: "invalid-request" });
  });
});

describe("parseContentRange", () => {
  it("accepts whole ranges within the file only", () => {
    expect(parseContentRange("bytes 0-9/10")).toEqual({ first: 0, last: 9, sizeBytes: 10 });
    for (const header of [
      null,
      "",
      "bytes */10",
      "bytes 0-9/*",
      "bytes 5-4/10",
      "bytes 0-10/10",
      "items 0-9/10",
    ]) {
      expect(parseContentRange(header)).toBeUndefined();
    }
  });
});
