import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createTemporaryFolder,
  runCommand,
  type TemporaryFolder,
} from "../../test/support/command-terminal.ts";
import { writeTrainingText } from "../../test/support/training-files.ts";
import { readRecordFolder } from "../eval/node-record-files.ts";
import { policyNames } from "../memory/policies.ts";
import { taskNames } from "./eval-tasks.ts";

const sizes = ["--sinks", "4", "--window", "64", "--segment", "64", "--threads", "1"];

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

describe("all tasks of edgeinfinite eval", () => {
  it("run on the package's model, which is told, from document to score", { timeout: 240_000 }, async () => {
    const haystack = await folder.writeFile("hay.txt", writeTrainingText(400));
    const record = { origin_prompt: `${writeTrainingText(5)}\n\nWho spoke?`, gold: ["Nobody"] };
    const longbench = await folder.writeFile("qasper.jsonl", `${JSON.stringify(record)}\n`);
    const files = ["--haystack", haystack, "--longbench", longbench, "--out", join(folder.path, "all")];
    const plan = ["--policies", "streaming", "--lengths", "2K", "--examples", "1"];
    const { status, stderr } = await runCommand(["eval", ...taskNames, ...files, ...sizes, ...plan]);
    expect(stderr).toMatch(/no --model was given/);
    expect(status).toBe(0);
    const records = await readRecordFolder(join(folder.path, "all"));
    expect(records.map(({ task }) => task.split(" ")[0]).sort()).toEqual([...taskNames].sort());
    for (const record of records) expect(record).toMatchObject({ type: "example", index: 0 });
  });

  it("run under every policy: one of them stands for all", { timeout: 120_000 }, async () => {
    const out = join(folder.path, "policies");
    const plan = [
      "--policies",
      policyNames.join(","),
      "--lengths",
      "900",
      "--examples",
      "1",
      "--slots",
      "32",
    ];
    const { status } = await runCommand(["eval", "passkey", "--out", out, ...sizes, ...plan]);
    expect(status).toBe(0);
    const records = await readRecordFolder(out);
    expect(records.map(({ policy }) => policy).sort()).toEqual([...policyNames].sort());
    for (const { policy, ...record } of records) {
      expect(record).toMatchObject({ type: "example", memory: { policy } });
      // Every policy but the ordinary cache has committed: what it does then has run.
      if (policy !== "full")
        expect(record).toHaveProperty(
          "commitCount",
          expect.toSatisfy((n) => n > 5),
        );
    }
  });
});
