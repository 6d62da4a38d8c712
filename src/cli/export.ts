/**
 * `edgeinfinite export`: writes a model's graphs in fixed shapes, for toolchains that compile ahead of time.
 */

import type { ExportManifest } from "../engine/export/manifest.ts";
import { type ExportOptions, exportModel } from "../engine/export/node-export.ts";
import type { LoadProgress } from "../engine/load-model.ts";
import { type OptionValues, parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { formatBytes, formatTable } from "./format.ts";
import { memoryOptions, outputOptions, requireModel, toDType, toMemoryOptions } from "./model-options.ts";
import { formatDownload, tellNotice } from "./open-model.ts";
import { StatusLine } from "./progress.ts";

const options = {
  model: { type: "string", value: "M", help: "a folder, a .gguf file, or a hub name like org/name" },
  out: { type: "string", value: "DIR", help: "the folder to make" },
  force: { type: "boolean", help: "replaces an earlier export in that folder" },
  ...memoryOptions,
  ...outputOptions,
} as const;

function toExportOptions(values: OptionValues<typeof options>): ExportOptions {
  const { adapter, revision, dtype, force } = values;
  return {
    ...toMemoryOptions(values),
    ...(adapter !== undefined && { adapter }),
    ...(revision !== undefined && { revision }),
    ...(dtype !== undefined && { dtype: toDType(dtype) }),
    ...(force !== undefined && { force }),
  };
}

function requireFolder(out: string | undefined): string {
  if (out !== undefined && out !== "") return out;
  throw usageError("--out is missing", { expected: "a folder to make", command: "export" });
}

function formatResult(folder: string, { graphs, weights, policy, context, files }: ExportManifest): string {
  const { sinkTokens, windowTokens, segmentTokens } = context;
  const rows = graphs.map(({ file, tokenCount, inputs, outputs, opsets }) => [
    file,
    String(tokenCount),
    String(inputs.length),
    String(outputs.length),
    Object.entries(opsets)
      .map(([domain, version]) => `${domain || "onnx"} ${version}`)
      .join(", "),
  ]);
  return [
    `${folder}: policy ${policy} (sinks ${sinkTokens}, window ${windowTokens}, segment ${segmentTokens})\n`,
    formatTable([["graph", "tokens", "inputs", "outputs", "operators"], ...rows]),
    `  ${weights.file}, ${formatBytes(weights.sizeBytes)}, for all graphs\n`,
    `  manifest.json says how they are run${files.length > 0 ? `; beside it ${files.join(", ")}` : ""}\n`,
  ].join("");
}

async function runExport({ terminal, argv, signal }: CommandContext): Promise<void> {
  const { values, positionals } = parseArguments("export", options, argv);
  if (positionals.length > 0)
    throw usageError("an argument without an option", { got: positionals.join(" "), command: "export" });
  const model = requireModel(values.model, "export");
  const out = requireFolder(values.out);
  const status = new StatusLine(terminal.stderr, !values.quiet);
  const notices: string[] = [];
  const onProgress = (progress: LoadProgress): void =>
    status.show((columns) => formatDownload(progress, columns));
  try {
    const given = toExportOptions(values);
    const onNotice = (notice: string): unknown => notices.push(notice);
    const manifest = await exportModel(model, out, { ...given, signal, onProgress, onNotice });
    await status.clear();
    for (const notice of notices) await tellNotice(terminal, values, notice);
    if (values.json) {
      const { roles: _, protocol: __, ...facts } = manifest;
      await terminal.stdout.json({ type: "finish", folder: out, manifest: facts });
    } else if (!values.quiet) await terminal.stdout.write(formatResult(out, manifest));
  } finally {
    await status.clear();
  }
}

/** Is `edgeinfinite export`. */
export const exportCommand: Command = {
  usage: "--model M [--adapter A] --out DIR [options]",
  description:
    "Writes a model as ONNX graphs of fixed shapes without control flow, their weights in one file, and a manifest\n" +
    "that says how they are run, for toolchains that compile ahead of time (NPUs). Sizes are fixed by --sinks,\n" +
    "--window and --segment.",
  options,
  run: runExport,
};
