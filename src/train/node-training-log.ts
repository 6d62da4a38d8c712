/**
 * The log of a run: a JSON object a line, each with its step. A number that is none is written as null.
 */

import { appendFile, readFile } from "node:fs/promises";
import { writeFileAtomic } from "../files/node-atomic-write.ts";
import { systemErrorCode, systemFileError } from "../files/node-system-error.ts";
import type { Json } from "./training-state.ts";

/** Is a line of the log. */
export interface LogEntry {
  readonly step: number;
  readonly [field: string]: Json;
}

/** Writes a log. */
export interface TrainingLog {
  /** Adds a line. @throws {@link FileError} when the disk is full. */
  write(entry: LogEntry): Promise<void>;
}

function parseEntry(line: string): LogEntry | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const hasStep = typeof value === "object" && value !== null && "step" in value;
    return hasStep && typeof value.step === "number" ? (value as LogEntry) : undefined;
  } catch {
    // The last line of a process that was killed may be half of one.
    return undefined;
  }
}

/**
 * Reads a log; lines that are none are left out. None where there is no file.
 * @throws {@link FileError} when it cannot be read.
 */
export async function readTrainingLog(path: string): Promise<LogEntry[]> {
  try {
    return (await readFile(path, "utf8")).split("\n").flatMap((line) => parseEntry(line) ?? []);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw systemFileError(path, "the log cannot be read", error);
  }
}

/**
 * Opens a log to go on from a step: lines of later steps, which are done again, are taken out.
 * @param path - the file; its folder must exist.
 * @param doneSteps - the steps that stay: those of the checkpoint that is resumed, 0 for a new run.
 * @throws {@link FileError} when it cannot be read or written.
 */
export async function openTrainingLog(path: string, doneSteps: number): Promise<TrainingLog> {
  const kept = (await readTrainingLog(path)).filter(({ step }) => step <= doneSteps);
  const text = kept.map((entry) => `${JSON.stringify(entry)}\n`).join("");
  await writeFileAtomic(path, new TextEncoder().encode(text));
  return {
    async write(entry) {
      try {
        await appendFile(path, `${JSON.stringify(entry)}\n`);
      } catch (error) {
        throw systemFileError(path, "the log cannot be written", error);
      }
    },
  };
}
