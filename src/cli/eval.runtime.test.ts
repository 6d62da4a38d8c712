import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createTemporaryFolder,
  parseJsonLines,
  runCommand,
  type TemporaryFolder,
} from "../../test/support/command-terminal.ts";
import { tinyPlus } from "../../test/support/tiny-sessions.ts";
import { writeTrainingText } from "../../test/support/training-files.ts";
import { readRecordFolder } from "../eval/node-record-files.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../testing/tiny-model.ts";

let folder: TemporaryFolder;
let model: string;
let plus: string;
let haystack: string;

beforeAll(async () => {
  folder = await createTemporaryFolder();
  model = await folder.writeModel(createTinyModelFolder());
  plus = await folder.writeModel(createTinyAdapterFolder(tinyPlus));
  haystack = await folder.writeFile("hay.txt", writeTrainingText(100));
});

afterAll(() => folder[Symbol.asyncDispose]());

/** Gives the arguments of an evaluation of a second; later ones take precedence. */
function argue(out: string, ...more: readonly string[]): string[] {
  const sizes = ["--sinks", "3", "--window", "15", "--segment", "13", "--slots", "6", "--threads", "1"];
  return [
    ...[
      "eval",
      "recall",
      "--model",
      model,
      "--haystack",
      haystack,
      "--out",
      join(folder.path, out),
      ...sizes,
    ],
    ...["--lengths", "300,500", "--examples", "2", ...more],
  ];
}

const idsOf = async (out: string): Promise<string[]> =>
  (await readRecordFolder(join(folder.path, out))).map(({ id }) => id).sort();

