import { mkdtemp, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AtomicWriteFileSystem, writeFileAtomic } from "./node-atomic-write.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "atomic-write-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const fullDisk: AtomicWriteFileSystem = {
  async open(path, flags) {
    const file = await open(path, flags);
    return {
      async writeFile(bytes) {
        await file.writeFile(bytes.subarray(0, 3));
        throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
      },
      sync: () => file.sync(),
      close: () => file.close(),
    };
  },
  rename,
  remove: (path) => rm(path, { force: true }),
};

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

describe("writeFileAtomic", () => {
  it("writes a new file and replaces an old one, leaving nothing else", async () => {
    const path = join(folder, "session");
    await writeFileAtomic(path, text("old"));
    await writeFileAtomic(path, text("new"));
    expect(await readFile(path, "utf8")).toBe("new");
    expect(await readdir(folder)).toEqual(["session"]);
  });

  it("keeps the old content and removes the temporary file when the disk is full", async () => {
    const path = join(folder, "session");
    await writeFile(path, "old");
    await expect(writeFileAtomic(path, text("longer"), fullDisk)).rejects.toMatchObject({
      code: "file",
      message: expect.stringMatching(
        /\(6 bytes\) cannot be written, got "a full disk \(ENOSPC\)"\. Free some space/,
      ),
    });
    expect(await readFile(path, "utf8")).toBe("old");
    expect(await readdir(folder)).toEqual(["session"]);
  });

  it("fails the same way when the rename fails", async () => {
    const stuck: AtomicWriteFileSystem = {
      ...fullDisk,
      open,
      rename: () => Promise.reject(Object.assign(new Error("EROFS"), { code: "EROFS" })),
    };
    await expect(writeFileAtomic(join(folder, "other"), text("x"), stuck)).rejects.toThrow(/read-only disk/);
    expect(await readdir(folder)).toEqual(["session"]);
  });

  it("says that the folder is missing", async () => {
    await expect(writeFileAtomic(join(folder, "no", "file"), text("x"))).rejects.toThrow(/ENOENT/);
  });

  it("leaves one of the contents when two write at once", async () => {
    const path = join(folder, "session");
    const contents = ["a", "b", "c", "d"].map((letter) => letter.repeat(100_000));
    await Promise.all(contents.map((content) => writeFileAtomic(path, text(content))));
    expect(contents).toContain(await readFile(path, "utf8"));
  });
});
