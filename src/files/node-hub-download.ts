/**
 * Downloads a model of the Hugging Face hub into the cache that all its tools share.
 *
 * Only what a model needs is fetched, each file once, resumed where it stopped and verified by its hash.
 * Without a network a snapshot that is in the cache serves, whichever tool put it there.
 */

import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { FileError, InvalidRequestError } from "../errors.ts";
import { TransientFailure } from "./http-exchange.ts";
import {
  assertHubId,
  fetchHubListing,
  type HubListing,
  type HubOptions,
  hubRevision,
  resolveHubFile,
} from "./hub.ts";
import { hasSafetensors, listGgufModels, selectModelFiles, shardsOfIndex } from "./hub-model-files.ts";
import { fetchBlob } from "./node-hub-blob.ts";
import {
  type Environment,
  findSnapshot,
  hubCacheDir,
  hubRepositoryDir,
  isFile,
  isHubOffline,
  linkSnapshotFile,
  makeFolder,
  missingFromSnapshot,
  readHubToken,
  writeRef,
} from "./node-hub-cache.ts";

/** Tells how far one file of a download is. */
export interface DownloadProgress {
  readonly file: string;
  readonly receivedBytes: number;
  /** The file's length in bytes, where the server says it. */
  readonly totalBytes: number | undefined;
}

/** Configures {@link downloadHubModel}; what is left out comes from the environment. */
export interface HubDownloadOptions extends HubOptions {
  /** The cache's folder; default HF_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub. */
  readonly cacheDir?: string | undefined;
  /** The files to fetch, as names or patterns with `*`; default those of a model or adapter. */
  readonly files?: readonly string[] | undefined;
  /** Uses the cache only; default HF_HUB_OFFLINE. */
  readonly offline?: boolean | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Stands in for the process's environment. */
  readonly environment?: Environment | undefined;
}

/** A commit's full hash: its content cannot change, so a complete snapshot needs no look at the hub. */
const commitPattern = /^[0-9a-f]{40}$/;

async function listFiles(folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const name of await readdir(folder, { recursive: true })) {
    if (await isFile(join(folder, name))) names.push(name.replaceAll("\\", "/"));
  }
  return names;
}

interface CachedSnapshot {
  readonly path: string;
  readonly missing: readonly string[];
}

async function lookUp(
  repositoryDir: string,
  revision: string,
  files: readonly string[] | undefined,
): Promise<CachedSnapshot | undefined> {
  const path = await findSnapshot(repositoryDir, revision);
  return path === undefined
    ? undefined
    : { path, missing: await missingFromSnapshot(path, files, listFiles) };
}

function notCachedError(
  id: string,
  revision: string,
  cached: CachedSnapshot | undefined,
  cacheDir: string,
): FileError {
  return new FileError({
    where: `${id}@${revision}`,
    what: "the model is not complete in the hub cache, and the network is off",
    got: cached === undefined ? "no snapshot" : `a snapshot without ${cached.missing.join(", ")}`,
    expected: `a snapshot in ${cacheDir}`,
    remedy: "Download it once with the network on (unset HF_HUB_OFFLINE), or set HF_HUB_CACHE.",
  });
}

async function fillSettings(options: HubDownloadOptions): Promise<HubOptions> {
  const environment = options.environment ?? process.env;
  return {
    ...options,
    endpoint: options.endpoint ?? (environment.HF_ENDPOINT || undefined),
    token: options.token ?? (await readHubToken(environment)),
  };
}

interface Download {
  readonly id: string;
  readonly commit: string;
  readonly repositoryDir: string;
  readonly snapshotDir: string;
  readonly lockDir: string;
  readonly settings: HubOptions;
  readonly onProgress: (progress: DownloadProgress) => void;
}

async function downloadFile(download: Download, file: string): Promise<void> {
  const { id, commit, repositoryDir, snapshotDir, settings, onProgress } = download;
  const snapshotFile = join(snapshotDir, file);
  // A commit's files do not change: what is linked is finished.
  if (await isFile(snapshotFile)) return;
  const remote = await resolveHubFile(id, file, { ...settings, revision: commit });
  const blobPath = join(repositoryDir, "blobs", remote.etag);
  const totalBytes = remote.sizeBytes;
  const onReceived = (receivedBytes: number): void => onProgress({ file, receivedBytes, totalBytes });
  await fetchBlob({ id, file, remote, blobPath, lockDir: download.lockDir, onReceived }, settings);
  await linkSnapshotFile(snapshotFile, blobPath);
}

