/**
 * A GGUF file as a checkpoint. Its tensors are held in blocks of their own bits, repacked for the runtime's
 * kernels and kept for the next start, or widened or quantised where that is asked for.
 */

import { InvalidModelError } from "../errors.ts";
import { GgufFields } from "../files/gguf-fields.ts";
import { openGgufFile } from "../files/gguf-parts.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import type { TensorEntry } from "../files/safetensors.ts";
import { findRopeFactors, type GgufWeight, type RopeFactors, readGgufModel } from "../models/gguf-model.ts";
import { loadModelFamily } from "../models/registry.ts";
import { type BlockFormat, type QuantizedRows, quantizeRows } from "../tensor/block-quantization.ts";
import { decodeGguf, isGgufBlockType, repackedFormat, repackGguf } from "../tensor/gguf-blocks.ts";
import { elementCount } from "../tensor/shape.ts";
import { createGgufTokenizer, ggufEosTokenIds } from "../text/gguf-tokenizer.ts";
import type { Checkpoint, HeldDType } from "./checkpoint.ts";
import { narrowValues } from "./half-weights.ts";
import type { HeldWeight, PlainDType, PlainElements } from "./held-weights.ts";
import { quantizedFormats } from "./quantized-weights.ts";

const plainDTypes: Readonly<Record<string, PlainDType>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

/** Reads a tensor's bytes with its rows in the checkpoint's order: a row is whole blocks, so bytes are moved. */
async function readRows(weight: GgufWeight, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const { source, offset, lengthBytes, shape, rowOrder } = weight;
  const bytes = await source.read(offset, lengthBytes, signal);
  if (rowOrder === undefined) return bytes;
  const [rows = 1] = shape;
  const rowBytes = lengthBytes / rows;
  const ordered = new Uint8Array(lengthBytes);
  for (let row = 0; row < rows; row++) {
    const from = rowOrder(row) * rowBytes;
    ordered.set(bytes.subarray(from, from + rowBytes), row * rowBytes);
  }
  return ordered;
}

/** A damaged scale would make every result NaN, far from its cause. */
function assertFinite(name: string, values: Float32Array): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new InvalidModelError({
    where: `tensor ${name}`,
    what: "a block's scale or offset is not finite",
    got: values[at],
    expected: "a number",
    remedy: "The file is damaged: fetch it again.",
  });
}

/** Views halves where they lie; a file in memory may have them at an odd place. */
function viewHalves(bytes: Uint8Array): Uint16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
}

/** Holds a tensor as the file has it. */
function holdStored(weight: GgufWeight): HeldWeight {
  const { name, shape, type } = weight;
  if (!isGgufBlockType(type)) {
    const format = plainDTypes[type] ?? "float32";
    const read = async (signal?: AbortSignal): Promise<PlainElements> => {
      const bytes = await readRows(weight, signal);
      return type === "F32" ? decodeGguf(type, bytes) : viewHalves(bytes);
    };
    return { name, shape, format, hasOffsets: false, read };
  }
  const read = async (signal?: AbortSignal): Promise<QuantizedRows> => {
    const blocks = repackGguf(type, await readRows(weight, signal));
    assertFinite(name, blocks.scales);
    if (blocks.offsets !== undefined) assertFinite(name, blocks.offsets);
    return blocks;
  };
  return { name, shape, ...repackedFormat(type), read };
}

function holdWidened(weight: GgufWeight): HeldWeight {
  const { name, shape, type } = weight;
  const read = async (signal?: AbortSignal) => decodeGguf(type, await readRows(weight, signal));
  return { name, shape, format: "float32", hasOffsets: false, read };
}

function holdNarrowed(weight: GgufWeight): HeldWeight {
  const { name, shape, type } = weight;
  const read = async (signal?: AbortSignal) =>
    narrowValues(name, decodeGguf(type, await readRows(weight, signal)));
  return { name, shape, format: "float16", hasOffsets: false, read };
}

function holdQuantized(weight: GgufWeight, format: BlockFormat): HeldWeight {
  const { name, shape, type } = weight;
  const columns = shape[1] ?? 0;
  const read = async (signal?: AbortSignal) =>
    quantizeRows(decodeGguf(type, await readRows(weight, signal)), columns, format);
  return { name, shape, format, hasOffsets: false, read };
}

/** Says how a tensor is held: blocks that already have the bits asked for stay as they are. */
function holdWeight(weight: GgufWeight, dtype: HeldDType): HeldWeight {
  const { shape, type } = weight;
  const isMatrix = shape.length === 2;
  const stored = isGgufBlockType(type) ? repackedFormat(type).format : undefined;
  if (dtype === "f32" || (stored !== undefined && !isMatrix)) return holdWidened(weight);
  if (dtype === "f16") return isMatrix && type !== "F16" ? holdNarrowed(weight) : holdStored(weight);
  if (dtype === "stored") return holdStored(weight);
  const format = quantizedFormats[dtype];
  if (stored?.bits === format.bits) return holdStored(weight);
  const fits = isMatrix && (shape[1] ?? 0) % format.blockSize === 0;
  return fits ? holdQuantized(weight, format) : holdWidened(weight);
}

/** Is a tensor as a graph takes it, with nothing to be read of it: for checks of names and shapes. */
function outlineOf({ name, shape, source }: GgufWeight): TensorEntry {
  return { name, shape, dtype: "float32", source, offset: 0, lengthBytes: 4 * elementCount(shape) };
}

/**
 * Opens a GGUF file, or all parts of a split one, as a checkpoint; reads headers only.
 * @throws {@link UnsupportedError} naming an architecture, quantisation, tokenizer or setting that is not run;
 * {@link InvalidModelError} when it is damaged; {@link FileError} when a part is missing.
 */
export async function openGgufCheckpoint(
  folder: ModelFolder,
  file: string,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const opened = await openGgufFile(folder, file, signal);
  try {
    const fields = new GgufFields(`${folder.name}/${file}`, opened.metadata);
    const found = findRopeFactors(opened.tensors);
    let factors: RopeFactors | undefined;
    if (found !== undefined) {
      const { source, offset, lengthBytes, type } = found.tensor;
      const bytes = await source.read(offset, lengthBytes, signal);
      factors = { values: [...decodeGguf(type, bytes)], isShort: found.isShort };
    }
    const model = readGgufModel(fields, opened.tensors, factors, ggufEosTokenIds(fields));
    const family = await loadModelFamily(fields.where, model.config);
    const config = family.readConfig(fields.where, model.config);
    const weights = [...model.weights.values()];
    return {
      family,
      config: model.architecture.adjust?.(config) ?? config,
      tensors: new Map(weights.map((weight) => [weight.name, { ...weight, dtype: weight.type }])),
      entries: new Map(weights.map((weight) => [weight.name, outlineOf(weight)])),
      ownDType: "stored",
      hold: (dtype) => weights.map((weight) => holdWeight(weight, dtype)),
      loadTokenizer: async () => createGgufTokenizer(fields),
      readEndTokenIds: async () => [],
      close: opened.close,
    };
  } catch (error) {
    await opened.close();
    throw error;
  }
}
