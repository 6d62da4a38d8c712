/**
 * `edgeinfinite pull`: downloads a model into the hub cache, which all tools of the hub share.
 */

import { ggufPartNames } from "../files/gguf-parts.ts";
import { parseHubAddress } from "../files/hub.ts";
import { type DownloadProgress, downloadHubModel } from "../files/node-hub-download.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { formatDownload } from "./open-model.ts";
import { StatusLine } from "./progress.ts";

const options = {
  revision: { type: "string", value: "R", help: "a branch, tag or commit; default main" },
  json: { type: "boolean", help: "prints JSON, an object a line, for machines" },
  quiet: { type: "boolean", help: "prints no progress" },
} as const;

/** Objects about progress are printed at most this often. */
const jsonMs = 1000;

async function pull({ terminal, argv, signal }: CommandContext): Promise<void> {
  const { values, positionals } = parseArguments("pull", options, argv);
  const [id] = positionals;
  if (id === undefined || positionals.length > 1)
    throw usageError("one model is pulled", { got: positionals.join(" ") || "none", command: "pull" });
  const status = new StatusLine(terminal.stderr, !values.quiet);
  let printedAt = Number.NEGATIVE_INFINITY;
  const onProgress = (progress: DownloadProgress): void => {
    status.show((columns) => formatDownload(progress, columns));
    if (!values.json || values.quiet || performance.now() - printedAt < jsonMs) return;
    printedAt = performance.now();
    void terminal.stdout.json({ type: "progress", ...progress });
  };
  try {
    const revision = values.revision === undefined ? {} : { revision: values.revision };
    const { id: repository, file } = parseHubAddress(id) ?? { id };
    const files = file === undefined ? undefined : ggufPartNames(file);
    const folder = await downloadHubModel(repository, { ...revision, files, signal, onProgress });
    await status.clear();
    if (values.json) await terminal.stdout.json({ type: "finish", model: id, folder });
    else await terminal.stdout.line(folder);
  } finally {
    await status.clear();
  }
}

/** Is `edgeinfinite pull`. */
export const pullCommand: Command = {
  usage: "ORG/NAME[/FILE.gguf] [--revision R]",
  description:
    "Downloads a model of the Hugging Face hub into its cache, and prints the folder. What is there already is not\n" +
    "fetched again; what was broken off goes on. HF_ENDPOINT, HF_TOKEN and HF_HUB_CACHE are respected.",
  options,
  run: pull,
};
