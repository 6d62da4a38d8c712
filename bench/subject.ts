/**
 * What is measured: a checkpoint of a known model's shape with random weights, made once and kept in `.cache/bench`,
 * or a folder that the user names.
 *
 * The same weights exist as a GGUF file, which all engines read. Speed does not depend on what weights have learned.
 */

import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { WeightDType } from "../src/engine/memory-estimate.ts";
import { writeFileAtomic } from "../src/files/node-atomic-write.ts";
import { diskModelFolder } from "../src/files/node-model-folder.ts";
import type { DecoderSizes } from "../src/models/decoder-tensors.ts";
import {
  createTinyAdapterFolder,
  qwen25Config05B,
  type RandomCheckpointConfig,
  smolLm2Config135M,
  streamRandomCheckpoint,
} from "../src/testing/index.ts";
import { decoderSizesOf } from "../src/testing/random-checkpoint.ts";
import { tinyByteLevelJson } from "../src/text/tiny-tokenizers.ts";
import { streamGgufModel } from "../test/support/gguf/gguf-model.ts";
import type { WeightFormat } from "./decoder-arithmetic.ts";
import type { EngineName } from "./engine.ts";

/** Names the shape of a well-known model. */
export type ShapeName = "smollm2-135m" | "qwen2.5-0.5b";

/** Gives the configuration of each shape. */
export const shapes: { readonly [Name in ShapeName]: RandomCheckpointConfig } = {
  "smollm2-135m": smolLm2Config135M,
  "qwen2.5-0.5b": qwen25Config05B,
};

/** Names a way that a GGUF file holds matrices. */
export type GgufTypeName = "q8_0" | "q4_0" | "f32";

/** Gives, for each way that a GGUF file holds matrices, the way that the engine holds them. */
export const ggufTypes: { readonly [Name in GgufTypeName]: WeightFormat } = {
  q8_0: "q8",
  q4_0: "q4",
  f32: "f32",
};

/** Is a checkpoint to be measured. */
export interface Subject {
  readonly name: string;
  readonly shape: DecoderSizes;
  readonly tied: boolean;
  readonly format: WeightFormat;
  readonly dtype: WeightDType | "auto";
  /** What each engine reads. */
  readonly models: { readonly [Name in EngineName]?: string };
  readonly adapter: string | undefined;
}

const gateRank = 32;

async function writeOnce(path: string, bytes: () => AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
  if (!existsSync(path)) await writeFileAtomic(path, bytes());
}

const encodeJson = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** Writes a random gate for a decoder into a folder; gives the folder. */
async function writeGate(folder: string, shape: DecoderSizes): Promise<string> {
  const { layerCount, queryHeadCount, headSize } = shape;
  const gate = createTinyAdapterFolder({ layerCount, queryHeadCount, headSize, rank: gateRank });
  await mkdir(folder, { recursive: true });
  for (const file of ["adapter_config.json", "adapter_model.safetensors"]) {
    const source = await gate.open(file);
    await writeFileAtomic(join(folder, file), await source.read(0, source.sizeBytes));
    await source.close();
  }
  return folder;
}

/** Makes a checkpoint of a shape, unless it is there: safetensors, a GGUF file, and a random memory gate. */
export async function prepareSubject(
  cacheFolder: string,
  name: ShapeName,
  type: GgufTypeName,
): Promise<Subject> {
  const config = shapes[name];
  const folder = join(cacheFolder, name);
  await mkdir(folder, { recursive: true });
  await writeOnce(join(folder, "model.safetensors"), () => streamRandomCheckpoint(config));
  await writeOnce(join(folder, "config.json"), () => encodeJson(config));
  // llama.cpp does not start without a tokenizer; the ids that the bench reads do not need one.
  await writeOnce(join(folder, "tokenizer.json"), () => encodeJson(tinyByteLevelJson()));
  const gguf = join(folder, `model-${type}.gguf`);
  await writeOnce(gguf, () => streamGgufModel(diskModelFolder(folder), { type }));
  const shape = decoderSizesOf(config);
  return {
    name: `${name} ${type}`,
    shape,
    tied: config.tie_word_embeddings,
    format: ggufTypes[type],
    dtype: "auto",
    models: { edgeinfinite: gguf, "llama.cpp": gguf },
    adapter: await writeGate(join(folder, "gate"), shape),
  };
}

/** Describes a checkpoint's folder that the user names; it needs the fields that random checkpoints have. */
export async function openSubject(
  folder: string,
  dtype: WeightFormat | "auto",
  adapter: string | undefined,
): Promise<Subject> {
  const config: RandomCheckpointConfig = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
  return {
    name: basename(folder),
    shape: decoderSizesOf(config),
    tied: config.tie_word_embeddings,
    format: dtype === "auto" ? "f32" : dtype,
    dtype,
    models: { edgeinfinite: folder },
    adapter,
  };
}
