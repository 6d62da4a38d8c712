/**
 * Arguments: tables of options, their parsing, and their help text.
 */

import { type ParseArgsConfig, parseArgs } from "node:util";
import { InvalidRequestError } from "../errors.ts";

/** Describes an option. */
export interface OptionSpec {
  readonly type: "string" | "boolean";
  readonly multiple?: boolean;
  /** Stands for the value in the help text. */
  readonly value?: string;
  readonly help: string;
}

/** Describes options by their names, without dashes. */
export type OptionTable = Readonly<Record<string, OptionSpec>>;

/** Holds what was given for each option of a table. */
export type OptionValues<Table extends OptionTable> = {
  readonly [Name in keyof Table]?: Table[Name] extends { readonly type: "boolean" }
    ? boolean
    : Table[Name] extends { readonly multiple: true }
      ? readonly string[]
      : string;
};

/** Returns the error for arguments that make no sense. */
export function usageError(
  what: string,
  facts: { got?: string; expected?: string; command?: string } = {},
): InvalidRequestError {
  const { command, ...rest } = facts;
  const help = command === undefined ? "edgeinfinite --help" : `edgeinfinite ${command} --help`;
  return new InvalidRequestError({ where: "arguments", what, ...rest, remedy: `See ${help}.` });
}

/**
 * Parses the arguments of a command.
 * @throws {@link InvalidRequestError} on an unknown option or a missing value.
 */
export function parseArguments<Table extends OptionTable>(
  command: string,
  options: Table,
  argv: readonly string[],
): { readonly values: OptionValues<Table>; readonly positionals: readonly string[] } {
  const config: NonNullable<ParseArgsConfig["options"]> = {};
  for (const [name, { type, multiple = false }] of Object.entries(options)) config[name] = { type, multiple };
  try {
    const parsed = parseArgs({ args: [...argv], options: config, allowPositionals: true });
    return { values: parsed.values as OptionValues<Table>, positionals: parsed.positionals };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // Node's first sentence says what is wrong; the rest is about its own syntax.
    const what = message.split(/\.\s|\n/)[0]?.replace(/\.$/, "") ?? message;
    throw usageError(what.charAt(0).toLowerCase() + what.slice(1), { command });
  }
}

/** Parses the number of an option; its range is checked where it is used. @throws {@link InvalidRequestError} */
export function parseNumber(name: string, text: string): number {
  const number = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isNaN(number)) {
    throw new InvalidRequestError({
      where: `--${name}`,
      what: "not a number",
      got: text,
      expected: "a number",
    });
  }
  return number;
}

/** Returns one of the words that an option takes. @throws {@link InvalidRequestError} */
export function parseChoice<Word extends string>(name: string, text: string, words: readonly Word[]): Word {
  const word = words.find((candidate) => candidate === text);
  if (word !== undefined) return word;
  throw new InvalidRequestError({
    where: `--${name}`,
    what: "unknown",
    got: text,
    expected: words.join(", "),
  });
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Lays out names and what they mean in two columns. */
export function formatDefinitions(rows: readonly (readonly [name: string, text: string])[]): string {
  const widest = Math.max(...rows.map(([name]) => name.length));
  const indent = " ".repeat(widest + 4);
  return rows
    .map(
      ([name, text]) => `  ${name.padEnd(widest)}  ${wrap(text, 100 - indent.length).join(`\n${indent}`)}\n`,
    )
    .join("");
}

/** Lays out the options of a table. */
export function formatOptions(options: OptionTable): string {
  return formatDefinitions(
    Object.entries(options).map(([name, { value, help }]) => [
      value === undefined ? `--${name}` : `--${name} ${value}`,
      help,
    ]),
  );
}
