import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withLockFile } from "./node-lock-file.ts";

let folder = "";
let path = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lock-file-"));
  path = join(folder, "lock");
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe("withLockFile", () => {
  it("lets one work at a time, and leaves no file", async () => {
    let holders = 0;
    const work = async (): Promise<number> => {
      holders++;
      await new Promise((resolve) => setTimeout(resolve, 5));
      return holders--;
    };
    const counts = await Promise.all([1, 2, 3].map(() => withLockFile(path, work)));
    expect(counts).toEqual([1, 1, 1]);
    expect(await readdir(folder)).toEqual([]);
  });

  it("lets go when the work fails", async () => {
    await expect(withLockFile(path, () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
    expect(await withLockFile(path, async () => "next")).toBe("next");
  });

  it("takes over from a process that died", async () => {
    const { pid } = spawnSync(process.execPath, ["--version"]);
    await writeFile(path, `${pid} ${hostname()} x`);
    expect(await withLockFile(path, async () => "taken")).toBe("taken");
  });

  it("takes over from another host that has fallen silent, not from one that lives", async () => {
    await writeFile(path, "1 another-host x");
    const waiting = withLockFile(path, async () => "taken", AbortSignal.timeout(150));
    await expect(waiting).rejects.toMatchObject({ name: "TimeoutError" });
    const old = new Date(Date.now() - 120_000);
    await utimes(path, old, old);
    expect(await withLockFile(path, async () => "taken")).toBe("taken");
    expect(await readdir(folder)).toEqual([]);
  });
});
