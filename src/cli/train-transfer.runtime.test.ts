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
  const sizes = ["--sinks", "2", "--window", "8", "--segment", "6", "--length", "60"];
  return ["train", "gate", ...files, ...sizes, "--steps", "6", "--tokens-per-step", "1", ...more];
}
const argueTransfer = (out: string, ...more: readonly string[]): string[] =>
  argue(out, "--recipe", "attention-transfer", "--rank", "4", "--learning-rate", "0.02", ...more);

beforeAll(async () => {
  folder = await createTemporaryFolder();
  model = await folder.writeModel(createTinyModelFolder());
  data = await folder.writeFile("data.txt", writeTrainingText(200));
});
afterAll(() => folder[Symbol.asyncDispose]());

const adapterFiles = ["adapter_config.json", "adapter_model.safetensors"];
const baseFiles = ["config.json", "model.safetensors", "tokenizer.json"];

/** Loads an adapter and reads past many commits. */
async function readFar(name: string): Promise<string> {
  await using loaded = await loadModel(model, { adapter: at(name), threads: 1 });
  const session = loaded.createSession();
  await session.append(writeTrainingText(3));
  return session.stats.policy;
}

describe("edgeinfinite train gate --recipe attention-transfer", () => {
  it("trains gates that begin shut, for an adapter that loadModel takes, over a base that stays", async () => {
    const before = await digestFiles(model, baseFiles);
    const { status, stdout } = await runCommand(argueTransfer("paper", "--json"));
    expect(status).toBe(0);
    expect(await digestFiles(model, baseFiles)).toEqual(before);
    const events = parseJsonLines(stdout);
    const types = ["start", "step-0", ...new Array(6).fill("step"), "base", "finish"];
    expect(events.map(({ type }) => type)).toEqual(types);
    // 2 layers of 4 * 64 + 4 + 4 * 4 + 4 numbers.
    expect(events[0]).toMatchObject({ trainedCount: 560 });
    expect(Math.abs(Number(events[1]?.loss) - Number(events[1]?.frozenLoss))).toBeLessThan(0.05);
    expect(await readFar("paper")).toBe("paper");
  });

  it("resumes to the same adapter bit for bit", async () => {
    const stopped = await runCommand(argueTransfer("cut", "--json"), { onStdout: interruptAt('"step":3,') });
    expect(stopped.status).toBe(130);
    expect((await runCommand(argueTransfer("cut", "--resume"))).status).toBe(0);
    const digests = await digestFiles(at("paper"), adapterFiles);
    expect(await digestFiles(at("cut"), adapterFiles)).toEqual(digests);
  });

  it("trains gates of a linear memory beside slots", async () => {
    const slots = await runCommand(argue("slots", "--recipe", "retention", "--slots", "6", "--steps", "2"));
    expect(slots.status).toBe(0);
    const more = ["--init", at("slots"), "--variant", "plus", "--linear-memory", "--fixed-context"];
    const { stderr } = await runCommand(argueTransfer("plus", ...more, "--steps", "2"));
    expect(stderr).not.toContain("error");
    expect(await readFar("plus")).toBe("plus");
    const nothing = await runCommand(argueTransfer("none", "--init", at("slots"), "--variant", "plus"));
    expect(nothing.stderr).toMatch(/nothing to train.*expected --linear-memory/);
  });

  it.each<[string, string[], RegExp]>([
    [
      "gates that are not shut",
      ["--gate-bias", "4", "--window", "40"],
      /step 0: the gates are not shut.*--gate-bias/,
    ],
    ["a bias of slots", ["--slot-bias"], /--slot-bias says nothing to the recipe attention-transfer/],
    ["documents within the window", ["--length", "20"], /no segment lies behind/],
    ["documents longer than the teacher's", ["--length", "5000"], /longer than the teacher/],
  ])("refuses %s", async (name, more, message) => {
    const { status, stderr } = await runCommand(argueTransfer(name.replaceAll(" ", "-"), ...more));
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });
});
