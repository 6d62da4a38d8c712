import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { prepareOutputFolder, writeOutputFiles } from "./node-output-folder.ts";

let parent = "";
let out = "";
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "output-"));
  out = join(parent, "deep", "out");
});
afterEach(async () => {
  await rm(parent, { recursive: true });
});

async function fill(...names: readonly string[]): Promise<void> {
  await mkdir(join(out, "training"), { recursive: true });
  for (const name of names) await writeFile(join(out, name), "old");
}

describe("prepareOutputFolder", () => {
  it("makes a new folder and takes an empty one", async () => {
    for (const existing of ["refuse", "resume", "overwrite"] as const) {
      await rm(out, { recursive: true, force: true });
      expect(await prepareOutputFolder(out, existing)).toBe(join(out, "training"));
      await rm(join(out, "training"), { recursive: true });
      expect(await prepareOutputFolder(out, existing)).toBe(join(out, "training"));
    }
  });

  it("refuses a folder with something in it, and says what can be done", async () => {
    await fill("adapter_config.json");
    await expect(prepareOutputFolder(out, "refuse")).rejects.toThrow(/not empty.*--resume.*--overwrite/);
    expect(await readdir(out)).toEqual(["adapter_config.json", "training"]);
  });

  it("keeps a run that goes on", async () => {
    await fill("training/log.jsonl", "config.json");
    await prepareOutputFolder(out, "resume");
    expect(await readFile(join(out, "training", "log.jsonl"), "utf8")).toBe("old");
  });

  it("does not take a folder without a run for one that goes on", async () => {
    await fill("config.json");
    await rm(join(out, "training"), { recursive: true });
    await expect(prepareOutputFolder(out, "resume")).rejects.toThrow(/not empty/);
  });

  it("replaces what training wrote, and nothing else", async () => {
    await fill("adapter_config.json", "training/log.jsonl");
    await prepareOutputFolder(out, "overwrite");
    expect(await readdir(out)).toEqual(["training"]);
    expect(await readdir(join(out, "training"))).toEqual([]);
    await fill("adapter_config.json", "thesis.txt");
    await expect(prepareOutputFolder(out, "overwrite")).rejects.toThrow(
      /other files are in the output folder, got \["thesis.txt"\].*Choose another folder\./,
    );
    expect(await readdir(out)).toContain("adapter_config.json");
  });

  it("says when a file is in its place", async () => {
    await mkdir(join(parent, "deep"));
    await writeFile(out, "a file");
    await expect(prepareOutputFolder(out, "refuse")).rejects.toMatchObject({ code: "file" });
  });
});

describe("writeOutputFiles", () => {
  it("writes texts and bytes", async () => {
    await prepareOutputFolder(out, "refuse");
    await writeOutputFiles(
      out,
      new Map<string, string | Uint8Array>([
        ["a.json", "{}"],
        ["b", Uint8Array.of(104, 105)],
      ]),
    );
    expect(await readFile(join(out, "a.json"), "utf8")).toBe("{}");
    expect(await readFile(join(out, "b"), "utf8")).toBe("hi");
  });
});
