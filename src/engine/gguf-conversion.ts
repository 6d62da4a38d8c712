/**
 * Converts a checkpoint of safetensors to GGUF, in 8 bits, float16 or float32: one file with its tokenizer, for
 * this library and for llama.cpp.
 *
 * In 8 bits, matrices have the integers that loading with `dtype: "q8"` gives them; scales are rounded to float16.
 */

import { InvalidModelError, UnsupportedError } from "../errors.ts";
import { openCheckpointWeights } from "../files/checkpoint-files.ts";
import { streamGguf, type WrittenGgufFields, type WrittenGgufTensor } from "../files/gguf-writer.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { readTensor, type TensorEntry } from "../files/safetensors.ts";
import { describeGguf, type GgufPlace } from "../models/gguf-description.ts";
import { loadModelFamily } from "../models/registry.ts";
import { encodeGguf, type WrittenGgufType } from "../tensor/gguf-encoding.ts";
import { ggufTypes } from "../tensor/gguf-types.ts";
import { describeGgufTokenizer } from "../text/gguf-tokenizer-fields.ts";
import { readTokenizerParts } from "../text/load-tokenizer.ts";
import { isWeight, widenTensor } from "./quantized-weights.ts";

/** Names how matrices are written. */
export type GgufDType = "q8" | "f16" | "f32";

/** Gives the type of matrices, and llama.cpp's number for such files (`general.file_type`). */
const formats: { readonly [Name in GgufDType]: { readonly type: WrittenGgufType; readonly id: number } } = {
  q8: { type: "Q8_0", id: 7 },
  f16: { type: "F16", id: 1 },
  f32: { type: "F32", id: 0 },
};

/** Lists how matrices can be written. */
export const ggufDTypes: readonly GgufDType[] = ["q8", "f16", "f32"];

/** Is a file that is ready to be written. */
export interface GgufConversion extends AsyncDisposable {
  readonly tensorCount: number;
  /** llama.cpp's name of how the tokenizer splits words; undefined without a tokenizer. */
  readonly preTokenizer: string | undefined;
  /** Things the user should know, in full sentences. */
  readonly notices: readonly string[];
  /** Gives the bytes of the file, once; the conversion must not be disposed meanwhile. */
  stream(): AsyncIterable<Uint8Array>;
}

/** Says what is converted, and how. */
export interface GgufConversionOptions {
  readonly dtype: GgufDType;
  /** The model's name for people (`general.name`). */
  readonly name: string;
  readonly signal?: AbortSignal | undefined;
}

/** Puts rows where the file has them; a bias has rows of one element. */
function reorderRows(values: Float32Array, rows: number, rowOrder: NonNullable<GgufPlace["rowOrder"]>) {
  const columns = values.length / rows;
  const ordered = new Float32Array(values.length);
  for (let row = 0; row < rows; row++)
    ordered.set(values.subarray(row * columns, (row + 1) * columns), rowOrder(row) * columns);
  return ordered;
}

function planTensor(
  entry: TensorEntry,
  { name, rowOrder }: GgufPlace,
  wanted: WrittenGgufType,
  signal: AbortSignal | undefined,
): WrittenGgufTensor {
  const { shape } = entry;
  const isMatrix = shape.length === 2 && (shape[1] ?? 0) % ggufTypes[wanted].blockSize === 0;
  const type = isMatrix ? wanted : "F32";
  return {
    name,
    type,
    shape,
    async read() {
      signal?.throwIfAborted();
      const values = widenTensor(await readTensor(entry, signal), entry.name);
      return encodeGguf(type, rowOrder === undefined ? values : reorderRows(values, shape[0] ?? 1, rowOrder));
    },
  };
}

/** Says where llama.cpp would read a text in other tokens. */
function noticesOf(preTokenizer: string, differences: readonly string[]): readonly string[] {
  if (differences.length === 0) return [];
  const [example = ""] = differences;
  const text = `llama.cpp knows no way of splitting words that is quite this tokenizer's; the nearest is ${preTokenizer}`;
  return [`${text}. It reads some texts in other tokens, such as ${JSON.stringify(example)}.`];
}

/**
 * Prepares the conversion of a folder with `config.json` and safetensors; reads no weights yet.
 * @throws {@link UnsupportedError} naming a family, setting or tokenizer that is not written, or a GGUF file;
 * {@link InvalidModelError} when the folder is damaged; {@link FileError} when it cannot be read.
 */
export async function prepareGgufConversion(
  folder: ModelFolder,
  { dtype, name, signal }: GgufConversionOptions,
): Promise<GgufConversion> {
  if (folder.file !== undefined) {
    const what = "a GGUF file is not converted";
    throw new UnsupportedError({ where: folder.name, what, got: folder.file, expected: "safetensors" });
  }
  const where = `${folder.name}/config.json`;
  const json = await folder.readJson("config.json", signal);
  const config = (await loadModelFamily(where, json)).readConfig(where, json);
  const description = describeGguf(folder.name, config);
  const parts = await readTokenizerParts(folder);
  const tokenizer = parts === undefined ? undefined : describeGgufTokenizer(parts, config.vocabularySize);
  if (tokenizer !== undefined && tokenizer.tokenCount > config.vocabularySize) {
    throw new InvalidModelError({
      where: folder.name,
      what: "the tokenizer has more tokens than the model",
      got: tokenizer.tokenCount,
      expected: `at most ${config.vocabularySize}`,
    });
  }
  const { type, id } = formats[dtype];
  const fields: WrittenGgufFields = {
    ...description.fields,
    "general.name": { type: "string", value: name },
    "general.file_type": { type: "uint32", value: id },
    "general.quantization_version": { type: "uint32", value: 2 },
    ...(tokenizer?.fields ?? { "tokenizer.ggml.model": { type: "string", value: "none" } }),
  };
  const weights = await openCheckpointWeights(folder, signal);
  try {
    const tensors = [...weights.tensors.values()].filter(isWeight).flatMap((entry) => {
      const place = description.place(entry.name);
      return place === undefined ? [] : [planTensor(entry, place, type, signal)];
    });
    return {
      tensorCount: tensors.length,
      preTokenizer: tokenizer?.preTokenizer,
      notices: tokenizer === undefined ? [] : noticesOf(tokenizer.preTokenizer, tokenizer.differences),
      stream: () => streamGguf(fields, tensors),
      [Symbol.asyncDispose]: () => weights.close(),
    };
  } catch (error) {
    await weights.close();
    throw error;
  }
}
