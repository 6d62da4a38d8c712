/**
 * The weights of a model that a training reads: as float32 in memory, with a digest of the files that they lie in.
 */

import { createHash } from "node:crypto";
import { openGgufCheckpoint } from "../engine/gguf-checkpoint.ts";
import { InternalError } from "../errors.ts";
import type { ByteSource } from "../files/byte-source.ts";
import { openCheckpointWeights } from "../files/checkpoint-files.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { readWeightTensors } from "../train/read-weight-tensors.ts";
import type { WeightTensors } from "../train/weight-tensors.ts";

/** Is what was read. */
export interface ModelWeights {
  readonly weights: WeightTensors;
  /** SHA-256 of the files that they lie in, in hex. */
  readonly digest: string;
}

/** Names the folder, or the GGUF file that is meant, in messages. */
export function nameModel({ name, file }: ModelFolder): string {
  return file === undefined ? name : `${name}/${file}`;
}

const chunkBytes = 16 * 1024 * 1024;

async function digestSources(
  tensors: ReadonlyMap<string, { readonly source: ByteSource }>,
  signal: AbortSignal,
): Promise<string> {
  const sources = new Set([...tensors.values()].map(({ source }) => source));
  const hash = createHash("sha256");
  for (const source of sources) {
    for (let offset = 0; offset < source.sizeBytes; offset += chunkBytes)
      hash.update(await source.read(offset, Math.min(chunkBytes, source.sizeBytes - offset), signal));
  }
  return hash.digest("hex");
}

/** Digests the files that a model's safetensors lie in. @throws as {@link openCheckpointWeights} does. */
export async function digestModelWeights(folder: ModelFolder, signal: AbortSignal): Promise<string> {
  await using checkpoint = await openCheckpointWeights(folder, signal);
  return digestSources(checkpoint.tensors, signal);
}

async function readGgufWeights(
  folder: ModelFolder,
  file: string,
  signal: AbortSignal,
): Promise<ModelWeights> {
  const checkpoint = await openGgufCheckpoint(folder, file, signal);
  try {
    const weights = new Map<string, HostTensor<"float32">>();
    for (const { name, shape, read } of checkpoint.hold("f32") ?? []) {
      const values = await read(signal);
      if (!(values instanceof Float32Array))
        throw new InternalError({ where: `tensor ${name}`, what: "it was not widened to float32" });
      weights.set(name, hostTensor("float32", shape, values));
    }
    return { weights, digest: await digestSources(checkpoint.tensors, signal) };
  } finally {
    await checkpoint.close();
  }
}

/**
 * Reads a model's weights: safetensors, or the GGUF file that is meant, whose blocks are widened.
 * @throws as opening and reading a checkpoint does.
 */
export async function readModelWeights(folder: ModelFolder, signal: AbortSignal): Promise<ModelWeights> {
  if (folder.file !== undefined) return readGgufWeights(folder, folder.file, signal);
  await using checkpoint = await openCheckpointWeights(folder, signal);
  const weights = await readWeightTensors(folder.name, checkpoint.tensors, signal);
  return { weights, digest: await digestSources(checkpoint.tensors, signal) };
}