/** Runs the command in a process of its own and kills it when so many records are told. */
async function runKilled(argv: readonly string[], afterRecords: number): Promise<void> {
  const main = fileURLToPath(new URL("./main.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", main, ...argv, "--json"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let text = "";
  child.stdout.on("data", (bytes) => {
    text += String(bytes);
    if (text.split('"type":"example"').length > afterRecords) child.kill("SIGKILL");
  });
  await once(child, "exit");
}

describe("edgeinfinite eval", () => {
  it("writes a row a policy and length, ablations too, and a record an example", async () => {
    const policies = ["--policies", "full,streaming,keydiff,plus", "--plus-adapter", plus];
    const flags = ["--ablations", "slots-off,memory-off,gate-open", "--json"];
    const { status, stdout, stderr } = await runCommand(argue("whole", ...policies, ...flags));
    expect(stderr).toBe("");
    expect(status).toBe(0);
    const events = parseJsonLines(stdout);
    const rows = events.at(-1)?.rows as { policy: string; lengthTokens: number; result: object }[];
    const labels = ["full", "streaming", "keydiff", "plus"];
    const ablated = ["plus slots-off", "plus memory-off", "plus gate-open"];
    expect(rows.map(({ policy, lengthTokens }) => [policy, lengthTokens])).toEqual(
      [...labels, ...ablated].flatMap((label) => [
        [label, 300],
        [label, 500],
      ]),
    );
    for (const { result } of rows) expect(result).toMatchObject({ documentCount: 2, questionCount: 2 });
    expect(events.filter(({ type }) => type === "example")).toHaveLength(28);
  });

  it("takes branches away from the adapters that a model brings", { timeout: 60_000 }, async () => {
    const flags = ["--policies", "plus,paper", "--ablations", "slots-off,gate-open", "--lengths", "500"];
    const own = argue("own", ...flags, "--examples", "1", "--model", "default", "--json");
    expect((await runCommand(own)).status).toBe(0);
    const records = await readRecordFolder(join(folder.path, "own"));
    const policies = records.map(({ policy }) => policy).sort();
    expect(policies).toEqual(["paper", "paper gate-open", "plus", "plus slots-off"]);
  });

  it("gives a window the bytes of slots where that is asked for, as a row of its own", async () => {
    const flags = ["--policies", "streaming,keydiff", "--equal-bytes", "streaming", "--lengths", "300"];
    expect((await runCommand(argue("equal", ...flags, "--examples", "1"))).status).toBe(0);
    const records = await readRecordFolder(join(folder.path, "equal"));
    const bytesOf = (label: string): number =>
      records.flatMap((record) =>
        record.type === "example" && record.policy === label ? [record.stateBytes] : [],
      )[0] ?? Number.NaN;
    const [short, long, slots] = ["streaming", "streaming equal-bytes", "keydiff"].map(bytesOf);
    // Two layers of two heads of 16, keys and values in float32.
    const tokenBytes = 2 * 4 * 2 * 2 * 16;
    expect(long).toBeLessThanOrEqual(slots ?? 0);
    expect(long).toBeGreaterThan((slots ?? 0) - tokenBytes);
    expect(((long ?? 0) - (short ?? 0)) % tokenBytes).toBe(0);
    const window = records.find(({ policy }) => policy === "streaming equal-bytes")?.memory.windowTokens;
    // No window may hold the facts, so the longest counts for both.
    for (const { settings } of records) expect(settings.distanceTokens).toBe(3 + Number(window) + 13);
  });

  it("runs a policy at equal bytes alone where --policies lacks it", async () => {
    const flags = ["--policies", "keydiff", "--equal-bytes", "streaming,infini", "--lengths", "300"];
    expect((await runCommand(argue("alone", ...flags, "--examples", "1"))).status).toBe(0);
    const records = await readRecordFolder(join(folder.path, "alone"));
    const policies = records.map(({ policy }) => policy).sort();
    expect(policies).toEqual(["infini equal-bytes", "keydiff", "streaming equal-bytes"]);
  });

  it("goes on after each kill, with no example lost or repeated", { timeout: 180_000 }, async () => {
    const flags = ["--policies", "streaming,keydiff", "--examples", "4"];
    expect((await runCommand(argue("straight", ...flags))).status).toBe(0);
    for (const afterRecords of [1, 3]) await runKilled(argue("killed", ...flags), afterRecords);
    const before = await idsOf("killed");
    expect(before.length).toBeGreaterThanOrEqual(4);
    const { stdout } = await runCommand(argue("killed", ...flags, "--json"));
    const added = parseJsonLines(stdout).filter(({ type }) => type === "example");
    expect(before.length + added.length).toBe(16);
    expect(await idsOf("killed")).toEqual(await idsOf("straight"));
  });

  it("stops at Ctrl-C with what is done, and shards are merged to the whole", async () => {
    const flags = ["--policies", "streaming"];
    let isInterrupted = false;
    const stopped = await runCommand(argue("stopped", ...flags, "--json"), {
      onStdout(_, interrupts) {
        if (!isInterrupted) interrupts.interrupt();
        isInterrupted = true;
      },
    });
    expect(stopped.status).toBe(130);
    expect(stopped.stderr).toContain("the same command goes on from there");
    expect(await idsOf("stopped")).toHaveLength(1);
    expect((await runCommand(argue("all", ...flags))).status).toBe(0);
    for (const shard of ["1/2", "2/2"])
      await runCommand(argue(`part-${shard[0]}`, ...flags, "--shard", shard));
    const parts = ["part-1", "part-2"].map((part) => join(folder.path, part));
    const merged = await runCommand(["eval", "merge", ...parts, "--out", join(folder.path, "merged")]);
    expect(merged.stdout).toMatch(/recall, facts 1 +streaming +300 +\d+\.\d/);
    expect(await idsOf("merged")).toEqual(await idsOf("all"));
  });

  it("says once that a short haystack repeats", async () => {
    const short = await folder.writeFile("short.txt", writeTrainingText(5));
    const argv = argue("short", "--policies", "streaming,keydiff");
    const { status, stderr } = await runCommand(argv.with(argv.indexOf(haystack), short));
    expect(status).toBe(0);
    expect(stderr).toMatch(/^notice: the haystack is shorter than documents of 300 tokens.*\n$/);
  });

  it("tables the likelihood of a text by position and by commits", async () => {
    const flags = ["--policies", "full,streaming", "--lengths", "300,2100"];
    const argv = argue("perplexity", ...flags).with(1, "perplexity");
    const { status, stdout, stderr } = await runCommand(argv);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/task +policy +tokens +nats +95%/);
    expect(stdout).toMatch(/perplexity +streaming +300 +\d\.\d{3} +\d\.\d{3} to \d\.\d{3} +2/);
    expect(stdout).toMatch(/from position 31 on +300 +2,?100/);
    expect(stdout).toMatch(/300, by position +0 to 63 +64 to 127 +128 to 255 +256 to 511/);
    expect(stdout).toMatch(/2,?100, by commits +0 +1 +2 to 3/);
    expect(stdout).toMatch(/n\/a: full at 2,?100: a full cache ends at the 2048 positions/);
    // Two of 300 for each policy; of 2100 the refusal of one, and of the other the only one that the text has.
    expect(await idsOf("perplexity")).toHaveLength(6);
  });

  it.each<[string, readonly string[], RegExp]>([
    ["an unknown task", ["guess"], /task: unknown, got "guess", expected recall/],
    ["an unknown policy", ["--policies", "magic"], /--policies: unknown, got "magic", expected paper/],
    ["an unknown ablation", ["--ablations", "all"], /--ablations: unknown, got "all", expected slots-off/],
    ["equal bytes of slots", ["--equal-bytes", "keydiff"], /--equal-bytes: unknown, got "keydiff"/],
    ["no length", ["--lengths", "1X"], /--lengths: not a number, got "1X"/],
    ["a shard out of range", ["--shard", "3/2"], /--shard: not understood/],
    ["half a list of policies", ["--policies", "full,full"], /two policies have the same label, got "full"/],
    ["a haystack that is not there", ["--haystack", "/no/such"], /cannot be opened/],
    ["too many distractors", ["--distractors", "0.9"], /distractors/],
    ["a model that is not there", ["--model", "/no/such"], /\/no\/such/],
    ["policies that all lack something", ["--policies", "paper,plus"], /plus needs a trained memory/],
  ])("refuses %s, and leaves no folder", async (name, more, message) => {
    const out = name.replaceAll(" ", "-");
    const { status, stderr } = await runCommand(argue(out, ...more));
    expect(stderr).toMatch(message);
    expect(status).toBeGreaterThan(1);
    expect(await readdir(folder.path)).not.toContain(out);
  });
});
