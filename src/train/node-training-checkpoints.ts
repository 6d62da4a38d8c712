/**
 * Checkpoints of a run on disk: a folder for each, `step-N`, written beside its place and renamed into it.
 *
 * So a folder of that name is whole, whenever the process was killed. Older ones go once a newer is there.
 */

import { randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { InvalidRequestError, isEdgeInfiniteError } from "../errors.ts";
import { writeFileAtomic } from "../files/node-atomic-write.ts";
import { diskModelFolder } from "../files/node-model-folder.ts";
import { systemErrorCode, systemFileError } from "../files/node-system-error.ts";
import { readTrainingState, type TrainingState, writeTrainingState } from "./training-state.ts";

const folderName = /^step-(\d{1,15})$/;
const leftOver = /^step-\d{1,15}\..*\.tmp$/;

async function listNames(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw systemFileError(path, "the checkpoints cannot be listed", error);
  }
}

/** Lists the steps that have a checkpoint, latest first. */
async function listSteps(path: string): Promise<number[]> {
  const steps = (await listNames(path)).flatMap((name) => folderName.exec(name)?.slice(1) ?? []);
  return steps.map(Number).sort((a, b) => b - a);
}

/** Puts a finished folder in its place. */
async function putInPlace(temporary: string, target: string): Promise<void> {
  try {
    await rename(temporary, target);
  } catch (error) {
    if (!["ENOTEMPTY", "EEXIST", "EPERM"].includes(systemErrorCode(error) ?? "")) throw error;
    // The same step of the same run is there, whole: at no time may it be missing.
    await rm(temporary, { recursive: true });
  }
}

/**
 * Saves a checkpoint; it is there whole or not at all. One of the same step stays as it is.
 * @param path - the folder of the run's checkpoints; it is made.
 * @param keepCount - how many of the latest stay, from 1.
 * @returns the checkpoint's folder.
 * @throws {@link FileError} when the disk is full or the folder cannot be written: earlier checkpoints stay.
 */
export async function saveTrainingCheckpoint(
  path: string,
  state: TrainingState,
  keepCount = 2,
): Promise<string> {
  if (!Number.isSafeInteger(keepCount) || keepCount < 1) {
    const expected = "a whole number from 1";
    throw new InvalidRequestError({ where: "keepCount", what: "out of range", got: keepCount, expected });
  }
  const target = join(path, `step-${state.step}`);
  const temporary = `${target}.${randomUUID()}.tmp`;
  try {
    await mkdir(temporary, { recursive: true });
    for (const [file, bytes] of writeTrainingState(state))
      await writeFileAtomic(join(temporary, file), bytes);
    await putInPlace(temporary, target);
    const old = (await listSteps(path)).slice(keepCount).map((step) => `step-${step}`);
    const dead = (await listNames(path)).filter((name) => leftOver.test(name));
    for (const name of [...old, ...dead]) await rm(join(path, name), { recursive: true, force: true });
    return target;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    if (isEdgeInfiniteError(error) || systemErrorCode(error) === undefined) throw error;
    throw systemFileError(target, "the checkpoint cannot be written", error);
  }
}

/**
 * Loads the latest checkpoint of a run; undefined when there is none yet.
 * @param expected - the parameters and the configuration of the run that goes on.
 * @throws as {@link readTrainingState}.
 */
export async function loadTrainingCheckpoint(
  path: string,
  expected: Pick<TrainingState, "parameters" | "config">,
  signal?: AbortSignal,
): Promise<TrainingState | undefined> {
  const [latest] = await listSteps(path);
  if (latest === undefined) return undefined;
  return readTrainingState(diskModelFolder(join(path, `step-${latest}`)), expected, signal);
}
