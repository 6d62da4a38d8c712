import { existsSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type CommandOptions,
  type CommandResult,
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

const limits = ["--max-new-tokens", "6", "--threads", "1"];

function chat(
  lines: readonly string[],
  argv: readonly string[] = [],
  options?: CommandOptions,
): Promise<CommandResult> {
  const stdin = lines.map((line) => `${line}\n`).join("");
  return runCommand(["chat", "--model", model, ...limits, ...argv], { stdin, ...options });
}

/** The `prefill-finish` events: what each turn read and what it did not have to. */
async function readTurns(
  lines: readonly string[],
  argv: readonly string[] = [],
): Promise<{ newTokens: unknown; reusedTokens: unknown }[]> {
  const { status, stdout } = await chat(lines, ["--json", ...argv]);
  expect(status).toBe(0);
  return parseJsonLines(stdout)
    .filter(({ type }) => type === "prefill-finish")
    .map(({ newTokens, reusedTokens }) => ({ newTokens, reusedTokens }));
}

describe("edgeinfinite chat without a model", () => {
  it("talks with the model of the package, and says so", async () => {
    const { status, stderr } = await runCommand(["chat", ...limits], { stdin: "Who are you?\n" });
    expect(status).toBe(0);
    expect(stderr).toMatch(
      /^notice: no --model was given, so this is the small one of the package, default\//m,
    );
  });
});

describe("edgeinfinite chat from a pipe", () => {
  it("takes each line as a turn, skips empty ones, and writes answers only to stdout", async () => {
    const { status, stdout, stderr } = await chat(["Hello", "", "How are you?"], ["--quiet"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).not.toContain(">");
    expect(stdout.length).toBeGreaterThan(2);
  });

  it("reads in each turn what is new only", async () => {
    const [first, second, third] = await readTurns(["Hello", "And more", "And more"]);
    expect(first?.reusedTokens).toBe(0);
    expect(second?.reusedTokens).toBe(Number(first?.newTokens) + 6);
    expect(third?.reusedTokens).toBe(Number(second?.reusedTokens) + Number(second?.newTokens) + 6);
  });

  it("reads a system text and files before the conversation", async () => {
    const [plain] = await readTurns(["Hello"]);
    const [system] = await readTurns(["Hello"], ["--system", "Be brief."]);
    expect(Number(system?.newTokens)).toBeGreaterThan(Number(plain?.newTokens));
    const file = await folder.writeFile("context.txt", "Once upon a time. ");
    const [withFile] = await readTurns(["Hello"], ["--file", file]);
    expect(withFile?.newTokens).toBe(plain?.newTokens);
    expect(Number(withFile?.reusedTokens)).toBeGreaterThan(5);
  });

  it("starts over with /clear, but keeps what was read before the conversation", async () => {
    const file = await folder.writeFile("context.txt", "Once upon a time. ");
    const [first, again] = await readTurns(["Hello", "/clear", "Hello"], ["--file", file]);
    expect(again).toEqual(first);
  });

  it("saves a conversation and goes on with it, here or in a new process", async () => {
    const path = join(folder.path, "talk.session");
    const saved = await chat(["Hello", `/save ${path}`, "Second"], ["--json"]);
    expect(saved.stderr).toMatch(/^saved .*: \d+ bytes$/m);
    const turn = (stdout: string): unknown[] => {
      const events = parseJsonLines(stdout);
      return events
        .slice(events.findLastIndex(({ type }) => type === "prefill-finish"))
        .filter(({ type }) => type !== "finish");
    };
    const loaded = await chat(["Something else", `/load ${path}`, "Second"], ["--json"]);
    expect(loaded.stderr).toMatch(/^loaded .* tokens, 2 messages$/m);
    expect(turn(loaded.stdout)).toEqual(turn(saved.stdout));
    const resumed = await chat(["Second"], ["--json", "--load", path]);
    expect(turn(resumed.stdout)).toEqual(turn(saved.stdout));
  });

  it("tells what the session holds, and what commands there are", async () => {
    const { stderr, stdout } = await chat(["/stats", "/help", "/frob", "/save", "/exit", "not reached"]);
    expect(stderr).toMatch(/^length {4}0 tokens$/m);
    for (const name of ["/save FILE", "/load FILE", "/stats", "/clear", "/help", "/exit"])
      expect(stderr).toContain(name);
    expect(stderr).toContain("There is no command /frob");
    expect(stderr).toContain("Give the name of a file.");
    expect(stdout).toBe("");
  });

  it("ends with the status of what fails", async () => {
    const { status, stderr } = await chat([`/load ${join(folder.path, "missing")}`, "Hello"]);
    expect(status).toBe(5);
    expect(stderr).toMatch(/^error: .*nothing there/m);
  });

  it("refuses a model that cannot take turns", async () => {
    const plain = await folder.writeModel(createTinyModelFolder(), ["tokenizer_config.json"]);
    const { status, stderr } = await runCommand(["chat", "--model", plain], { stdin: "Hello\n" });
    expect(status).toBe(3);
    expect(stderr).toMatch(/error: .*no chat template.*edgeinfinite run/);
  });
});

describe("edgeinfinite chat at a terminal", () => {
  /** Types a line whenever the prompt has come as often as lines were typed. */
  async function type(
    lines: readonly (string | "end")[],
    argv: readonly string[] = [],
    options: CommandOptions = {},
  ): Promise<CommandResult> {
    const stdin = new PassThrough();
    let typed = 0;
    const onStdout: CommandOptions["onStdout"] = (text, interrupts) => {
      options.onStdout?.(text, interrupts);
      while (typed < lines.length && text.split("> ").length > typed + 1) {
        const line = lines[typed++];
        setImmediate(() => (line === "end" ? stdin.end() : stdin.write(`${line}\n`)));
      }
    };
    return chat([], argv, { ...options, stdin, isInteractive: true, onStdout });
  }

  it("prompts, goes on after an error, and ends at the end of the input", async () => {
    const { status, stdout, stderr } = await type(["/load /nowhere", "Hello", "end"]);
    expect(status).toBe(0);
    expect(stdout.split("> ").length).toBe(4);
    expect(stderr).toMatch(/error: .*nothing there/);
  });

  it("keeps the conversation when a session cannot be saved", async () => {
    const path = join(folder.path, "missing", "x.session");
    const { status, stderr } = await type(["Hello", `/save ${path}`, "/stats", "end"]);
    expect(status).toBe(0);
    expect(stderr).toMatch(/error: .*cannot be written/);
    expect(stderr).toMatch(/^length {4}(?!0 )\d+ tokens$/m);
    expect(existsSync(path)).toBe(false);
  });

  it("stops an answer at Ctrl-C and goes on from there", async () => {
    let isPressed = false;
    const argv = ["--max-new-tokens", "Infinity", "--temperature", "1", "--seed", "3"];
    const { status, stderr, stdout } = await type(["Hello", "/stats", "end"], argv, {
      onStdout(text, interrupts) {
        if (isPressed || text.length < 40) return;
        isPressed = true;
        interrupts.interrupt();
      },
    });
    expect(status).toBe(0);
    expect(stdout.length).toBeGreaterThanOrEqual(40);
    expect(stderr).toMatch(/\(stopped\)/);
    expect(stderr).toMatch(/^length {4}\d\d+ tokens$/m);
  });

  it("ends at Ctrl-C at the prompt", async () => {
    const { status } = await type([], [], {
      onStdout: (text, interrupts) => {
        if (text.endsWith("> ")) interrupts.interrupt();
      },
    });
    expect(status).toBe(130);
  });
});
