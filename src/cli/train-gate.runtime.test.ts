import { existsSync } from "node:fs";
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
import { nodePlatform } from "../engine/node.ts";
import { openAdapter } from "../memory/adapter.ts";
import { createTinyModelFolder } from "../testing/index.ts";

let folder: TemporaryFolder;
let model: string;
let data: string;

beforeAll(async () => {
  folder = await createTemporaryFolder();
  model = await folder.writeModel(createTinyModelFolder());
  data = await folder.writeFile("data.txt", writeTrainingText(200));
});

afterAll(() => folder[Symbol.asyncDispose]());

const adapterFiles = ["adapter_config.json", "adapter_model.safetensors"];
const baseFiles = ["config.json", "model.safetensors", "tokenizer.json"];

function argue(out: string, ...more: readonly string[]): string[] {
  const sizes = ["--sinks", "2", "--window", "12", "--segment", "8", "--segments", "4"];
  const course = ["--steps", "8", "--rank", "4", "--threads", "1", "--learning-rate", "0.01"];
  const files = ["--model", model, "--data", data, "--out", join(folder.path, out)];
  return ["train", "gate", ...files, "--recipe", "lm", ...sizes, ...course, ...more];
}

function argueRetention(out: string, ...more: readonly string[]): string[] {
  const sizes = ["--sinks", "2", "--slots", "6", "--window", "12", "--segment", "8", "--length", "48"];
  const course = ["--steps", "8", "--rank", "5", "--tokens-per-step", "90", "--learning-rate", "0.02"];
  const files = ["--model", model, "--data", data, "--out", join(folder.path, out)];
  const recipe = ["--variant", "plus", "--recipe", "retention", "--threads", "1"];
  return ["train", "gate", ...files, ...recipe, ...sizes, ...course, ...more];
}

/** Writes conversations whose answers lie behind the window. */
function writeCompletions(prompt: string): Promise<string> {
  const line = JSON.stringify({ prompt, completion: " It was the river, at noon, as they all had said." });
  return folder.writeFile(`completions-${prompt.length}.jsonl`, `${line}\n`.repeat(4));
}

