/**
 * Files of records on disk: lines are appended whole, and what a killed process left half is taken out.
 */

import { existsSync } from "node:fs";
import { appendFile, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../files/node-atomic-write.ts";
import { systemErrorCode, systemFileError } from "../files/node-system-error.ts";
import { type EvaluationRecord, parseRecord, type Shard } from "./evaluation-record.ts";

/** Names the file of a shard. */
function recordFileName({ index, count }: Shard): string {
  return count === 1 ? "records.jsonl" : `records-${index}-of-${count}.jsonl`;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return "";
    throw systemFileError(path, "the records cannot be read", error);
  }
}

function parseLines(path: string, text: string): EvaluationRecord[] {
  return text
    .split("\n")
    .flatMap((line, index) => (line.trim() === "" ? [] : parseRecord(`${path}, line ${index + 1}`, line)));
}

/** Cuts off what stands behind the last line break. */
function wholeLines(text: string): string {
  return text.slice(0, text.lastIndexOf("\n") + 1);
}

/** Keeps the first record of each id. */
function dropRepeated(records: readonly EvaluationRecord[]): EvaluationRecord[] {
  const ids = new Set<string>();
  return records.filter(({ id }) => {
    const isNew = !ids.has(id);
    ids.add(id);
    return isNew;
  });
}

/**
 * Reads the records of a folder: all its files, each example once.
 * @throws {@link InvalidRequestError} for a line that is no record, by file and line; {@link FileError}.
 */
export async function readRecordFolder(folder: string): Promise<EvaluationRecord[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw systemFileError(folder, "the folder of records cannot be read", error);
  });
  const files = names.filter((name) => /^records.*\.jsonl$/.test(name)).sort((a, b) => (a < b ? -1 : 1));
  const records: EvaluationRecord[] = [];
  for (const name of files) {
    const path = join(folder, name);
    for (const record of parseLines(path, wholeLines(await readText(path)))) records.push(record);
  }
  return dropRepeated(records);
}

/** Is a file that records are added to. */
export interface RecordFile {
  /** The ids of all records of the folder. */
  readonly done: Set<string>;
  /** Makes the folder where there is none, and takes half a line out; before the first {@link add}. @throws {@link FileError} */
  prepare(): Promise<void>;
  /** Adds records, all or none: one write of whole lines. @throws {@link FileError} when the disk is full. */
  add(records: readonly EvaluationRecord[]): Promise<void>;
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw systemFileError(folder, "the folder for records cannot be made", error);
  });
}

/**
 * Opens a shard's file to go on. Nothing is written before it is prepared, so that a request that is refused leaves
 * nothing behind.
 * @throws as {@link readRecordFolder} does.
 */
export async function openRecordFile(folder: string, shard: Shard): Promise<RecordFile> {
  const path = join(folder, recordFileName(shard));
  const records = existsSync(folder) ? await readRecordFolder(folder) : [];
  const done = new Set(records.map(({ id }) => id));
  return {
    done,
    async prepare() {
      await makeFolder(folder);
      const text = await readText(path);
      const whole = wholeLines(text);
      if (whole.length < text.length) await writeFileAtomic(path, new TextEncoder().encode(whole));
    },
    async add(records) {
      try {
        await appendFile(path, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
      } catch (error) {
        throw systemFileError(path, "the records cannot be written", error);
      }
      for (const { id } of records) done.add(id);
    },
  };
}

/** Writes records as one file of a folder of its own. @throws {@link FileError} */
export async function writeRecordFolder(folder: string, records: readonly EvaluationRecord[]): Promise<void> {
  await makeFolder(folder);
  const text = dropRepeated(records)
    .map((record) => `${JSON.stringify(record)}\n`)
    .join("");
  await writeFileAtomic(join(folder, recordFileName({ index: 1, count: 1 })), new TextEncoder().encode(text));
}
