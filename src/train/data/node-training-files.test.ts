import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTrainingFiles } from "./node-training-files.ts";
import { openTrainingRecords } from "./training-records.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "training-files-"));
  await mkdir(join(folder, "deep"));
  await mkdir(join(folder, "empty"));
  await writeFile(join(folder, "b.txt"), "two");
  await writeFile(join(folder, "a.jsonl"), '{"text":"one"}\n');
  await writeFile(join(folder, "deep", "C.TXT"), "three");
  await writeFile(join(folder, "picture.png"), "no text");
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe("openTrainingFiles", () => {
  it("takes a folder's data in the order of their names, and files as they are given", async () => {
    const files = await openTrainingFiles([folder, join(folder, "b.txt")]);
    expect(files.map(({ source }) => source.name.slice(folder.length + 1))).toEqual([
      "a.jsonl",
      "b.txt",
      join("deep", "C.TXT"),
      "b.txt",
    ]);
    const records = await openTrainingRecords(files);
    expect(await records.read(2)).toEqual({ kind: "text", text: "three", isComplete: true });
    await records.close();
  });

  it("says what is missing", async () => {
    await expect(openTrainingFiles([join(folder, "x.txt")])).rejects.toThrow(/nothing there \(ENOENT\)/);
    await expect(openTrainingFiles([join(folder, "empty")])).rejects.toThrow(/holds no training data/);
    await expect(openTrainingFiles([join(folder, "picture.png")])).rejects.toThrow(/ending is not known/);
  });
});
