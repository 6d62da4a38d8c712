/**
 * The folder that training writes into: a new or empty one, that of a run that goes on, or one whose earlier outcome
 * may be replaced. What is not training's own is never touched.
 */

import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { InvalidRequestError } from "../errors.ts";
import { writeFileAtomic } from "../files/node-atomic-write.ts";
import { systemErrorCode, systemFileError } from "../files/node-system-error.ts";

/** Is the folder of a run's checkpoints, log and plot, within its output. */
const runFolder = "training";

/** Names what training writes. */
const ownNames: ReadonlySet<string> = new Set([
  runFolder,
  "adapter_config.json",
  "adapter_model.safetensors",
  "config.json",
  "generation_config.json",
  "model.safetensors",
  "tokenizer.json",
  "tokenizer_config.json",
]);

async function listFolder(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw systemFileError(path, "the output folder cannot be looked into", error);
  }
}

/**
 * Makes an output folder ready, with a folder for the run itself.
 * @param existing - what to do with an earlier run there: `refuse` it, `resume` it, or `overwrite` it.
 * @returns the path of the run's own folder.
 * @throws {@link InvalidRequestError} when the folder is not empty and may not be used; {@link FileError} when it
 * cannot be made.
 */
export async function prepareOutputFolder(
  path: string,
  existing: "refuse" | "resume" | "overwrite",
): Promise<string> {
  const names = await listFolder(path);
  const foreign = names.filter((name) => !ownNames.has(name));
  const canResume = existing === "resume" && names.includes(runFolder);
  if (names.length > 0 && !canResume && (existing !== "overwrite" || foreign.length > 0)) {
    throw new InvalidRequestError({
      where: path,
      what: foreign.length > 0 ? "other files are in the output folder" : "the output folder is not empty",
      got: foreign.length > 0 ? foreign : names,
      expected: "a new or empty folder",
      remedy:
        foreign.length > 0
          ? "Choose another folder."
          : "Choose another folder, go on with the run (--resume), or replace it (--overwrite).",
    });
  }
  const run = join(path, runFolder);
  try {
    if (existing === "overwrite") {
      for (const name of names) await rm(join(path, name), { recursive: true });
    }
    await mkdir(run, { recursive: true });
  } catch (error) {
    throw systemFileError(path, "the output folder cannot be made", error);
  }
  return run;
}

/**
 * Writes files into a folder, each whole or not at all, in their order: a reader that finds the last finds all.
 * @throws {@link FileError} when the disk is full.
 */
export async function writeOutputFiles(
  path: string,
  files: ReadonlyMap<string, Uint8Array | string>,
): Promise<void> {
  for (const [name, content] of files) {
    await writeFileAtomic(
      join(path, name),
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
  }
}
