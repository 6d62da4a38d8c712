import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createTemporaryFolder,
  interruptAt,
  parseJsonLines,
  runCommand,
  type TemporaryFolder,
} from "../../test/support/command-terminal.ts";
import { loadModel } from "../../test/support/tiny-sessions.ts";
import { digestFiles, writeTrainingText } from "../../test/support/training-files.ts";
import { createTinyModelFolder } from "../testing/index.ts";

let folder: TemporaryFolder;
let model: string;
let data: string;
const at = (name: string): string => join(folder.path, name);

function argue(out: string, ...more: readonly string[]): string[] {
  const files = ["--model", model, "--data", data, "--out", at(out), "--threads", "1"];
  return ["train", "gate", ...files, "--steps", "6", "--tokens-per-step", "1", ...more];
}
const argueDistill = (out: string, ...more: readonly string[]): string[] =>
  argue(out, "--recipe", "distill", "--length", "48", "--fixed-context", "--learning-rate", "0.02", ...more);
const argueBias = (out: string, ...more: readonly string[]): string[] =>
  argueDistill(out, "--variant", "plus", "--init", at("slots"), "--slot-bias", ...more);

beforeAll(async () => {
  folder = await createTemporaryFolder();
  model = await folder.writeModel(createTinyModelFolder());
  data = await folder.writeFile("data.txt", writeTrainingText(200));
  const sizes = ["--sinks", "2", "--slots", "6", "--window", "8", "--segment", "6", "--length", "48"];
  const { status } = await runCommand(argue("slots", "--recipe", "retention", "--rank", "5", ...sizes));
  expect(status).toBe(0);
}, 60_000);
afterAll(() => folder[Symbol.asyncDispose]());

const adapterFiles = ["adapter_config.json", "adapter_model.safetensors"];
const baseFiles = ["config.json", "model.safetensors", "tokenizer.json"];
const readConfig = async (name: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(join(at(name), "adapter_config.json"), "utf8"));

/** Loads an adapter and reads past many commits. */
async function readFar(name: string): Promise<string> {
  await using loaded = await loadModel(model, { adapter: at(name), threads: 1 });
  const session = loaded.createSession();
  await session.append(writeTrainingText(3));
  return session.stats.policy;
}

