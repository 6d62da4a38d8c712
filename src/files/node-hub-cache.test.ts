import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hubCacheDir, isHubOffline, readHubToken } from "./node-hub-cache.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "hub-cache-"));
  await writeFile(join(folder, "token"), "from-file\n");
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe("hubCacheDir", () => {
  it("follows the variables in the order that Hugging Face's tools do", () => {
    const all = { HF_HUB_CACHE: "/a", HF_HOME: "/b", XDG_CACHE_HOME: "/c" };
    expect(hubCacheDir(all)).toBe("/a");
    expect(hubCacheDir({ ...all, HF_HUB_CACHE: "" })).toBe("/b/hub");
    expect(hubCacheDir({ XDG_CACHE_HOME: "/c" })).toBe("/c/huggingface/hub");
    expect(hubCacheDir({})).toBe(join(homedir(), ".cache/huggingface/hub"));
    expect(hubCacheDir({ HF_HOME: "~/hf" })).toBe(join(homedir(), "hf/hub"));
  });
});

describe("readHubToken", () => {
  it("prefers the variable, then the file, then nothing", async () => {
    expect(await readHubToken({ HF_TOKEN: " direct ", HF_HOME: folder })).toBe("direct");
    expect(await readHubToken({ HF_HOME: folder })).toBe("from-file");
    expect(await readHubToken({ HF_TOKEN_PATH: join(folder, "token") })).toBe("from-file");
    expect(await readHubToken({ HF_HOME: join(folder, "none") })).toBeUndefined();
  });
});

describe("isHubOffline", () => {
  it("knows the spellings of yes", () => {
    for (const value of ["1", "ON", "yes", "True"])
      expect(isHubOffline({ HF_HUB_OFFLINE: value })).toBe(true);
    for (const value of ["", "0", "no", undefined])
      expect(isHubOffline({ HF_HUB_OFFLINE: value })).toBe(false);
  });
});
