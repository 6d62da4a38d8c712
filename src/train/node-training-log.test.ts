import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTrainingLog, readTrainingLog } from "./node-training-log.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "training-log-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe("the log of a run", () => {
  it("has a line a step, and goes on behind the step that is resumed", async () => {
    const path = join(folder, "log.jsonl");
    const log = await openTrainingLog(path, 0);
    for (const step of [1, 2, 3, 4]) await log.write({ step, loss: 10 / step });
    await appendFile(path, '{"step": 5, "lo');
    const resumed = await openTrainingLog(path, 2);
    await resumed.write({ step: 3, loss: Number.NaN });
    expect(await readTrainingLog(path)).toEqual([
      { step: 1, loss: 10 },
      { step: 2, loss: 5 },
      { step: 3, loss: null },
    ]);
    await openTrainingLog(path, 0);
    expect(await readTrainingLog(path)).toEqual([]);
  });

  it("is empty where there is none, and says when it cannot be written", async () => {
    expect(await readTrainingLog(join(folder, "none"))).toEqual([]);
    await expect(openTrainingLog(join(folder, "no", "log"), 0)).rejects.toMatchObject({ code: "file" });
  });
});
