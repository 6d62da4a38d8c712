/**
 * `edgeinfinite convert`: writes a model as one GGUF file with its tokenizer.
 */

import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { type GgufDType, ggufDTypes, prepareGgufConversion } from "../engine/gguf-conversion.ts";
import { nodePlatform } from "../engine/node.ts";
import { FileError, InvalidRequestError } from "../errors.ts";
import { writeFileAtomic } from "../files/node-atomic-write.ts";
import { parseArguments, parseChoice, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { formatBytes } from "./format.ts";
import { memoryOptions, outputOptions, requireModel } from "./model-options.ts";
import { formatDownload, tellNotice } from "./open-model.ts";
import { StatusLine } from "./progress.ts";

const command = "convert";

const options = {
  model: { type: "string", value: "M", help: "a folder or a hub name, safetensors" },
  revision: memoryOptions.revision,
  dtype: { type: "string", value: "D", help: "how matrices are written: q8 (the default), f16 or f32" },
  out: { type: "string", value: "FILE", help: "the .gguf file to write" },
  overwrite: { type: "boolean", help: "replaces the file when it is there" },
  ...outputOptions,
} as const;

/** Checks where the file is to go, before anything is read. @throws {@link InvalidRequestError} {@link FileError} */
async function checkTarget(path: string | undefined, mayReplace: boolean): Promise<string> {
  if (path === undefined || !path.endsWith(".gguf")) {
    const facts = path === undefined ? {} : { got: path };
    throw usageError("--out is no .gguf file", { ...facts, expected: "a file to write", command });
  }
  const folder = await stat(dirname(path)).catch(() => undefined);
  if (folder === undefined || !folder.isDirectory()) {
    const what = "the folder of the file to write is missing";
    throw new FileError({ where: path, what, got: "nothing there", expected: dirname(path) });
  }
  const isThere = (await stat(path).catch(() => undefined)) !== undefined;
  if (!isThere || mayReplace) return path;
  throw new InvalidRequestError({
    where: path,
    what: "the file is there already",
    remedy: "Choose another name, or replace it (--overwrite).",
  });
}

async function convert({ terminal, argv, signal }: CommandContext): Promise<void> {
  const { values, positionals } = parseArguments(command, options, argv);
  if (positionals.length > 0)
    throw usageError("an argument without an option", { got: positionals.join(" "), command });
  const model = requireModel(values.model, command);
  const dtype: GgufDType = parseChoice("dtype", values.dtype ?? "q8", ggufDTypes);
  const out = await checkTarget(values.out, values.overwrite ?? false);
  const status = new StatusLine(terminal.stderr, !values.quiet);
  try {
    const folder = await nodePlatform.openFolder(model, {
      revision: values.revision,
      signal,
      onProgress: (progress) => status.show((columns) => formatDownload(progress, columns)),
    });
    const name = basename(out, ".gguf");
    await using conversion = await prepareGgufConversion(folder, { dtype, name, signal });
    await status.clear();
    for (const notice of conversion.notices) await tellNotice(terminal, values, notice);
    await writeFileAtomic(out, conversion.stream());
    const { size: sizeBytes } = await stat(out);
    const { tensorCount, preTokenizer } = conversion;
    if (values.json)
      await terminal.stdout.json({ type: "finish", file: out, sizeBytes, dtype, tensorCount, preTokenizer });
    else if (!values.quiet)
      await terminal.stdout.line(`${out}: ${formatBytes(sizeBytes)}, ${tensorCount} tensors, ${dtype}`);
  } finally {
    await status.clear();
  }
}

/** Is `edgeinfinite convert`. */
export const convertCommand: Command = {
  usage: "--model M --out FILE.gguf [--dtype q8]",
  description:
    "Writes a model of safetensors (llama, mistral, qwen2 or qwen3 with a byte-level BPE) as one GGUF file with its\n" +
    "tokenizer and chat template. In 8 bits it is what --dtype q8 makes of the model, with scales in float16.\n" +
    "llama.cpp reads the file too.",
  options,
  run: convert,
};
