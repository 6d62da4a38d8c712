import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type CommandOptions,
  type CommandResult,
  createTemporaryFolder,
  parseJsonLines,
  runCommand,
  type TemporaryFolder,
} from "../../test/support/command-terminal.ts";
import { loadModel } from "../engine/node.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../testing/index.ts";

let folder: TemporaryFolder;
let model: string;
let adapter: string;
let book: string;
const bookText = "The rain fell on the old mill all day.\n\n".repeat(500);
const context = ["--sinks", "4", "--window", "64", "--segment", "32", "--threads", "1"];

beforeAll(async () => {
  folder = await createTemporaryFolder();
  model = await folder.writeModel(createTinyModelFolder());
  adapter = await folder.writeModel(createTinyAdapterFolder());
  book = await folder.writeFile("book.txt", bookText);
});

afterAll(() => folder[Symbol.asyncDispose]());

function run(argv: readonly string[], options?: CommandOptions): Promise<CommandResult> {
  return runCommand(["run", "--model", model, ...context, ...argv], options);
}

/** Lays what was written over itself out in lines. */
function withoutControls(text: string): string {
  return text.replaceAll("\u001b[2K", "").replaceAll("\r", "\n");
}

/** What the API gives for the same stream. */
async function continueText(text: string, maxNewTokens: number, withAdapter = true): Promise<string> {
  await using loaded = await loadModel(model, {
    ...(withAdapter && { adapter }),
    context: { sinkTokens: 4, windowTokens: 64, segmentTokens: 32 },
    threads: 1,
  });
  const session = loaded.createSession();
  await session.append(text);
  let answer = "";
  for await (const event of session.generate({ maxNewTokens }))
    if (event.type === "token") answer += event.text;
  return answer;
}

