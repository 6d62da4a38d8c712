/**
 * The command line: finds the command, runs it, and turns whatever happens into messages and an exit status.
 */

import { isEdgeInfiniteError } from "../errors.ts";
import { readPackageVersion } from "../files/node-package.ts";
import { formatDefinitions, formatOptions, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { type CommandEntry, commands } from "./commands.ts";
import { exitCodeOf, exitCodes } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";

function formatHelp(): string {
  const rows = Object.entries(commands).map(([name, { summary }]): [string, string] => [name, summary]);
  return [
    "Usage: edgeinfinite <command> [options]",
    "",
    "Runs ordinary Transformer checkpoints over text of any length in constant memory.",
    "",
    "Commands:",
    formatDefinitions(rows),
    "Options:",
    formatDefinitions([
      ["--help", "says how a command is used: edgeinfinite <command> --help"],
      ["--version", "prints the version"],
    ]),
    "Exit status: 0 done, 1 internal error, 2 wrong arguments, 3 invalid model, 4 unsupported, 5 file or",
    "download, 6 out of memory, 7 runtime missing, 130 Ctrl-C. EDGEINFINITE_DEBUG=1 shows stacks.",
    "",
  ].join("\n");
}

function formatCommandHelp(name: string, { usage, description, options }: Command): string {
  return `Usage: edgeinfinite ${name} ${usage}\n\n${description}\n\nOptions:\n${formatOptions(options)}`;
}

/** Tells whether a flag stands among the options, before a `--`. */
function hasFlag(argv: readonly string[], ...flags: readonly string[]): boolean {
  const end = argv.indexOf("--");
  return (end < 0 ? argv : argv.slice(0, end)).some((argument) => flags.includes(argument));
}

function listStack(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\ncaused by: ${listStack(error.cause)}`;
}

/** Tells of an error: one line, an object for machines, the stack for those who debug. */
async function reportError(error: unknown, terminal: Terminal, asJson: boolean): Promise<number> {
  const exitCode = exitCodeOf(error);
  const isKnown = isEdgeInfiniteError(error);
  const text = error instanceof Error ? error.message : String(error);
  const message = (isKnown ? text : `internal: ${text}`).replaceAll(/\s*\n\s*/g, " ");
  if (asJson) {
    const code = isKnown ? error.code : "internal";
    await terminal.stdout.json({ type: "error", code, message, exitCode });
  }
  await terminal.stderr.line(`error: ${message}`);
  if (terminal.environment.EDGEINFINITE_DEBUG) await terminal.stderr.line(listStack(error));
  return exitCode;
}

/** Puts the words of a command's name together. */
function readName(argv: readonly string[]): readonly [name: string | undefined, rest: readonly string[]] {
  const [first, second] = argv;
  const both = `${first} ${second}`;
  return Object.hasOwn(commands, both) ? [both, argv.slice(2)] : [first, argv.slice(1)];
}

function findCommand(name: string): CommandEntry {
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry !== undefined) return entry;
  const longer = Object.keys(commands).filter((known) => known.startsWith(`${name} `));
  if (longer.length > 0) throw usageError("the command has a second word", { expected: longer.join(" or ") });
  const what = name.startsWith("-") ? "unknown option" : "unknown command";
  throw usageError(what, { got: name, expected: Object.keys(commands).join(", ") });
}

async function runCommand(argv: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<void> {
  const [name, rest] = readName(argv);
  if (name === undefined) {
    await terminal.stderr.write(formatHelp());
    throw usageError("a command is missing", { expected: Object.keys(commands).join(", ") });
  }
  if (name === "--help" || name === "-h" || name === "help") return terminal.stdout.write(formatHelp());
  if (name === "--version") return terminal.stdout.line(readPackageVersion());
  const command = await findCommand(name).load();
  if (hasFlag(rest, "--help", "-h")) return terminal.stdout.write(formatCommandHelp(name, command));
  return command.run({ terminal, argv: rest, signal });
}

/**
 * Runs the command line.
 * @param argv the arguments after the program's name.
 * @returns the exit status.
 */
export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<number> {
  using scope = terminal.interrupts.open();
  try {
    await runCommand(argv, terminal, scope.signal);
    scope.signal.throwIfAborted();
    terminal.stdout.assertWritten("stdout");
    return exitCodes.ok;
  } catch (error) {
    if (scope.signal.aborted) return exitCodes.interrupted;
    return reportError(error, terminal, hasFlag(argv, "--json"));
  }
}
