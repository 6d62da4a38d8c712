import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTemporaryFolder, type TemporaryFolder } from "../../test/support/command-terminal.ts";
import { createTinyModelFolder } from "../testing/index.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));
let folder: TemporaryFolder;
let model: string;
let book: string;

beforeAll(async () => {
  folder = await createTemporaryFolder();
  model = await folder.writeModel(createTinyModelFolder());
  book = await folder.writeFile("book.txt", "The rain fell on the old mill all day. ".repeat(750_000));
});

afterAll(() => folder[Symbol.asyncDispose]());

function start(argv: readonly string[]): ChildProcess {
  return spawn(process.execPath, ["--import", "tsx", main, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
}

/** Waits for a process; `onOutput` sees all that was written so far. */
function finish(
  child: ChildProcess,
  onOutput: (stdout: string) => void = () => {},
): Promise<{ status: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }> {
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk) => {
    stdout += chunk;
    onOutput(stdout);
  });
  child.stderr?.on("data", (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
}

const options = ["--threads", "1", "--window", "64", "--segment", "64"];

describe("the process", () => {
  it("stops cleanly at the first Ctrl-C, telling how much was read", async () => {
    const child = start(["run", "--model", model, ...options, "--file", book, "--json"]);
    let isPressed = false;
    const { status, stdout, stderr } = await finish(child, (text) => {
      if (isPressed || !text.includes('"progress"')) return;
      isPressed = true;
      child.kill("SIGINT");
    });
    expect(status).toBe(130);
    expect(stderr).toMatch(/^stopped after \d+ tokens \(.*book\.txt, about byte \d+\)$/m);
    const end = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
    expect(end).toMatchObject({ type: "interrupted" });
    expect(end.lengthTokens).toBeGreaterThan(0);
  });

  it("ends quietly when nobody reads its output any more", async () => {
    // No token ends an answer of this model: on a busy machine it would come before the pipe is closed.
    const endless = createTinyModelFolder({ config: { eos_token_id: null } });
    const child = start([
      "run",
      "--model",
      await folder.writeModel(endless, ["tokenizer_config.json"]),
      ...options,
      "--max-new-tokens",
      "Infinity",
      "--temperature",
      "1",
      "Go",
    ]);
    const ending = finish(child, () => child.stdout?.destroy());
    const { status, stderr } = await ending;
    expect(status).toBe(0);
    expect(stderr).not.toMatch(/error|EPIPE/);
    expect(stderr).toMatch(/; stopped$/m);
  });
});
