import { existsSync } from "node:fs";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EvaluationRecord, Shard } from "./evaluation-record.ts";
import { openRecordFile, type RecordFile, readRecordFolder, writeRecordFolder } from "./node-record-files.ts";

let parent: string;
beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "edgeinfinite-records-"));
});
afterAll(() => rm(parent, { recursive: true, force: true }));

const recordOf = (id: string): EvaluationRecord => ({
  type: "not-applicable",
  id,
  model: "tiny",
  task: "recall",
  settings: {},
  policy: "full",
  memory: {},
  lengthTokens: 4096,
  reason: "too long",
});
const whole = { index: 1, count: 1 };

async function openPrepared(folder: string, shard: Shard): Promise<RecordFile> {
  const file = await openRecordFile(folder, shard);
  await file.prepare();
  return file;
}

describe("record files", () => {
  it("go on behind the last whole line, whatever a killed process left", async () => {
    const folder = join(parent, "killed");
    const file = await openPrepared(folder, whole);
    await file.add([recordOf("a"), recordOf("b")]);
    const path = join(folder, "records.jsonl");
    const line = JSON.stringify(recordOf("c"));
    for (const left of [1, 20, line.length]) {
      await appendFile(path, line.slice(0, left));
      expect((await readRecordFolder(folder)).map(({ id }) => id)).toEqual(["a", "b"]);
      expect((await openPrepared(folder, whole)).done).toEqual(new Set(["a", "b"]));
      expect(await readFile(path, "utf8")).toMatch(/\}\n$/);
    }
    await (await openPrepared(folder, whole)).add([recordOf("c")]);
    expect((await readRecordFolder(folder)).map(({ id }) => id)).toEqual(["a", "b", "c"]);
  });

  it("are nowhere until they are prepared", async () => {
    const folder = join(parent, "later");
    const file = await openRecordFile(folder, whole);
    expect(file.done.size).toBe(0);
    expect(existsSync(folder)).toBe(false);
    await file.prepare();
    expect(await readRecordFolder(folder)).toEqual([]);
  });

  it("of shards share a folder, and each example counts once", async () => {
    const folder = join(parent, "shards");
    await (await openPrepared(folder, { index: 1, count: 2 })).add([recordOf("a")]);
    const second = await openPrepared(folder, { index: 2, count: 2 });
    expect(second.done).toEqual(new Set(["a"]));
    await second.add([recordOf("b"), recordOf("a")]);
    expect((await readRecordFolder(folder)).map(({ id }) => id)).toEqual(["a", "b"]);
    const merged = join(parent, "merged");
    await writeRecordFolder(merged, [...(await readRecordFolder(folder)), recordOf("b"), recordOf("c")]);
    expect((await readRecordFolder(merged)).map(({ id }) => id).sort()).toEqual(["a", "b", "c"]);
  });

  it("that are damaged are refused by file and line", async () => {
    const folder = join(parent, "damaged");
    await (await openPrepared(folder, whole)).add([recordOf("a")]);
    const path = join(folder, "records.jsonl");
    const good = await readFile(path, "utf8");
    await writeFile(path, `${good}\n{"id": }\n`);
    await expect(readRecordFolder(folder)).rejects.toThrow(/records\.jsonl, line 3: the line is not JSON/);
    await writeFile(path, `{"type": "example", "id": "x"}\n${good}`);
    await expect(readRecordFolder(folder)).rejects.toThrow(
      /line 1: the line is no record of an evaluation: model/,
    );
    await expect(readRecordFolder(join(parent, "none"))).rejects.toThrow(/cannot be read/);
  });
});
