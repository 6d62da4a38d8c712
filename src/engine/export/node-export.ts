/**
 * Exporting in Node: a folder with a model's graphs in fixed shapes, their weights, a manifest and the tokenizer.
 *
 * The folder is written beside its place and renamed into it, so that it is there whole or not at all.
 */

import { createHash, randomUUID } from "node:crypto";
import { access, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { InvalidRequestError, isEdgeInfiniteError, UnsupportedError } from "../../errors.ts";
import type { ModelFolder } from "../../files/model-folder.ts";
import { writeFileAtomic } from "../../files/node-atomic-write.ts";
import { diskModelFolder } from "../../files/node-model-folder.ts";
import { readPackageVersion } from "../../files/node-package.ts";
import { systemErrorCode, systemFileError } from "../../files/node-system-error.ts";
import { checkOptions, holdWeights, identify, type LoadOptions, openParts } from "../load-model.ts";
import { resolveDType } from "../memory-estimate.ts";
import { type ModelParts, readEosTokenIds } from "../model-parts.ts";
import { nodePlatform } from "../node.ts";
import { type BuiltExport, buildExport } from "./build-export.ts";
import { type ExportManifest, formatExportManifest, manifestFile, parseExportManifest } from "./manifest.ts";

/** Chooses how a model is exported. */
export interface ExportOptions
  extends Pick<
    LoadOptions,
    "adapter" | "context" | "policy" | "dtype" | "revision" | "onProgress" | "onNotice" | "signal"
  > {
  /** Whether an earlier export in the folder is replaced; other folders never are. */
  readonly force?: boolean;
}

/** Files of a checkpoint that go along when they are there. */
const companions: readonly string[] = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "chat_template.json",
  "tokenizer.model",
];

/**
 * Reads the manifest of an exported model.
 * @throws {@link FileError} when there is none; {@link InvalidModelError} when it is damaged;
 * {@link UnsupportedError} when it is of another version.
 */
export async function readExportManifest(folder: string, signal?: AbortSignal): Promise<ExportManifest> {
  const json = await diskModelFolder(folder).readJson(manifestFile, signal);
  return parseExportManifest(join(folder, manifestFile), json);
}

/** Tells what lies at a path: nothing, an empty folder, an earlier export, or something else. */
async function lookAt(path: string): Promise<"nothing" | "empty" | "export" | "other"> {
  let names: string[];
  try {
    names = await readdir(path);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return "nothing";
    if (systemErrorCode(error) === "ENOTDIR") return "other";
    throw systemFileError(path, "the folder cannot be looked into", error);
  }
  if (names.length === 0) return "empty";
  return readExportManifest(path).then(
    () => "export",
    () => "other",
  );
}

/** Refuses to write over what is there. @throws {@link InvalidRequestError} */
async function assertFree(path: string, force: boolean): Promise<void> {
  const found = await lookAt(path);
  if (found === "nothing" || found === "empty" || (found === "export" && force)) return;
  const isOther = found === "other";
  throw new InvalidRequestError({
    where: path,
    what: isOther ? "something else is there" : "an exported model is there",
    expected: "a new or empty folder",
    remedy: isOther ? "Choose another folder." : "Choose another folder, or replace it with force (--force).",
  });
}

async function writeCompanions(folder: ModelFolder, to: string, signal?: AbortSignal): Promise<string[]> {
  const written: string[] = [];
  for (const name of companions) {
    if (!(await folder.has(name, signal))) continue;
    const source = await folder.open(name, signal);
    try {
      await writeFileAtomic(join(to, name), await source.read(0, source.sizeBytes, signal));
      written.push(name);
    } finally {
      await source.close();
    }
  }
  return written;
}

/** Writes the weights; gives their SHA-256. */
async function writeWeights(
  built: BuiltExport,
  folder: string,
  { onProgress, signal }: ExportOptions,
): Promise<string> {
  const hash = createHash("sha256");
  const totalBytes = built.weights.sizeBytes;
  async function* watched(): AsyncGenerator<Uint8Array> {
    let receivedBytes = 0;
    for await (const chunk of built.weights.stream(signal)) {
      hash.update(chunk);
      yield chunk;
      receivedBytes += chunk.length;
      onProgress?.({ file: built.weightsFile, receivedBytes, totalBytes });
    }
  }
  await writeFileAtomic(join(folder, built.weightsFile), watched());
  return hash.digest("hex");
}

