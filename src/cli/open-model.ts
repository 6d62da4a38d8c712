/**
 * Loading a model for a command: downloads are shown, notices told once.
 */

import type { LoadOptions, LoadProgress } from "../engine/load-model.ts";
import type { Model } from "../engine/model.ts";
import { loadModel } from "../engine/node.ts";
import { InvalidModelError } from "../errors.ts";
import { embeddedModelName } from "../files/embedded-model.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { formatBytes } from "./format.ts";
import { fitParts, formatBar, StatusLine } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

/** Says how much a command prints, and for whom. */
export interface OutputMode {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** Writes the progress of a download as a line. */
export function formatDownload({ file, receivedBytes, totalBytes }: LoadProgress, columns: number): string {
  const isKnown = totalBytes !== undefined && totalBytes > 0;
  const parts = isKnown
    ? [formatBar(receivedBytes / totalBytes), `${formatBytes(receivedBytes)} of ${formatBytes(totalBytes)}`]
    : [formatBytes(receivedBytes)];
  return fitParts([...parts, file], columns);
}

/** Tells something that the user should know. */
export function tellNotice(terminal: Terminal, { json, quiet }: OutputMode, text: string): Promise<void> {
  if (quiet) return Promise.resolve();
  return json ? terminal.stdout.json({ type: "notice", text }) : terminal.stderr.line(`notice: ${text}`);
}

/**
 * Loads a model.
 * @param model - the package's own when it is left out, which is told.
 * @throws as `loadModel` does.
 */
export async function openModel(
  terminal: Terminal,
  model: string | ModelFolder | undefined,
  options: LoadOptions & { readonly signal: AbortSignal },
  mode: OutputMode,
): Promise<Model> {
  const status = new StatusLine(terminal.stderr, !mode.quiet);
  const from = model ?? embeddedModelName;
  const name = typeof from === "string" ? from : from.name;
  status.show((columns) => fitParts([`loading ${name}`], columns));
  try {
    const onProgress = (progress: LoadProgress): void =>
      status.show((columns) => formatDownload(progress, columns));
    const loaded = await loadModel(from, { ...options, onProgress });
    await status.clear();
    const own = `no --model was given, so this is the small one of the package, ${loaded.name}`;
    if (model === undefined) await tellNotice(terminal, mode, own);
    for (const notice of loaded.notices) await tellNotice(terminal, mode, notice);
    return loaded;
  } finally {
    await status.clear();
  }
}

/** Refuses a model that cannot take turns. @throws {@link InvalidModelError} */
export function requireChatTemplate({ tokenizer, name }: Model): void {
  if (tokenizer?.chatTemplate !== undefined) return;
  throw new InvalidModelError({
    where: name,
    what: "the model has no chat template, so it cannot take turns",
    remedy: "Use an instruction-tuned model, or `edgeinfinite run` without --chat to have text continued.",
  });
}
