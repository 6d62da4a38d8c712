/**
 * Runs the command line within the test's process: a terminal that keeps what is written, and models on disk.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { runCommandLine } from "../../src/cli/command-line.ts";
import { Interrupts } from "../../src/cli/interrupts.ts";
import { type Terminal, TextOutput } from "../../src/cli/terminal.ts";
import type { ModelFolder } from "../../src/files/model-folder.ts";

/** Keeps what is written to it. */
export class KeepingStream extends Writable {
  text = "";
  readonly #onText: (text: string) => void;
  readonly columns = 120;

  constructor(onText: (text: string) => void = () => {}) {
    super({ decodeStrings: false });
    this.#onText = onText;
  }

  override _write(chunk: unknown, _encoding: string, done: () => void): void {
    this.text += String(chunk);
    this.#onText(this.text);
    done();
  }
}

/** Chooses how a command runs. */
export interface CommandOptions {
  /** What stdin holds; a stream stays as it is. Default nothing. */
  readonly stdin?: string | Readable;
  /** Whether the shell put a pipe there. Default only when `stdin` is given. */
  readonly isInputPiped?: boolean;
  /** Whether stdin and stderr are a terminal. Default false. */
  readonly isInteractive?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  /** Are told all that was written so far, at each piece. */
  readonly onStdout?: (text: string, interrupts: Interrupts) => void;
  readonly onStderr?: (text: string, interrupts: Interrupts) => void;
}

/** Is what a command left. */
export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Creates a terminal whose output is kept. */
export function createTestTerminal(options: CommandOptions = {}): {
  readonly terminal: Terminal;
  readonly stdout: KeepingStream;
  readonly stderr: KeepingStream;
} {
  const { stdin, isInteractive = false } = options;
  const interrupts = new Interrupts(() => {
    throw new Error("killed");
  });
  const stdout = new KeepingStream((text) => options.onStdout?.(text, interrupts));
  const stderr = new KeepingStream((text) => options.onStderr?.(text, interrupts));
  const terminal: Terminal = {
    stdin: stdin instanceof Readable ? stdin : new PassThrough().end(stdin ?? ""),
    isInputInteractive: isInteractive,
    isInputPiped: options.isInputPiped ?? stdin !== undefined,
    stdout: new TextOutput(stdout, isInteractive),
    stderr: new TextOutput(stderr, isInteractive),
    environment: options.environment ?? {},
    interrupts,
    residentBytes: () => 100_000_000,
  };
  return { terminal, stdout, stderr };
}

/** Interrupts a command once, as soon as it has written a text; as its `onStdout`. */
export function interruptAt(mark: string): NonNullable<CommandOptions["onStdout"]> {
  let isInterrupted = false;
  return (text, interrupts) => {
    if (isInterrupted || !text.includes(mark)) return;
    isInterrupted = true;
    interrupts.interrupt();
  };
}

/** Runs a command to its end. */
export async function runCommand(
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { terminal, stdout, stderr } = createTestTerminal(options);
  const status = await runCommandLine(argv, terminal);
  return { status, stdout: stdout.text, stderr: stderr.text };
}

/** Parses output of an object a line. */
export function parseJsonLines(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

const fileNames = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];
const adapterFileNames = ["adapter_config.json", "adapter_model.safetensors"];

/** Is a folder of the test's own; it is removed in the end. */
export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
  /** Writes the files of a model or adapter, except those left out; gives the folder's path. */
  writeModel(folder: ModelFolder, without?: readonly string[]): Promise<string>;
  /** Writes a file; gives its path. */
  writeFile(name: string, content: string | Uint8Array): Promise<string>;
}

/** Creates a temporary folder. */
export async function createTemporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), "edgeinfinite-test-"));
  return {
    path,
    async writeModel(folder, without = []) {
      const target = await mkdtemp(join(path, "model-"));
      for (const name of [...fileNames, ...adapterFileNames]) {
        if (without.includes(name) || !(await folder.has(name))) continue;
        const source = await folder.open(name);
        await writeFile(join(target, name), await source.read(0, source.sizeBytes));
      }
      return target;
    },
    async writeFile(name, content) {
      await writeFile(join(path, name), content);
      return join(path, name);
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
