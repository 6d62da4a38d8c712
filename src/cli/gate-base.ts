/**
 * The frozen base of a training: its weights in memory, read from files that are opened for reading only, and the
 * digest that shows that they are what they were.
 */

import type { LoadProgress } from "../engine/load-model.ts";
import { nodePlatform } from "../engine/node.ts";
import { FileError, InvalidModelError, UnsupportedError } from "../errors.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import type { ModelFamily } from "../models/family.ts";
import { loadModelFamily } from "../models/registry.ts";
import { loadTokenizer } from "../text/load-tokenizer.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { WeightTensors } from "../train/weight-tensors.ts";
import { digestModelWeights, readModelWeights } from "./model-weights.ts";

/** Is a base that was read. */
export interface GateBase {
  readonly folder: ModelFolder;
  readonly family: ModelFamily;
  readonly config: DecoderConfig;
  readonly weights: WeightTensors;
  readonly tokenizer: Tokenizer;
  /** SHA-256 of its weight files, in hex. */
  readonly digest: string;
}

/**
 * Opens a base and reads its weights.
 * @throws {@link UnsupportedError} for a GGUF file; {@link InvalidModelError} without a tokenizer; and what reading
 * a checkpoint throws.
 */
export async function openGateBase(
  model: string,
  options: {
    readonly revision: string | undefined;
    readonly signal: AbortSignal;
    readonly onProgress: (progress: LoadProgress) => void;
  },
): Promise<GateBase> {
  const { signal } = options;
  const folder = await nodePlatform.openFolder(model, options);
  if (folder.file !== undefined) {
    const what = "a memory is not trained over GGUF files";
    const remedy = "Train over the safetensors that it was made from.";
    throw new UnsupportedError({ where: model, what, got: folder.file, expected: "safetensors", remedy });
  }
  const where = `${folder.name}/config.json`;
  const json = await folder.readJson("config.json", signal);
  const family = await loadModelFamily(where, json);
  const config = family.readConfig(where, json);
  const tokenizer = await loadTokenizer(folder);
  if (tokenizer === undefined)
    throw new InvalidModelError({
      where: folder.name,
      what: "there is no tokenizer",
      expected: "tokenizer.json",
    });
  return { folder, family, config, tokenizer, ...(await readModelWeights(folder, signal)) };
}

/** Checks that the base's files are what was read. @throws {@link FileError} */
export async function assertUnchanged({ folder, digest }: GateBase, signal: AbortSignal): Promise<void> {
  const now = await digestModelWeights(folder, signal);
  if (now === digest) return;
  throw new FileError({
    where: folder.name,
    what: "the checkpoint changed while a memory was trained over it",
    got: `SHA-256 ${now}`,
    expected: digest,
    remedy: "Let nothing write to it, and train anew.",
  });
}