describe("edgeinfinite train gate --recipe distill", () => {
  it("adds a bias of slots to an adapter whose score stays as it is, beginning at no bias", async () => {
    const before = await digestFiles(model, baseFiles);
    const { status, stdout } = await runCommand(argueBias("bias", "--json"));
    expect(status).toBe(0);
    expect(await digestFiles(model, baseFiles)).toEqual(before);
    const events = parseJsonLines(stdout);
    // 2 layers of 8 * 64 + 8 + 2 * 8 + 2 + 4 numbers.
    expect(events[0]).toMatchObject({ type: "start", trainedCount: 1084 });
    const start = events[1];
    expect(start?.type).toBe("step-0");
    expect(Math.abs(Number(start?.loss) - Number(start?.frozenLoss))).toBeLessThan(1e-4);
    expect(await readConfig("bias")).toMatchObject({
      ...{ variant: "plus", retention_rank: 5, slot_bias: true, slot_bias_rank: 8, linear_memory: false },
      ...{ sink_tokens: 2, slot_tokens: 6, window_tokens: 8, segment_tokens: 6 },
    });
    expect(await readFar("bias")).toBe("plus");
  });

  it("resumes to the same adapter bit for bit", async () => {
    const stopped = await runCommand(argueBias("cut", "--json"), { onStdout: interruptAt('"step":3,') });
    expect(stopped.status).toBe(130);
    expect((await runCommand(argueBias("cut", "--resume"))).status).toBe(0);
    const digests = await digestFiles(at("bias"), adapterFiles);
    expect(await digestFiles(at("cut"), adapterFiles)).toEqual(digests);
  });

  it("trains gates of a linear memory, beside slots or alone", async () => {
    const both = await runCommand(argueBias("both", "--linear-memory", "--steps", "3", "--rank", "4"));
    expect(both.stderr).not.toContain("error");
    expect(await readConfig("both")).toMatchObject({
      ...{ slot_bias: true, linear_memory: true, read_gate_rank: 4, fusion: "convex" },
    });
    expect(await readFar("both")).toBe("plus");
    const sizes = ["--variant", "paper", "--sinks", "2", "--window", "8", "--segment", "6"];
    const paper = await runCommand(argueDistill("paper", ...sizes, "--steps", "3"));
    expect(paper.stderr).not.toContain("error");
    expect(await readFar("paper")).toBe("paper");
  });

  it("trains learned features and a gate of what is written, and resumes to the same bit for bit", async () => {
    const argueWrites = (out: string, ...more: readonly string[]): string[] =>
      argueBias(out, "--linear-memory", "--features", "5", "--write-gate", "--rank", "4", ...more);
    const whole = await runCommand(argueWrites("writes", "--json"));
    expect(whole.status).toBe(0);
    // 2 layers of a bias (4 * 64 + 4 + 2 * 4 + 2 + 4), a read gate (4 * 64 + 4 + 4 * 4 + 4), a write gate
    // (4 * 64 + 4 + 2 * 4 + 2) and features (2 * 2 * 5 * 16).
    expect(parseJsonLines(whole.stdout)[0]).toMatchObject({ type: "start", trainedCount: 2288 });
    expect(await readConfig("writes")).toMatchObject({
      ...{ linear_memory: true, feature_map: "learned", feature_count: 5, write_gate: true },
      ...{ write_gate_rank: 4, slot_bias: true, fusion: "convex" },
    });
    expect(await readFar("writes")).toBe("plus");
    const interrupted = { onStdout: interruptAt('"step":3,') };
    expect((await runCommand(argueWrites("cut-writes", "--json"), interrupted)).status).toBe(130);
    expect((await runCommand(argueWrites("cut-writes", "--resume"))).status).toBe(0);
    const digests = await digestFiles(at("writes"), adapterFiles);
    expect(await digestFiles(at("cut-writes"), adapterFiles)).toEqual(digests);
    const further = await runCommand(
      argueDistill("further-writes", "--init", at("writes"), "--linear-memory", "--steps", "2", "--json"),
    );
    expect(further.status).toBe(0);
    // All but the bias.
    expect(parseJsonLines(further.stdout)[0]).toMatchObject({ type: "start", trainedCount: 1740 });
    const transfer = ["--recipe", "attention-transfer", "--length", "48", "--fixed-context"];
    const gates = await runCommand(
      argue("transfer-writes", ...transfer, "--init", at("writes"), "--steps", "2", "--json"),
    );
    expect(gates.stderr).not.toContain("error");
    // Read gates and the features of queries.
    expect(parseJsonLines(gates.stdout)[0]).toMatchObject({ type: "start", trainedCount: 880 });
    expect(await readFar("transfer-writes")).toBe("plus");
  });

  it("keeps how layers share slots and how scores are pooled, and refuses what does not go with it", async () => {
    const sizes = ["--sinks", "2", "--slots", "6", "--window", "8", "--segment", "6", "--length", "48"];
    const score = ["--recipe", "retention", "--rank", "5", ...sizes, "--steps", "2"];
    const trained = await runCommand(
      argue("shared", ...score, "--slot-shares", "1,3", "--score-kernel", "3"),
    );
    expect(trained.stderr).not.toContain("error");
    const shared = { slot_shares: [1, 3], score_kernel: 3 };
    expect(await readConfig("shared")).toMatchObject({ ...shared, linear_memory: false });
    const bias = ["--variant", "plus", "--init", at("shared"), "--slot-bias", "--steps", "1"];
    expect((await runCommand(argueDistill("shared-bias", ...bias))).status).toBe(0);
    expect(await readConfig("shared-bias")).toMatchObject({ ...shared, slot_bias: true });
    expect(await readFar("shared-bias")).toBe("plus");
    const memory = ["--variant", "plus", "--init", at("shared"), "--linear-memory"];
    for (const [argv, message] of [
      [argueDistill("no", ...memory), /--linear-memory does not go with.*share slots unequally/],
      [
        argue("no", ...score, "--slot-shares", "1,2,3"),
        /does not fit the model, got "?1,2,3.*2 numbers above 0/,
      ],
      [
        argue("no", ...score, "--score-kernel", "4"),
        /--score-kernel is even, got "4", expected an odd number/,
      ],
      [argue("no", ...score, "--score-kernel", "0"), /score-kernel/],
      [argue("no", "--recipe", "lm", "--score-kernel", "3"), /--score-kernel says nothing to the recipe lm/],
      [argue("no", ...score, "--slot-shares", "1,-2"), /does not fit the model/],
      [argue("no", ...score, "--slot-shares", "1,Infinity"), /does not fit the model/],
      [argue("no", ...score, "--slot-shares", "1,x"), /slot-shares/],
      [argue("no", "--recipe", "lm", "--slot-shares", "1,2"), /--slot-shares says nothing to the recipe lm/],
    ] as const) {
      const { status, stderr } = await runCommand([...argv]);
      expect(stderr).toMatch(message);
      expect(status).toBe(2);
    }
  });

  it("goes on with what an adapter has, without a check of where it begins", async () => {
    const { status, stdout } = await runCommand(
      argueDistill("further", "--init", at("bias"), "--steps", "1", "--json"),
    );
    expect(status).toBe(0);
    expect(parseJsonLines(stdout).map(({ type }) => type)).toEqual(["start", "step", "base", "finish"]);
  });

  it.each<[string, () => string[], RegExp]>([
    ["plus from nothing", () => ["--variant", "plus", "--slot-bias"], /--init is missing/],
    ["nothing to train", () => ["--init", at("slots")], /nothing to train.*--slot-bias or --linear-memory/],
    ["another variant", () => ["--init", at("slots"), "--variant", "paper"], /--init is of another variant/],
    ["a bias of no slots", () => ["--slot-bias"], /of variant plus/],
    [
      "documents within the window",
      () => ["--init", at("slots"), "--slot-bias", "--length", "20"],
      /no segment/,
    ],
    [
      "features of no memory",
      () => ["--init", at("slots"), "--slot-bias", "--features", "4"],
      /--features and --write-gate say how a new linear memory begins/,
    ],
    ["features of variant paper", () => ["--features", "4"], /--features is of variant plus/],
    [
      "no features",
      () => ["--init", at("slots"), "--linear-memory", "--features", "0"],
      /--features: out of range, got 0/,
    ],
    [
      "more features than adapters have",
      () => ["--init", at("slots"), "--linear-memory", "--features", "999999999"],
      /--features: out of range, got 999999999, expected a whole number from 1 to 65536/,
    ],
    ["too wide a gate", () => ["--rank", "999999999"], /--rank: out of range.*from 1 to 65536/],
    ["gates that are not shut", () => ["--gate-bias", "3"], /gates are not shut|no segment/],
  ])("refuses %s", async (name, more, message) => {
    const { status, stderr } = await runCommand(argueDistill(name.replaceAll(" ", "-"), ...more()));
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });
});
