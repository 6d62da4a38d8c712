/**
 * `edgeinfinite eval report`: writes the tables and plots of an evaluation as files.
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { InvalidRequestError } from "../errors.ts";
import { readRecordFolder } from "../eval/node-record-files.ts";
import { makeReport } from "../eval/report.ts";
import { writeFileAtomic } from "../files/node-atomic-write.ts";
import { systemFileError } from "../files/node-system-error.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { describeSettings } from "./eval-table.ts";
import { outputOptions } from "./model-options.ts";

const command = "eval report";

const options = {
  out: { type: "string", value: "DIR", help: "the folder for the report; default that of the records" },
  ...outputOptions,
} as const;

async function run({ terminal, argv }: CommandContext): Promise<void> {
  const { values, positionals } = parseArguments(command, options, argv);
  const [folder, ...others] = positionals;
  if (folder === undefined || others.length > 0)
    throw usageError("one folder of records is wanted", { got: positionals.join(" ") || "none", command });
  const records = await readRecordFolder(folder);
  if (records.length === 0)
    throw new InvalidRequestError({ where: folder, what: "the folder holds no records of an evaluation" });
  const { html, markdown, plots } = makeReport(records, describeSettings);
  const out = values.out ?? folder;
  await mkdir(out, { recursive: true }).catch((error: unknown) => {
    throw systemFileError(out, "the folder for the report cannot be made", error);
  });
  const files = { ...plots, "report.md": markdown, "report.html": html };
  for (const [name, text] of Object.entries(files))
    await writeFileAtomic(join(out, name), new TextEncoder().encode(text));
  const paths = Object.keys(files).map((name) => join(out, name));
  if (values.json) return terminal.stdout.json({ type: "report", paths });
  if (!values.quiet) await terminal.stdout.line(`written: ${paths.join(", ")}`);
}

/** Is `edgeinfinite eval report`. */
export const evalReportCommand: Command = {
  usage: "DIR [--out DIR]",
  description: "Writes an evaluation as report.html, which needs nothing else, report.md and plots as SVG.",
  options,
  run,
};
