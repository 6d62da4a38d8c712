/**
 * The hub cache on disk, in the layout that all Hugging Face tools share, and the settings they share.
 *
 *     models--org--name/blobs/<etag>                      contents, named by their hash
 *     models--org--name/refs/<revision>                   the commit of a branch or tag, as text
 *     models--org--name/snapshots/<commit>/<file>         links to ../../blobs/<etag>
 *
 * So files that another tool downloaded are found without a network, and ours by it.
 */

import { randomUUID } from "node:crypto";
import { copyFile, mkdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { ggufPartNames } from "./gguf-parts.ts";
import { listGgufModels, matchesPattern, shardsOfIndex } from "./hub-model-files.ts";
import { isContainedFile } from "./model-folder.ts";
import { writeFileAtomic } from "./node-atomic-write.ts";
import { systemErrorCode, systemFileError } from "./node-system-error.ts";

/** Is a process's environment, as far as it is read here. */
export type Environment = Readonly<Record<string, string | undefined>>;

function expandHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
}

function hubHome(environment: Environment): string {
  if (environment.HF_HOME) return resolve(expandHome(environment.HF_HOME));
  const cacheHome = environment.XDG_CACHE_HOME
    ? expandHome(environment.XDG_CACHE_HOME)
    : join(homedir(), ".cache");
  return resolve(cacheHome, "huggingface");
}

/** Returns the hub cache's folder: HF_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub. */
export function hubCacheDir(environment: Environment): string {
  const explicit = environment.HF_HUB_CACHE || environment.HUGGINGFACE_HUB_CACHE;
  return explicit ? resolve(expandHome(explicit)) : join(hubHome(environment), "hub");
}

/** Returns the access token: HF_TOKEN, else the file that `hf auth login` writes; undefined without one. */
export async function readHubToken(environment: Environment): Promise<string | undefined> {
  const direct = (environment.HF_TOKEN || environment.HUGGING_FACE_HUB_TOKEN)?.trim();
  if (direct) return direct;
  const path = environment.HF_TOKEN_PATH
    ? resolve(expandHome(environment.HF_TOKEN_PATH))
    : join(hubHome(environment), "token");
  try {
    return (await readFile(path, "utf8")).trim() || undefined;
  } catch {
    // No token is the common case; a wrong one shows as a refusal of the hub.
    return undefined;
  }
}

/** Tells whether the environment forbids the network (HF_HUB_OFFLINE). */
export function isHubOffline(environment: Environment): boolean {
  const value = environment.HF_HUB_OFFLINE || environment.TRANSFORMERS_OFFLINE || "";
  return /^(1|on|yes|true)$/i.test(value);
}

/** Returns the folder of one repository within the cache. */
export function hubRepositoryDir(cacheDir: string, id: string): string {
  return join(cacheDir, `models--${id.replace("/", "--")}`);
}

/** Tells whether there is a file at a path, links followed. */
export async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

/** Returns the folder of a revision that is in the cache, complete or not; undefined without one. */
export async function findSnapshot(repositoryDir: string, revision: string): Promise<string | undefined> {
  let commit = revision;
  try {
    commit = (await readFile(join(repositoryDir, "refs", revision), "utf8")).trim();
  } catch {
    // Not a branch or tag that was fetched: it may be a commit.
  }
  if (!isContainedFile(commit)) return undefined;
  const folder = join(repositoryDir, "snapshots", commit);
  return (await isDirectory(folder)) ? folder : undefined;
}

async function missingShards(snapshotDir: string): Promise<string[]> {
  const path = join(snapshotDir, "model.safetensors.index.json");
  let index: unknown;
  try {
    index = JSON.parse(await readFile(path, "utf8"));
  } catch {
    return ["model.safetensors"];
  }
  const missing: string[] = [];
  for (const shard of shardsOfIndex(index)) {
    if (!(await isFile(join(snapshotDir, shard)))) missing.push(shard);
  }
  return missing;
}

/**
 * Tells which files a cached snapshot lacks to be used without the network.
 * @param patterns - the names or patterns asked for, instead of a model's or adapter's usual files.
 * @returns nothing for a snapshot that can be used.
 */
export async function missingFromSnapshot(
  snapshotDir: string,
  patterns: readonly string[] | undefined,
  listFiles: (folder: string) => Promise<readonly string[]>,
): Promise<string[]> {
  if (patterns !== undefined) {
    const present = await listFiles(snapshotDir);
    return patterns.filter((pattern) => !present.some((file) => matchesPattern(file, pattern)));
  }
  const has = (file: string): Promise<boolean> => isFile(join(snapshotDir, file));
  if (await has("adapter_config.json")) {
    return (await has("adapter_model.safetensors")) ? [] : ["adapter_model.safetensors"];
  }
  if (!(await has("model.safetensors")) && !(await has("model.safetensors.index.json"))) {
    const [model] = listGgufModels(await listFiles(snapshotDir));
    const parts = model === undefined ? [] : ggufPartNames(model);
    const isThere = await Promise.all(parts.map(has));
    if (model !== undefined) return parts.filter((_, index) => !isThere[index]);
  }
  const missing = (await has("config.json")) ? [] : ["config.json"];
  if (!(await has("model.safetensors"))) missing.push(...(await missingShards(snapshotDir)));
  return missing;
}

/** Links a snapshot's file to its blob, replacing what is there; copies where links are not allowed. */
export async function linkSnapshotFile(snapshotFile: string, blobFile: string): Promise<void> {
  const folder = dirname(snapshotFile);
  const temporary = `${snapshotFile}.${randomUUID()}.tmp`;
  try {
    await mkdir(folder, { recursive: true });
    try {
      await symlink(relative(folder, blobFile), temporary);
    } catch (error) {
      if (systemErrorCode(error) !== "EPERM") throw error;
      await copyFile(blobFile, temporary);
    }
    await rename(temporary, snapshotFile);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw systemFileError(snapshotFile, "the file cannot be added to the hub cache", error);
  }
}

/** Notes which commit a branch or tag stands for. */
export async function writeRef(repositoryDir: string, revision: string, commit: string): Promise<void> {
  if (revision === commit) return;
  const path = join(repositoryDir, "refs", revision);
  await makeFolder(dirname(path));
  await writeFileAtomic(path, new TextEncoder().encode(commit));
}

/** Creates a folder and those above it. @throws {@link FileError} */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw systemFileError(path, "the folder cannot be created", error);
  }
}