/** Adds the shards that the index names, which patterns may not know. */
async function shardsToAdd(snapshotDir: string, listed: readonly string[]): Promise<string[]> {
  try {
    const index: unknown = JSON.parse(
      await readFile(join(snapshotDir, "model.safetensors.index.json"), "utf8"),
    );
    return shardsOfIndex(index).filter((shard) => listed.includes(shard));
  } catch {
    // No index, or a damaged one: the loader says so.
    return [];
  }
}

function assertSelected(
  id: string,
  revision: string,
  selected: readonly string[],
  listing: HubListing,
  patterns: readonly string[] | undefined,
): void {
  const models = listGgufModels(listing.files);
  if (patterns === undefined && models.length > 1 && !hasSafetensors(listing.files)) {
    throw new InvalidRequestError({
      where: `${id}@${revision}`,
      what: "the repository has several GGUF models",
      got: models,
      expected: "one of them",
      remedy: `Add a slash and the file's name, as in ${id}/${models[0]}.`,
    });
  }
  if (selected.length > 0) return;
  throw new FileError({
    where: `${id}@${revision}`,
    what: "the repository has none of the files of a model",
    got: listing.files.slice(0, 8),
    expected: patterns?.join(", ") ?? "config.json and weights in safetensors, or a GGUF file",
    remedy: "Check the name, or choose a repository with safetensors or GGUF files.",
  });
}

async function downloadListed(
  id: string,
  revision: string,
  listing: HubListing,
  cacheDir: string,
  settings: HubOptions,
  options: HubDownloadOptions,
): Promise<string> {
  const selected = selectModelFiles(listing.files, options.files);
  assertSelected(id, revision, selected, listing, options.files);
  const repositoryDir = hubRepositoryDir(cacheDir, id);
  const snapshotDir = join(repositoryDir, "snapshots", listing.commit);
  const download: Download = {
    id,
    commit: listing.commit,
    repositoryDir,
    snapshotDir,
    lockDir: hubRepositoryDir(join(cacheDir, ".locks"), id),
    settings,
    onProgress: options.onProgress ?? (() => undefined),
  };
  await makeFolder(join(repositoryDir, "blobs"));
  await makeFolder(snapshotDir);
  for (const file of selected) await downloadFile(download, file);
  if (options.files === undefined && !listing.files.includes("model.safetensors")) {
    for (const file of await shardsToAdd(snapshotDir, listing.files)) await downloadFile(download, file);
  }
  await writeRef(repositoryDir, revision, listing.commit);
  return snapshotDir;
}

/**
 * Downloads a model or adapter into the hub cache, or finds it there.
 *
 * Files that are present are not fetched again; partial ones go on where they stopped. When the hub cannot be
 * reached, or `offline` is set, a complete snapshot in the cache is used.
 * @param id - `org/name`.
 * @returns the snapshot's folder, which holds the files by their names.
 * @throws {@link FileError} when the hub refuses, a hash is wrong, the disk is full, or nothing is cached offline;
 * {@link InvalidRequestError} for a malformed name, revision or endpoint; the signal's reason on abort.
 */
export async function downloadHubModel(id: string, options: HubDownloadOptions = {}): Promise<string> {
  assertHubId(id);
  options.signal?.throwIfAborted();
  const environment = options.environment ?? process.env;
  const revision = hubRevision(options);
  const cacheDir = options.cacheDir === undefined ? hubCacheDir(environment) : resolve(options.cacheDir);
  const cached = await lookUp(hubRepositoryDir(cacheDir, id), revision, options.files);
  const complete = cached !== undefined && cached.missing.length === 0 ? cached.path : undefined;
  if (options.offline ?? isHubOffline(environment)) {
    if (complete !== undefined) return complete;
    throw notCachedError(id, revision, cached, cacheDir);
  }
  if (complete !== undefined && commitPattern.test(revision)) return complete;
  const settings = await fillSettings(options);
  let listing: HubListing;
  try {
    // With a snapshot to fall back on, there is no point in insisting.
    const patience = complete === undefined ? {} : { retryLimit: 0 };
    listing = await fetchHubListing(id, { ...settings, ...patience });
  } catch (error) {
    const unreachable = error instanceof FileError && error.cause instanceof TransientFailure;
    if (complete !== undefined && unreachable) return complete;
    throw error;
  }
  return downloadListed(id, revision, listing, cacheDir, settings, options);
}