async function writeAll(
  built: BuiltExport,
  parts: ModelParts,
  folder: string,
  options: ExportOptions,
): Promise<ExportManifest> {
  for (const [file, bytes] of built.models) {
    options.signal?.throwIfAborted();
    await writeFileAtomic(join(folder, file), bytes);
  }
  const sha256 = await writeWeights(built, folder, options);
  const files = await writeCompanions(parts.folder, folder, options.signal);
  const text = formatExportManifest({
    ...built.facts,
    edgeinfinite: readPackageVersion(),
    weights: { file: built.weightsFile, sizeBytes: built.weights.sizeBytes, sha256 },
    files,
  });
  await writeFileAtomic(join(folder, manifestFile), new TextEncoder().encode(text));
  return readExportManifest(folder);
}

/** Puts a finished folder in its place; what was there before goes only once the new one is there. */
async function putInPlace(from: string, to: string): Promise<void> {
  const old = `${to}.${randomUUID()}.old`;
  try {
    const isTaken = await access(to).then(
      () => true,
      () => false,
    );
    if (isTaken) await rename(to, old);
    try {
      await rename(from, to);
    } catch (error) {
      if (isTaken) await rename(old, to);
      throw error;
    }
  } catch (error) {
    throw systemFileError(to, "the folder cannot be put in its place", error);
  }
  await rm(old, { recursive: true, force: true });
}

/** Says how an export's weights are held. @throws {@link UnsupportedError} for float16. */
function resolveExportDType(
  { weights }: ModelParts,
  options: ExportOptions,
): ExportManifest["model"]["dtype"] {
  const dtype = resolveDType(options.dtype, weights);
  if (dtype !== "f16") return dtype;
  throw new UnsupportedError({
    where: "dtype",
    what: "this version does not export float16",
    got: dtype,
    expected: "auto, f32, q8 or q4",
    remedy: "Export f32: toolchains round it to float16 as they compile.",
  });
}

async function buildFromParts(
  parts: ModelParts,
  out: string,
  options: ExportOptions,
): Promise<ExportManifest> {
  const { signal } = options;
  const dtype = resolveExportDType(parts, options);
  const identity = await identify(parts, signal);
  const tokenizer = await parts.weights.loadTokenizer();
  const eosTokenIds = await readEosTokenIds(parts, tokenizer?.eosTokenId, signal);
  for (const notice of parts.notices) options.onNotice?.(notice);
  const held = await holdWeights(nodePlatform, parts, identity.model, options);
  const temporary = `${out}.${randomUUID()}.tmp`;
  try {
    const built = buildExport({ parts, tensors: held.tensors, identity, dtype, eosTokenIds });
    await mkdir(dirname(out), { recursive: true });
    await mkdir(temporary);
    const manifest = await writeAll(built, parts, temporary, options);
    signal?.throwIfAborted();
    await assertFree(out, options.force ?? false);
    await putInPlace(temporary, out);
    return manifest;
  } catch (error) {
    if (isEdgeInfiniteError(error) || systemErrorCode(error) === undefined) throw error;
    throw systemFileError(out, "the folder cannot be written", error);
  } finally {
    await rm(temporary, { recursive: true, force: true });
    await held.close();
  }
}

/**
 * Exports a model for toolchains that compile ahead of time: graphs of fixed shapes in ONNX (opset 17), their weights
 * in one file, and a manifest that says how they are run.
 * @param model a folder, a hub id such as `org/name`, or an opened folder.
 * @param outDir the folder to make.
 * @returns what the manifest says.
 * @throws {@link InvalidRequestError} when something else is in the folder's place; {@link UnsupportedError} for the
 * policy `full` and dtype `f16`; {@link FileError} when the disk is full; as `loadModel` does; the signal's reason on abort.
 * @example
 * const { graphs } = await exportModel("HuggingFaceTB/SmolLM2-135M-Instruct", "./smollm2-npu");
 */
export async function exportModel(
  model: string | ModelFolder,
  outDir: string,
  options: ExportOptions = {},
): Promise<ExportManifest> {
  const out = resolve(outDir);
  checkOptions(options);
  await assertFree(out, options.force ?? false);
  const parts = await openParts(nodePlatform, model, options, false);
  try {
    return await buildFromParts(parts, out, options);
  } finally {
    await parts.close();
  }
}