describe("edgeinfinite run", () => {
  it("writes what the model continues a file and a prompt with", async () => {
    const argv = ["--adapter", adapter, "--file", book, "--max-new-tokens", "20", "And", "then"];
    const { status, stdout, stderr } = await run(argv);
    expect(status).toBe(0);
    const expected = await continueText(`${bookText}And then`, 20);
    expect(stdout).toBe(expected.endsWith("\n") ? expected : `${expected}\n`);
    expect(stderr).toMatch(/^read .* tokens in .*; all logits finite$/m);
    expect(stderr).toMatch(/^speed .*first tenth [\d,]+ tokens\/s, last tenth [\d,]+ \(\d\.\d\d times\)$/m);
    expect(stderr).toMatch(/^state .*, constant throughout \(an ordinary cache would take /m);
    expect(stderr).toMatch(
      /^memory +paper, path gated; [\d,]+ commits; mean gate 0\.\d{3}; tokens: 4 sinks/m,
    );
    expect(stderr).not.toContain("\u001b");
  });

  it("prints objects for machines, and nothing else", async () => {
    const argv = ["--adapter", adapter, "--file", book, "--max-new-tokens", "5", "--json"];
    const { status, stdout, stderr } = await run(argv);
    expect([status, stderr]).toEqual([0, ""]);
    const objects = parseJsonLines(stdout);
    const tokens = objects.filter(({ type }) => type === "token");
    expect(tokens.map(({ text }) => text).join("")).toBe(await continueText(bookText, 5));
    const finish = objects.at(-1);
    expect(finish).toMatchObject({
      type: "finish",
      reason: "length",
      usage: { completionTokens: 5 },
      stats: { policy: "paper", path: "gated" },
      reading: { firstTenthTokensPerSecond: expect.any(Number), residentGrowthBytes: 0 },
    });
    const { reading } = finish as { reading: { leastStateBytes: number; mostStateBytes: number } };
    expect(reading.leastStateBytes).toBe(reading.mostStateBytes);
  });

  it("shows progress on a terminal only", async () => {
    const argv = ["--file", book, "--max-new-tokens", "1"];
    const interactive = await run(argv, { isInteractive: true });
    expect(withoutControls(interactive.stderr)).toMatch(/^ *\d+% █*░* +[\d,]+ tokens {2}[\d,.]+ tokens\/s/m);
    expect((await run(argv)).stderr).not.toMatch(/█|░/);
    expect((await run([...argv, "--quiet"], { isInteractive: true })).stderr).toBe("");
  });

  it("says once that nothing is remembered without an adapter", async () => {
    const { stderr } = await run(["--max-new-tokens", "1", "Hello"]);
    expect(stderr.match(/^notice: No adapter was given/gm)).toHaveLength(1);
  });

  it("reads what the shell pipes in, before the prompt", async () => {
    const expected = await continueText("piped\nasked", 5, false);
    for (const argv of [["asked"], ["-", "asked"], ["--file", "-", "asked"]]) {
      const { status, stdout } = await run([...argv, "--max-new-tokens", "5"], { stdin: "piped\n" });
      expect([status, stdout.trimEnd()]).toEqual([0, expected.trimEnd()]);
    }
  });

  it("does not wait for an input that a parent process left open", async () => {
    const { status } = await run(["--max-new-tokens", "1", "asked"], { stdin: "x", isInputPiped: false });
    expect(status).toBe(0);
  });

  it("puts the prompt through the chat template with --chat", async () => {
    const { status, stdout } = await run(["--max-new-tokens", "9", "--quiet", "--json", "--chat", "Hello"]);
    expect(status).toBe(0);
    const [prefill, ...tokens] = parseJsonLines(stdout);
    const prompt = "<|begin|>user\nHello<|end|>\n<|begin|>assistant\n";
    await using loaded = await loadModel(model, { threads: 1 });
    const ids = loaded.tokenizer?.encode(prompt, { addSpecialTokens: false }) ?? [];
    expect(prefill).toMatchObject({ type: "prefill-finish", newTokens: ids.length });
    const session = loaded.createSession();
    await session.append(ids);
    const expected: unknown[] = [];
    for await (const event of session.generate({ maxNewTokens: 9 })) expected.push(event);
    expect(tokens.slice(0, -1)).toEqual(expected.slice(0, -1));
    const noTemplate = await folder.writeModel(createTinyModelFolder(), ["tokenizer_config.json"]);
    const refused = await runCommand(["run", "--model", noTemplate, "--chat", "Hello"]);
    expect(refused.status).toBe(3);
    expect(refused.stderr).toMatch(/error: .*no chat template/);
  });
});

describe("a saved session", () => {
  it("goes on as if it had not been saved", async () => {
    const path = join(folder.path, "half.session");
    const half = bookText.indexOf("\n\n", bookText.length / 2);
    const first = await folder.writeFile("first.txt", bookText.slice(0, half));
    const second = await folder.writeFile("second.txt", bookText.slice(half));
    const saving = await run(["--adapter", adapter, "--file", first, "--no-generate", "--save", path]);
    expect(saving).toMatchObject({ status: 0, stdout: "" });
    expect(saving.stderr).toContain(`saved     ${path}\n`);
    const argv = [
      "--adapter",
      adapter,
      "--load",
      path,
      "--file",
      second,
      "--max-new-tokens",
      "10",
      "--quiet",
    ];
    const { stdout } = await run(argv);
    expect(stdout.trimEnd()).toBe((await continueText(bookText, 10)).trimEnd());
  });

  it("takes further turns of its conversation", async () => {
    const path = join(folder.path, "turns.session");
    const chat = ["--max-new-tokens", "5", "--chat", "--json"];
    await run([...chat, "--save", path, "Hello"]);
    const { status, stdout } = await run([...chat, "--load", path, "And more"]);
    expect(status).toBe(0);
    const prefill = parseJsonLines(stdout).find(({ type }) => type === "prefill-finish");
    expect(prefill?.reusedTokens).toBeGreaterThan(0);
  });

  it("is refused when it is damaged, missing or of another model", async () => {
    const path = join(folder.path, "good.session");
    await run(["--no-generate", "--save", path, "--quiet", "Hello"]);
    const bytes = await readFile(path);
    const cut = await folder.writeFile("cut.session", bytes.subarray(0, bytes.length - 1));
    const load = async (file: string, ...argv: string[]): Promise<[number, string]> => {
      const { status, stderr } = await run(["--load", file, "--max-new-tokens", "1", ...argv]);
      return [status, stderr];
    };
    expect(await load(cut)).toEqual([2, expect.stringMatching(/truncated or altered/)]);
    expect(await load(join(folder.path, "none"))).toEqual([5, expect.stringMatching(/nothing there/)]);
    expect(await load(path, "--window", "65")).toEqual([2, expect.stringMatching(/other context settings/)]);
    expect(await load(book)).toEqual([2, expect.stringMatching(/no saved session/)]);
  });

  it("is not begun where it cannot be saved in the end", async () => {
    for (const path of [join(folder.path, "missing", "x"), folder.path]) {
      const { status, stdout, stderr } = await run(["--save", path, "Hello"]);
      expect([status, stdout]).toEqual([5, ""]);
      expect(stderr).toMatch(/error: .*cannot be saved there/);
    }
  });
});

/** Presses Ctrl-C once, when what was written matches. */
function once(pattern: RegExp): NonNullable<CommandOptions["onStdout"]> {
  let isPressed = false;
  return (text, interrupts) => {
    if (isPressed || !pattern.test(text)) return;
    isPressed = true;
    interrupts.interrupt();
  };
}

describe("Ctrl-C", () => {
  it("stops the reading, says how far it came, and saves that beside the file asked for", async () => {
    const path = await folder.writeFile("kept.session", "old");
    const { status, stderr, stdout } = await run(["--file", book, "--save", path], {
      isInteractive: true,
      onStderr: once(/█|░/),
    });
    expect([status, stdout]).toEqual([130, ""]);
    const [, tokens] = /stopped after (\d+) tokens \(.*book\.txt, about byte \d+\)/.exec(stderr) ?? [];
    expect(Number(tokens)).toBeGreaterThan(0);
    expect(await readFile(path, "utf8")).toBe("old");
    const { stdout: json } = await run(["--load", `${path}.partial`, "--no-generate", "--json"]);
    expect(parseJsonLines(json).at(-1)).toMatchObject({ type: "finish", lengthTokens: Number(tokens) });
  });

  it("stops the writing; what was written stays", async () => {
    const { status, stdout, stderr } = await run(
      ["--max-new-tokens", "Infinity", "--temperature", "1", "--seed", "1", "Go"],
      {
        onStdout: (text, interrupts) => {
          if (text.length > 5) interrupts.interrupt();
        },
      },
    );
    expect(status).toBe(130);
    expect(stdout.length).toBeGreaterThan(5);
    expect(stderr).toMatch(/^stopped after \d+ tokens$/m);
  });
});

describe("without --model", () => {
  it("runs the model of the package, and says so", async () => {
    const { status, stdout, stderr } = await runCommand(["run", "--max-new-tokens", "2", "--json", "Hello"]);
    expect([status, stderr]).toEqual([0, ""]);
    const notices = parseJsonLines(stdout).filter(({ type }) => type === "notice");
    expect(notices.map(({ text }) => text).join("\n")).toMatch(
      /no --model was given, so this is the small one of the package, default\//,
    );
  });
});

describe("bad input", () => {
  it.each<[string, number, readonly string[]]>([
    ["a missing folder", 5, ["--model", "./nowhere", "Hello"]],
    ["an unknown option", 2, ["--model", "M", "--frob", "Hello"]],
    ["no new tokens", 2, ["--model", "M", "--max-new-tokens", "0", "Hello"]],
    ["a temperature that is no number", 2, ["--model", "M", "--temperature", "warm", "Hello"]],
    ["an unknown policy", 2, ["--model", "M", "--policy", "hoarding", "Hello"]],
    ["an empty prompt", 2, ["--model", "M", ""]],
    ["a missing file", 5, ["--model", "M", "--file", "./nowhere.txt"]],
    ["a folder for a file", 5, ["--model", "M", "--file", "."]],
    ["an empty file", 2, ["--model", "M", "--file", "/dev/null"]],
    ["an empty window", 2, ["--model", "M", "--window", "0", "Hello"]],
    ["more than the trained positions", 2, ["--model", "M", "--window", "4000", "Hello"]],
    ["an unknown device", 4, ["--model", "M", "--device", "abacus", "Hello"]],
    ["float16 on a CPU", 4, ["--model", "M", "--dtype", "f16", "Hello"]],
    ["no thread", 2, ["--model", "M", "--threads", "0", "Hello"]],
    ["the policy paper without an adapter", 2, ["--model", "M", "--policy", "paper", "Hello"]],
    ["stdin twice", 2, ["--model", "M", "--file", "-", "-"]],
    ["--chat without a prompt", 2, ["--model", "M", "--chat", "--file", "."]],
  ])("%s: refused with status %d and a line that says why", async (_name, expected, argv) => {
    const given = argv.map((argument) => (argument === "M" ? model : argument));
    const { status, stdout, stderr } = await runCommand(["run", ...given], { isInteractive: true });
    expect([status, stdout]).toEqual([expected, ""]);
    expect(withoutControls(stderr)).toMatch(/(^|\n)error: [^\n]+\n$/);
  });

  it("a text for a model without a tokenizer: refused", async () => {
    const bare = await folder.writeModel(createTinyModelFolder(), ["tokenizer.json"]);
    const { status, stderr } = await runCommand(["run", "--model", bare, "Hello"]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/no tokenizer\.json/);
  });

  it("a damaged checkpoint: refused with status 3", async () => {
    const broken = await folder.writeModel(createTinyModelFolder());
    await writeFile(join(broken, "model.safetensors"), "junk junk junk");
    const { status, stderr } = await runCommand(["run", "--model", broken, "Hello"]);
    expect(status).toBe(3);
    expect(stderr).toMatch(/model\.safetensors/);
  });

  it("more text than an ordinary cache holds: refused, and what was read can be saved", async () => {
    const path = join(folder.path, "full.session");
    const { status, stderr } = await run(["--policy", "full", "--file", book, "--save", path]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/outgrow the full cache/);
    expect(existsSync(`${path}.partial`)).toBe(true);
  });
});
