/**
 * The weights of a checkpoint: one `model.safetensors`, or shards listed by `model.safetensors.index.json`.
 *
 * Merges the shards' headers into one table of tensors and checks it against the index. It reads no tensor bytes,
 * and refuses to know what the tensors mean.
 */

import { FileError, InvalidModelError } from "../errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { isContainedFile, type ModelFolder } from "./model-folder.ts";
import { parseSafetensorsHeader, type TensorEntry } from "./safetensors.ts";

/** The names that checkpoints of the Hugging Face hub use. */
const weightFiles: { readonly single: string; readonly index: string } = {
  single: "model.safetensors",
  index: "model.safetensors.index.json",
};

/** Bounds the number of shards: the largest public checkpoints have a few hundred. */
const shardLimit = 10_000;

/** Is an open checkpoint: its tensors by name, over all shards. */
export interface CheckpointWeights extends AsyncDisposable {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Closes every file; entries cannot be read afterwards. */
  close(): Promise<void>;
}

function invalidIndex(where: string, what: string, got: unknown, expected: string): InvalidModelError {
  const remedy = "The checkpoint is damaged or incomplete: fetch it again.";
  return new InvalidModelError({ where, what, got, expected, remedy });
}

/**
 * Validates the parsed content of an index file.
 * @param where - the file's name, for messages.
 * @returns the shard of each tensor, by the tensor's name.
 * @throws {@link InvalidModelError} when it is malformed or a shard's name leaves the folder.
 */
export function parseWeightIndex(where: string, content: unknown): ReadonlyMap<string, string> {
  const weightMap: unknown =
    typeof content === "object" && content !== null && "weight_map" in content
      ? content.weight_map
      : undefined;
  if (typeof weightMap !== "object" || weightMap === null || Array.isArray(weightMap)) {
    throw invalidIndex(where, "weight_map is missing or malformed", weightMap, "an object of file names");
  }
  const shards = new Map<string, string>();
  for (const [tensor, file] of Object.entries(weightMap)) {
    if (typeof file !== "string" || !isContainedFile(file) || !file.endsWith(".safetensors")) {
      const what = `weight_map[${JSON.stringify(tensor)}] is not a file of this folder`;
      throw invalidIndex(where, what, file, "a relative name without .., ending in .safetensors");
    }
    shards.set(tensor, file);
  }
  const shardCount = new Set(shards.values()).size;
  if (shardCount === 0 || shardCount > shardLimit) {
    throw invalidIndex(where, "the number of shards is out of range", shardCount, `1 to ${shardLimit}`);
  }
  return shards;
}

async function noWeightsError(folder: ModelFolder, signal?: AbortSignal): Promise<InvalidModelError> {
  const isPyTorch =
    (await folder.has("pytorch_model.bin", signal)) ||
    (await folder.has("pytorch_model.bin.index.json", signal));
  return new InvalidModelError({
    where: folder.name,
    what: "the folder has no weights that can be read",
    got: isPyTorch ? "pytorch_model.bin, which is not read: it can run code" : "no weight file",
    expected: `${weightFiles.single} or ${weightFiles.index}`,
    remedy: isPyTorch
      ? "Convert it to safetensors (save_pretrained does)."
      : "Check the folder, or download the model again.",
  });
}

async function openShard(folder: ModelFolder, file: string, signal?: AbortSignal): Promise<ByteSource> {
  if (await folder.has(file, signal)) return folder.open(file, signal);
  throw new FileError({
    where: folder.name,
    what: "a shard of the checkpoint is missing",
    got: "nothing there",
    expected: file,
    remedy: "Download the model again.",
  });
}

function assertComplete(
  where: string,
  index: ReadonlyMap<string, string>,
  tensors: ReadonlyMap<string, TensorEntry>,
  fileOf: ReadonlyMap<ByteSource, string>,
): void {
  for (const [tensor, file] of index) {
    const entry = tensors.get(tensor);
    const found = entry === undefined ? undefined : fileOf.get(entry.source);
    if (found === file) continue;
    const what = `tensor ${JSON.stringify(tensor)} is not in the shard that the index names`;
    throw invalidIndex(where, what, found ?? "no such tensor in any shard", file);
  }
}

/**
 * Opens the weights of a checkpoint: reads every shard's header and merges them.
 * A single `model.safetensors` wins over an index, as in the tools that write them.
 * @throws {@link InvalidModelError} when the folder has no weights, they are damaged, or shards disagree;
 * {@link FileError} when a shard is missing or cannot be read.
 */
export async function openCheckpointWeights(
  folder: ModelFolder,
  signal?: AbortSignal,
): Promise<CheckpointWeights> {
  const indexName = `${folder.name}/${weightFiles.index}`;
  let index: ReadonlyMap<string, string> = new Map();
  if (!(await folder.has(weightFiles.single, signal))) {
    if (!(await folder.has(weightFiles.index, signal))) throw await noWeightsError(folder, signal);
    index = parseWeightIndex(indexName, await folder.readJson(weightFiles.index, signal));
  }
  const files = index.size === 0 ? [weightFiles.single] : [...new Set(index.values())].sort();
  const fileOf = new Map<ByteSource, string>();
  const close = async (): Promise<void> => {
    await Promise.all([...fileOf.keys()].map((source) => source.close()));
  };
  try {
    const tensors = new Map<string, TensorEntry>();
    for (const file of files) {
      const source = await openShard(folder, file, signal);
      fileOf.set(source, file);
      const header = await parseSafetensorsHeader(source, signal);
      for (const [name, entry] of header.tensors) {
        const other = tensors.get(name);
        if (other !== undefined) {
          const what = `tensor ${JSON.stringify(name)} is in two shards`;
          throw invalidIndex(folder.name, what, [fileOf.get(other.source), file], "one shard");
        }
        tensors.set(name, entry);
      }
    }
    assertComplete(indexName, index, tensors, fileOf);
    return { tensors, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
