/**
 * Files of LongBench on disk, by the data sets that their names tell.
 */

import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { InvalidRequestError } from "../errors.ts";
import { longBenchNames, parseLongBenchName } from "../eval/longbench-data-sets.ts";
import type { LongBenchName } from "../eval/longbench-prompts.ts";
import { type LongBenchRecord, parseLongBenchRecords } from "../eval/longbench-records.ts";
import { systemFileError } from "../files/node-system-error.ts";
import { usageError } from "./arguments.ts";

/** Is a data set that has been read. */
export interface LongBenchFile {
  readonly name: LongBenchName;
  readonly records: readonly LongBenchRecord[];
}

/** Returns the data set that a file's name ends with, such as `MiniLongBench_qasper.json`. */
function dataSetOf(path: string): LongBenchName {
  const name = basename(path).replace(/\.jsonl?$/, "");
  const known = longBenchNames.filter((one) => name === one || name.endsWith(`_${one}`));
  // Of two that fit, as repobench-p and another with its end, the longer one is meant.
  return parseLongBenchName(known.sort((a, b) => b.length - a.length)[0] ?? name);
}

async function listFiles(path: string): Promise<string[]> {
  const info = await stat(path).catch((error: unknown) => {
    throw systemFileError(path, "the records cannot be opened", error);
  });
  if (!info.isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) => /\.jsonl?$/.test(name));
  // By code units, so that the order is the same in every locale.
  return names.sort((a, b) => (a < b ? -1 : 1)).map((name) => join(path, name));
}

/**
 * Reads files, and the files of folders.
 * @throws {@link InvalidRequestError} when none is given, a data set is unknown or a record malformed;
 * {@link FileError} when one cannot be read.
 */
export async function readLongBenchFiles(paths: readonly string[]): Promise<LongBenchFile[]> {
  if (paths.length === 0)
    throw usageError("--longbench is missing", {
      expected: "a file or a folder of records",
      command: "eval",
    });
  const files = (await Promise.all(paths.map(listFiles))).flat();
  if (files.length === 0) {
    const what = "the folder holds no records";
    throw new InvalidRequestError({
      where: paths.join(", "),
      what,
      expected: "files ending in .json, .jsonl",
    });
  }
  return Promise.all(
    files.map(async (path) => {
      const name = dataSetOf(path);
      const text = await readFile(path, "utf8").catch((error: unknown) => {
        throw systemFileError(path, "the records cannot be read", error);
      });
      return { name, records: parseLongBenchRecords(path, name, text) };
    }),
  );
}
