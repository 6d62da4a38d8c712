import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type HubServer, startHubServer } from "../../test/support/hub-server.ts";
import { FileError } from "../errors.ts";
import { type ByteSource, memoryByteSource } from "./byte-source.ts";
import { openHttpSource } from "./http-source.ts";
import { openDiskSource } from "./node-disk.ts";

const content = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);
let folder = "";
let server: HubServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "byte-source-"));
  await writeFile(join(folder, "content"), content);
  await writeFile(join(folder, "empty"), "");
  server = await startHubServer({
    "org/files": { commit: "c0ffee", files: { content, empty: "", large: content }, large: ["large"] },
  });
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

const openers: Readonly<Record<string, (file: string) => Promise<ByteSource>>> = {
  memory: async (file) => memoryByteSource(file, file === "empty" ? new Uint8Array() : content),
  disk: (file) => openDiskSource(join(folder, file)),
  http: (file) => openHttpSource(server.fileUrl("org/files", file)),
  "http after a redirect": (file) =>
    openHttpSource(server.fileUrl("org/files", file === "empty" ? file : "large")),
};

describe.each(Object.entries(openers))("a byte source over %s", (_kind, open) => {
  it("knows its size and reads any range, the empty ones included", async () => {
    const source = await open("content");
    expect(source.sizeBytes).toBe(1000);
    expect(await source.read(0, 1000)).toEqual(content);
    expect(await source.read(10, 1)).toEqual(content.subarray(10, 11));
    expect(await source.read(990, 10)).toEqual(content.subarray(990));
    expect(await source.read(1000, 0)).toEqual(new Uint8Array());
    await source.close();
  });

  it("serves an empty file", async () => {
    const source = await open("empty");
    expect(source.sizeBytes).toBe(0);
    expect(await source.read(0, 0)).toEqual(new Uint8Array());
    await source.close();
  });

  it.each([
    [-1, 1],
    [0, 1001],
    [1000, 1],
    [0.5, 1],
    [0, -1],
    [Number.NaN, 1],
  ])("refuses the range %d + %d with a FileError", async (offset, lengthBytes) => {
    const source = await open("content");
    await expect(source.read(offset, lengthBytes)).rejects.toThrow(FileError);
    await source.close();
  });

  it("reads several ranges at once", async () => {
    const source = await open("content");
    const parts = await Promise.all([0, 250, 500, 750].map((offset) => source.read(offset, 250)));
    expect(Buffer.concat(parts)).toEqual(Buffer.from(content));
    await source.close();
  });

  it("closes twice without harm", async () => {
    const source = await open("content");
    await source.close();
    await source.close();
  });
});
