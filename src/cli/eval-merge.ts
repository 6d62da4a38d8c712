/**
 * `edgeinfinite eval merge`: puts the records of several folders, such as shards of other machines, into one.
 */

import { existsSync } from "node:fs";
import { readRecordFolder, writeRecordFolder } from "../eval/node-record-files.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { formatEvaluation } from "./eval-table.ts";
import { outputOptions } from "./model-options.ts";

const command = "eval merge";

const options = {
  out: { type: "string", value: "DIR", help: "the folder for all records; it must not be there yet" },
  ...outputOptions,
} as const;

async function run({ terminal, argv }: CommandContext): Promise<void> {
  const { values, positionals } = parseArguments(command, options, argv);
  const { out } = values;
  if (out === undefined || positionals.length === 0)
    throw usageError("folders are missing", { expected: "DIR… --out DIR", command });
  if (existsSync(out)) throw usageError("the folder is there already", { got: out, command });
  const records = [];
  for (const folder of positionals) for (const record of await readRecordFolder(folder)) records.push(record);
  await writeRecordFolder(out, records);
  if (values.json) return terminal.stdout.json({ type: "merge", recordCount: records.length, path: out });
  await terminal.stdout.write(formatEvaluation(await readRecordFolder(out)));
}

/** Is `edgeinfinite eval merge`. */
export const evalMergeCommand: Command = {
  usage: "DIR… --out DIR",
  description:
    "Puts the records of several evaluations, or shards of one, into one folder; each example once.",
  options,
  run,
};
