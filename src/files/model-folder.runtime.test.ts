import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type HubServer, startHubServer } from "../../test/support/hub-server.ts";
import { httpModelFolder } from "./http-folder.ts";
import { openHubFolder } from "./hub-folder.ts";
import { isContainedFile, type ModelFolder, memoryModelFolder } from "./model-folder.ts";
import { diskModelFolder, openNodeModelFolder } from "./node-model-folder.ts";

const files = {
  "config.json": '\uFEFF{"a": 1}',
  "broken.json": "{",
  "latin.txt": Uint8Array.of(0xe9, 0x20),
  "sub/deep.txt": "grüße",
};
let folder = "";
let server: HubServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "model-folder-"));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  await symlink("nowhere", join(folder, "dangling.json"));
  server = await startHubServer({ "org/model": { commit: "c0ffee", files, large: ["sub/deep.txt"] } });
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

const makers: Readonly<Record<string, () => ModelFolder>> = {
  memory: () => memoryModelFolder("model", files),
  disk: () => diskModelFolder(folder),
  http: () => httpModelFolder(server.fileUrl("org/model", ""), { retryDelayMs: 1 }),
  hub: () => openHubFolder("org/model", { endpoint: server.endpoint, retryDelayMs: 1 }),
};

describe.each(Object.entries(makers))("a model folder in %s", (_kind, make) => {
  it("knows its files", async () => {
    const model = make();
    expect(await model.has("config.json")).toBe(true);
    expect(await model.has("sub/deep.txt")).toBe(true);
    expect(await model.has("none.json")).toBe(false);
    expect(await model.has("sub")).toBe(false);
    expect(await model.has("toString")).toBe(false);
  });

  it("reads text as UTF-8 and JSON without a byte order mark", async () => {
    const model = make();
    expect(await model.readText("sub/deep.txt")).toBe("grüße");
    expect(await model.readJson("config.json")).toEqual({ a: 1 });
  });

  it("opens a file for random access", async () => {
    const source = await make().open("sub/deep.txt");
    expect(await source.read(0, 2)).toEqual(new TextEncoder().encode("gr"));
    await source.close();
  });

  it("names the folder and the file that is missing, damaged or not text", async () => {
    const model = make();
    await expect(model.open("none.json")).rejects.toMatchObject({
      code: "file",
      message: `${model.name}: a file is missing, got "nothing there", expected none.json. Check that the folder is complete, or download it again.`,
    });
    await expect(model.readJson("broken.json")).rejects.toThrow(/broken\.json: the file is not JSON/);
    await expect(model.readText("latin.txt")).rejects.toThrow(/latin\.txt: the file is not UTF-8/);
  });

  it.each(["../secret", "/etc/passwd", "a/../../b", "", "a//b", "C:\\x", "./a"])(
    "refuses %j",
    async (name) => {
      const model = make();
      await expect(model.has(name)).rejects.toMatchObject({ code: "invalid-request" });
      await expect(model.open(name)).rejects.toMatchObject({ code: "invalid-request" });
      await expect(model.readText(name)).rejects.toMatchObject({ code: "invalid-request" });
    },
  );

  it("opens nothing for an aborted signal", async () => {
    const signal = AbortSignal.abort(new Error("stop"));
    await expect(make().open("config.json", signal)).rejects.toThrow("stop");
  });
});

describe("httpModelFolder", () => {
  it("does not take a failing server for a missing file", async () => {
    server.fault({ path: "config.json", kind: "status", status: 403 });
    await expect(makers.http?.().has("config.json")).rejects.toThrow(/got "status 403/);
  });

  it("keeps the address's query for every file", async () => {
    const asked: string[] = [];
    const fetch = async (url: string) => {
      asked.push(url);
      return new Response(null);
    };
    await httpModelFolder("https://host/models/a/?key=1", { fetch }).has("x y/b#.json");
    expect(asked).toEqual(["https://host/models/a/x%20y/b%23.json?key=1"]);
  });

  it("refuses an address without a host", () => {
    expect(() => httpModelFolder("models/a")).toThrow(/absolute http: or https: URL/);
  });
});

describe("isContainedFile", () => {
  it("accepts plain and nested names", () => {
    for (const name of ["a", "a.b", "a/b", "..a", "a..b/c", ".hidden"])
      expect(isContainedFile(name)).toBe(true);
  });
});

describe("openNodeModelFolder", () => {
  it("opens an existing folder, with its absolute path", async () => {
    const model = await openNodeModelFolder(folder);
    expect(model.path).toBe(folder);
    expect(await model.readJson("config.json")).toEqual({ a: 1 });
  });

  it("calls a dangling link missing", async () => {
    await expect(diskModelFolder(folder).open("dangling.json")).rejects.toThrow(/a file is missing/);
  });

  it("says that a file is not a folder", async () => {
    await expect(openNodeModelFolder(join(folder, "config.json"))).rejects.toThrow(
      /a model is a folder, got "a file"/,
    );
  });

  it.each(["./none", "../none", "/none/at/all", "~/none-at-all", "none", "a/b/c", "", "org/..", "org/a b"])(
    "takes %j for a path that is missing, without asking a hub",
    async (name) => {
      const fetch = () => Promise.reject(new Error("asked"));
      await expect(openNodeModelFolder(name, { fetch })).rejects.toThrow(/there is no such model folder/);
    },
  );

  it("takes org/name for the hub's", async () => {
    const opening = openNodeModelFolder("org/name", { offline: true, cacheDir: join(folder, "cache") });
    await expect(opening).rejects.toThrow(/org\/name@main: the model is not complete in the hub cache/);
  });
});