describe("edgeinfinite train gate", () => {
  it("trains an adapter that loadModel takes, over a base that stays as it is", async () => {
    const before = await digestFiles(model, baseFiles);
    const { status, stdout } = await runCommand(argue("lm", "--json"));
    expect(status).toBe(0);
    expect(await digestFiles(model, baseFiles)).toEqual(before);
    const events = parseJsonLines(stdout);
    expect(events.map(({ type }) => type)).toEqual([
      "start",
      "step-0",
      ...new Array(8).fill("step"),
      "base",
      "finish",
    ]);
    const [start, stepZero] = events;
    // 2 layers of 4 * 64 + 4 + 4 * 4 + 4 numbers.
    expect(start).toMatchObject({ trainedCount: 560 });
    expect(Math.abs(Number(stepZero?.loss) - Number(stepZero?.frozenLoss))).toBeLessThan(0.05);
    expect(events.at(-2)?.sha256).toBe(before["model.safetensors"]);
    const adapter = join(folder.path, "lm");
    await using loaded = await loadModel(model, { adapter, threads: 1 });
    const context = { sinkTokens: 2, slotTokens: 0, windowTokens: 12, segmentTokens: 8 };
    expect(loaded.context).toEqual(context);
    const session = loaded.createSession();
    await session.append(writeTrainingText(3));
    expect(session.stats.policy).toBe("paper");
  });

  it("trains a number a head as the gate of Infini-attention", async () => {
    const argv = argue("infini", "--variant", "infini", "--delta-rule", "--json");
    argv.splice(argv.indexOf("--rank"), 2);
    const { status, stdout } = await runCommand(argv);
    expect(status).toBe(0);
    const events = parseJsonLines(stdout);
    // 2 layers of 4 heads.
    expect(events[0]).toMatchObject({ trainedCount: 8 });
    expect(Math.abs(Number(events[1]?.loss) - Number(events[1]?.frozenLoss))).toBeLessThan(0.05);
    const adapter = join(folder.path, "infini");
    const opened = await openAdapter(
      await nodePlatform.openFolder(adapter, {
        signal: undefined,
        onProgress: undefined,
        revision: undefined,
      }),
    );
    await opened.close();
    expect(opened.design).toEqual({ variant: "infini", linearMemory: { updateRule: "delta" } });
    await using loaded = await loadModel(model, { adapter, threads: 1 });
    const session = loaded.createSession();
    await session.append(writeTrainingText(3));
    expect(session.stats.policy).toBe("infini");
    // Eight steps have moved every layer's gates from where they began.
    for (const opening of session.stats.meanGateOpening)
      expect(Math.abs(opening - 1 / (1 + Math.exp(4)))).toBeGreaterThan(1e-5);
  });

  it("goes back through earlier segments: from the same start to another adapter", async () => {
    const recipe = await folder.writeFile("bptt.json", JSON.stringify({ "bptt-depth": 2 }));
    const detached = await runCommand(argue("detached", "--json", "--bptt-depth", "0"));
    const back = await runCommand(argue("bptt", "--json", "--recipe-file", recipe));
    expect([detached.status, back.status]).toEqual([0, 0]);
    const stepZero = ({ stdout }: typeof back) => Number(parseJsonLines(stdout)[1]?.loss);
    expect(stepZero(back)).toBeCloseTo(stepZero(detached), 4);
    const digestOf = (out: string) => digestFiles(join(folder.path, out), ["adapter_model.safetensors"]);
    expect(await digestOf("bptt")).not.toEqual(await digestOf("detached"));
    // The command that does not name a depth trains what it trained before there was one.
    const resumed = await runCommand(argue("detached", "--resume"));
    expect(resumed.status).toBe(0);
  });

  it("stops at Ctrl-C with a checkpoint, and resumes to the same adapter bit for bit", async () => {
    expect((await runCommand(argue("straight"))).status).toBe(0);
    const stopped = await runCommand(argue("stopped", "--json"), { onStdout: interruptAt('"step":3,') });
    expect(stopped.status).toBe(130);
    expect((await runCommand(argue("stopped", "--resume"))).status).toBe(0);
    const digests = await digestFiles(join(folder.path, "straight"), adapterFiles);
    expect(await digestFiles(join(folder.path, "stopped"), adapterFiles)).toEqual(digests);
  });

  it("learns completions, and facts that are hidden in text", async () => {
    const prompt = writeTrainingText(2);
    const completions = ["--recipe", "sft", "--data", await writeCompletions(prompt), "--segments", "16"];
    expect((await runCommand(argue("sft", ...completions))).status).toBe(0);
    const facts = [
      "--recipe",
      "sft",
      "--recall-share",
      "1",
      "--segments",
      "64",
      "--steps",
      "1",
      "--fixed-context",
    ];
    const recalled = await runCommand(argue("facts", ...facts));
    expect(recalled.stderr).not.toContain("error");
    expect(recalled.status).toBe(0);
  });

  it("trains the score of what slots keep, for an adapter that loadModel takes", async () => {
    const before = await digestFiles(model, baseFiles);
    const { status, stdout } = await runCommand(argueRetention("retention", "--json", "--steps", "32"));
    expect(status).toBe(0);
    expect(await digestFiles(model, baseFiles)).toEqual(before);
    const events = parseJsonLines(stdout);
    // No check at step 0: nothing that is trained takes part in what the frozen model says.
    const steps = events.slice(1, -2);
    expect(events.map(({ type }) => type)).toEqual(["start", ...steps.map(() => "step"), "base", "finish"]);
    expect(steps).toHaveLength(32);
    // 2 layers of 5 * 64 + 5 + 2 * 5 + 2 numbers.
    expect(events[0]).toMatchObject({ trainedCount: 674 });
    // Steps take four settings in turn, and targets differ.
    const lossOf = (some: typeof steps): number => some.reduce((sum, { loss }) => sum + Number(loss), 0);
    expect(lossOf(steps.slice(-8))).toBeLessThan(lossOf(steps.slice(0, 8)));
    const adapter = join(folder.path, "retention");
    await using loaded = await loadModel(model, { adapter, threads: 1 });
    expect(loaded.context).toEqual({ sinkTokens: 2, slotTokens: 6, windowTokens: 12, segmentTokens: 8 });
    const session = loaded.createSession();
    await session.append(writeTrainingText(3));
    expect(session.stats.policy).toBe("plus");
  });

  it("resumes the training of that score to the same adapter bit for bit", async () => {
    expect((await runCommand(argueRetention("whole"))).status).toBe(0);
    const stopped = await runCommand(argueRetention("cut", "--json"), { onStdout: interruptAt('"step":3,') });
    expect(stopped.status).toBe(130);
    expect((await runCommand(argueRetention("cut", "--resume"))).status).toBe(0);
    const digests = await digestFiles(join(folder.path, "whole"), adapterFiles);
    expect(await digestFiles(join(folder.path, "cut"), adapterFiles)).toEqual(digests);
  });

  it("learns that score from facts that are hidden in text", async () => {
    const facts = ["--recall-share", "0.5", "--length", "500", "--steps", "2", "--fixed-context"];
    const { status, stderr } = await runCommand(argueRetention("hidden", ...facts));
    expect(stderr).not.toContain("error");
    expect(status).toBe(0);
  });

  it("refuses weights of queries above 1 before it makes a folder", async () => {
    const recall = await folder.writeFile("heavy.json", JSON.stringify({ weights: { answer: 5 } }));
    const heavy = ["--recall-share", "0.5", "--recall", recall, "--weigh-queries"];
    const { status, stderr } = await runCommand(argueRetention("heavy", ...heavy));
    expect(stderr).toMatch(/heavy\.json: weights\.answer: .*got 5, expected at most 1/);
    expect(status).toBe(2);
    expect(existsSync(join(folder.path, "heavy"))).toBe(false);
  });

  it.each<[string, string[], RegExp]>([
    ["options of other recipes", ["--segments", "4"], /--segments says nothing to the recipe retention/],
    ["a variant that the recipe does not train", ["--variant", "paper"], /got "?paper.*expected plus/],
    ["documents within the window", ["--length", "20"], /nothing leaves the window/],
    ["documents longer than the teacher's", ["--length", "5000"], /they are longer than/],
    ["no slots", ["--slots", "0"], /--slots: out of range/],
    ["segments to go back through", ["--bptt-depth", "1"], /recipe retention: .*behind no state/],
  ])("refuses %s where retention is trained", async (name, more, message) => {
    const { status, stderr } = await runCommand(argueRetention(name.replaceAll(" ", "-"), ...more));
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });

  it.each<[string, () => Promise<string[]>, RegExp, number]>([
    [
      "gates that are not shut",
      async () => ["--gate-bias", "2"],
      /step 0: the gates are not shut.*--gate-bias/,
      2,
    ],
    ["texts where completions are learned", async () => ["--recipe", "sft"], /passage 1: the recipe sft/, 2],
    ["no recipe", async () => ["--recipe", ""], /--recipe: unknown.*expected lm, sft/, 2],
    [
      "records shorter than the window",
      async () => ["--data", await folder.writeFile("short.jsonl", '{"text": "short"}\n{"text": "too"}\n')],
      /no record is long enough, got "2 records, all shorter", expected one of 24 tokens or more/,
      2,
    ],
    [
      "completions within the window",
      async () => ["--recipe", "sft", "--data", await writeCompletions(""), "--window", "40"],
      /nothing is to be learned past the window|no record is long enough/,
      2,
    ],
    ["a part of a segment", async () => ["--bptt-depth", "0.5"], /--bptt-depth: out of range/, 2],
    [
      "more segments than there are",
      async () => ["--bptt-depth", "4"],
      /bpttDepth.*from 0 to 3.*--segments/,
      2,
    ],
    ["a window beyond the trained positions", async () => ["--window", "4000"], /exceed the positions/, 2],
    ["a rank of gates that are numbers", async () => ["--variant", "infini"], /--rank says nothing/, 2],
    [
      "the delta rule of another variant",
      async () => ["--delta-rule"],
      /--delta-rule is of variant infini/,
      2,
    ],
    [
      "gates of Infini-attention where a recipe does not train them",
      async () => ["--recipe", "distill", "--variant", "infini"],
      /--recipe distill: it does not train this variant, got "?infini.*expected plus or paper/,
      2,
    ],
    ["a model that is not there", async () => ["--model", "./none"], /none/, 5],
  ])("refuses %s", async (name, more, message, expected) => {
    const { status, stderr } = await runCommand(argue(name.replaceAll(" ", "-"), ...(await more())));
    expect(stderr).toMatch(message);
    expect(stderr.split("\n").filter((line) => line.startsWith("error: "))).toHaveLength(1);
    expect(status).toBe(expected);
  });
});
