import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createTemporaryFolder,
  parseJsonLines,
  runCommand,
  type TemporaryFolder,
} from "../../test/support/command-terminal.ts";
import { createTinyModelFolder } from "../testing/index.ts";

let folder: TemporaryFolder;
let model: string;

beforeAll(async () => {
  folder = await createTemporaryFolder();
  model = await folder.writeModel(createTinyModelFolder());
});

afterAll(() => folder[Symbol.asyncDispose]());

const sizes = ["--window", "32", "--segment", "16", "--policies", "streaming,full"];

describe("edgeinfinite eval with tasks of hidden lines and LongBench", () => {
  it("puts them to a model, and makes a report of what came of it", async () => {
    const record = { origin_prompt: `Read.\n${"Some words here.\n".repeat(40)}\nAnswer:`, gold: ["words"] };
    const file = await folder.writeFile("Mini_hotpotqa.json", JSON.stringify({ 0: record }));
    const out = join(folder.path, "records");
    const tasks = ["eval", "passkey", "niah_single_1", "longbench", "--longbench", file];
    const argv = [...tasks, "--model", model, ...sizes, "--lengths", "900", "--examples", "2", "--out", out];
    const run = await runCommand([...argv, "--json"]);
    expect([run.status, run.stderr]).toEqual([0, ""]);
    const examples = parseJsonLines(run.stdout).filter(({ type }) => type === "example");
    // Two of each task with hidden lines, and the one of LongBench that there is, under two policies.
    expect(examples.map(({ task }) => task).sort()).toEqual([
      ...["longbench hotpotqa", "longbench hotpotqa"],
      ...["niah_single_1", "niah_single_1", "niah_single_1", "niah_single_1"],
      ...["passkey", "passkey", "passkey", "passkey"],
    ]);
    const report = await runCommand(["eval", "report", out]);
    expect(report.status).toBe(0);
    expect((await readdir(out)).sort()).toEqual(
      expect.arrayContaining(["passkey.svg", "report.html", "report.md"]),
    );
    expect(await readFile(join(out, "report.md"), "utf8")).toMatch(
      /\| streaming \| \d+\.\d \(.* to .*\), n 2 \|/,
    );
  });

  it("refuses unknown data sets, malformed records and folders without records", async () => {
    const unknown = await folder.writeFile("Mini_hotpot.json", "[]");
    const malformed = await folder.writeFile("qasper.jsonl", '{"origin_prompt": "a", "gold": "b"}\n{');
    const run = (path: string): ReturnType<typeof runCommand> =>
      runCommand([
        "eval",
        "longbench",
        "--longbench",
        path,
        "--model",
        model,
        "--out",
        join(folder.path, "none"),
      ]);
    expect((await run(unknown)).stderr).toMatch(/unknown data set.*Mini_hotpot.*hotpotqa/);
    expect((await run(malformed)).stderr).toMatch(/qasper\.jsonl, line 2: the line is not JSON/);
    const empty = await runCommand(["eval", "report", folder.path]);
    expect([empty.status, empty.stderr]).toEqual([
      2,
      expect.stringMatching(/holds no records of an evaluation/),
    ]);
  });
});
