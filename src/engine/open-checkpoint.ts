/**
 * Opens the checkpoint of a folder: safetensors with their configuration, or a GGUF file. Reads headers only.
 */

import { z } from "zod";
import { InvalidRequestError } from "../errors.ts";
import { openCheckpointWeights } from "../files/checkpoint-files.ts";
import { listGgufModels } from "../files/hub-model-files.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { loadModelFamily } from "../models/registry.ts";
import { loadTokenizer } from "../text/load-tokenizer.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { holdMatricesInHalf } from "./half-weights.ts";
import { quantizedFormats, quantizeWeights } from "./quantized-weights.ts";

const tokenId = z.number().int().nonnegative();
const generationSchema = z.looseObject({ eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish() });

async function readGenerationEnds(folder: ModelFolder, signal?: AbortSignal): Promise<readonly number[]> {
  if (!(await folder.has("generation_config.json", signal))) return [];
  const parsed = generationSchema.safeParse(await folder.readJson("generation_config.json", signal));
  const eos = parsed.success ? (parsed.data.eos_token_id ?? []) : [];
  return typeof eos === "number" ? [eos] : eos;
}

async function openFolderCheckpoint(folder: ModelFolder, signal?: AbortSignal): Promise<Checkpoint> {
  const where = `${folder.name}/config.json`;
  const json = await folder.readJson("config.json", signal);
  const family = await loadModelFamily(where, json);
  const config = family.readConfig(where, json);
  const weights = await openCheckpointWeights(folder, signal);
  return {
    family,
    config,
    tensors: weights.tensors,
    entries: weights.tensors,
    ownDType: "f32",
    hold(dtype) {
      if (dtype === "q8" || dtype === "q4") return quantizeWeights(weights.tensors, quantizedFormats[dtype]);
      return dtype === "f16" ? holdMatricesInHalf(weights.tensors) : undefined;
    },
    loadTokenizer: () => loadTokenizer(folder),
    readEndTokenIds: (ofSignal) => readGenerationEnds(folder, ofSignal),
    close: () => weights.close(),
  };
}

/** Finds the GGUF file that is meant: the one asked for, or the only model of a folder without safetensors. */
async function findGgufFile(folder: ModelFolder, signal?: AbortSignal): Promise<string | undefined> {
  if (folder.file !== undefined) return folder.file;
  for (const file of ["model.safetensors", "model.safetensors.index.json"]) {
    if (await folder.has(file, signal)) return undefined;
  }
  const models = listGgufModels(await folder.list(signal));
  if (models.length <= 1) return models[0];
  throw new InvalidRequestError({
    where: folder.name,
    what: "there are several GGUF models",
    got: models,
    expected: "one of them",
    remedy: "Add a slash and the file's name to the folder or hub id.",
  });
}

/**
 * Opens the checkpoint of a folder: safetensors with `config.json`, or a GGUF file; reads headers only.
 * @throws {@link FileError} {@link InvalidModelError} {@link UnsupportedError}; {@link InvalidRequestError} when a
 * folder has several GGUF models.
 */
export async function openCheckpoint(folder: ModelFolder, signal?: AbortSignal): Promise<Checkpoint> {
  const file = await findGgufFile(folder, signal);
  if (file === undefined) return openFolderCheckpoint(folder, signal);
  // Most models are no GGUF: its reader is loaded when it is needed.
  const { openGgufCheckpoint } = await import("./gguf-checkpoint.ts");
  return openGgufCheckpoint(folder, file, signal);
}
