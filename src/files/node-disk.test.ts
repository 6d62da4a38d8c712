import { mkdtemp, realpath, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDiskSource } from "./node-disk.ts";
import { systemFileError } from "./node-system-error.ts";

let folder = "";
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "node-disk-")));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe("openDiskSource", () => {
  it("resolves symbolic links to the absolute path of the file", async () => {
    await writeFile(join(folder, "blob"), "abc");
    await symlink("blob", join(folder, "link"));
    const source = await openDiskSource(join(folder, "link"));
    expect(source.path).toBe(join(folder, "blob"));
    await source.close();
  });

  it("says that a missing file is missing", async () => {
    await expect(openDiskSource(join(folder, "none"))).rejects.toMatchObject({
      code: "file",
      message: expect.stringMatching(/none: the file cannot be opened, got .*ENOENT.*Check the path/),
    });
  });

  it("says that a folder is a folder, and that a device is no file", async () => {
    await expect(openDiskSource(folder)).rejects.toThrow(/not a file, got "a folder"/);
    await expect(openDiskSource("/dev/null")).rejects.toThrow(/a device or pipe/);
  });

  it("says that a path leads through a file", async () => {
    await writeFile(join(folder, "plain"), "abc");
    await expect(openDiskSource(join(folder, "plain", "x"))).rejects.toThrow(/ENOTDIR/);
  });

  it("names missing permissions with a remedy", () => {
    const denied = Object.assign(new Error("EACCES: permission denied"), { code: "EACCES" });
    expect(systemFileError("secret", "the file cannot be opened", denied)).toMatchObject({
      code: "file",
      cause: denied,
      message:
        'secret: the file cannot be opened, got "no permission (EACCES)". ' +
        "Change the permissions, or run as the owner.",
    });
  });

  it("refuses to read after close, and a file that shrank", async () => {
    const path = join(folder, "shrinking");
    await writeFile(path, "0123456789");
    const source = await openDiskSource(path);
    await truncate(path, 4);
    await expect(source.read(0, 10)).rejects.toThrow(/became shorter .* got "4 bytes"/);
    await source.close();
    await expect(source.read(0, 1)).rejects.toThrow(/after it was closed/);
  });

  it("does not read for an aborted signal", async () => {
    const path = join(folder, "aborted");
    await writeFile(path, "0123456789");
    const source = await openDiskSource(path);
    await expect(source.read(0, 10, AbortSignal.abort(new Error("stop")))).rejects.toThrow("stop");
    await source.close();
  });
});
