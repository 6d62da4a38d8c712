/**
 * Describes a checkpoint as a GGUF file has it: metadata, names of tensors, order of rows. The other side of
 * gguf-model.ts, for the families that are trained here.
 *
 * Names and orders are taken from the table that files are read with, turned round.
 */

import { UnsupportedError } from "../errors.ts";
import type { WrittenGgufField, WrittenGgufFields } from "../files/gguf-writer.ts";
import type { DecoderConfig } from "./decoder-config.ts";
import { type GgufArchitecture, ggufArchitectures, type RowOrder } from "./gguf-architectures.ts";

/** The architectures that are written, by `model_type`. To llama.cpp a Mistral is a Llama. */
const architectureNames: Readonly<Record<string, string>> = {
  llama: "llama",
  mistral: "llama",
  qwen2: "qwen2",
  qwen3: "qwen3",
};

const otherConverter = "Convert the model with llama.cpp's convert_hf_to_gguf.py.";

/** Is where a tensor of the checkpoint goes. */
export interface GgufPlace {
  readonly name: string;
  /** Says which row of the file is row `row` of the checkpoint; undefined where the order stays. */
  readonly rowOrder: RowOrder | undefined;
}

/** Is a checkpoint as a GGUF file has it. */
export interface GgufDescription {
  readonly fields: WrittenGgufFields;
  /** Returns the place of a tensor; undefined for a buffer that the file does not have. */
  place(name: string): GgufPlace | undefined;
}

const uint = (value: number): WrittenGgufField => ({ type: "uint32", value });
const float = (value: number): WrittenGgufField => ({ type: "float32", value });

function findArchitecture(
  where: string,
  { modelType }: DecoderConfig,
): { readonly name: string; readonly architecture: GgufArchitecture } {
  const name = Object.hasOwn(architectureNames, modelType) ? architectureNames[modelType] : undefined;
  const architecture = name === undefined ? undefined : ggufArchitectures[name];
  if (name !== undefined && architecture !== undefined) return { name, architecture };
  throw new UnsupportedError({
    where,
    what: "this version does not write the family as GGUF",
    got: modelType,
    expected: Object.keys(architectureNames).join(", "),
    remedy: otherConverter,
  });
}

/**
 * Returns the base of the rotary embedding: frequency i of n is base^(-i/n).
 * @throws {@link UnsupportedError} when the frequencies are stretched.
 */
function readRopeBase(where: string, { geometry }: DecoderConfig): number {
  const [kind] = geometry.kinds;
  const frequencies = kind?.inverseFrequencies ?? new Float64Array();
  const n = frequencies.length;
  const base = n < 2 ? 10_000 : (frequencies[1] ?? 1) ** -n;
  const isPlain = frequencies.every((value, i) => Math.abs(value / base ** (-i / n) - 1) < 1e-9);
  if (isPlain && kind?.rotaryScale === 1 && 2 * n === geometry.headSize) return base;
  throw new UnsupportedError({
    where,
    what: "this version does not write stretched or partial rotary embedding as GGUF",
    expected: "rotary embedding of whole heads, without rope_scaling",
    remedy: otherConverter,
  });
}

function describeFields(where: string, name: string, config: DecoderConfig): WrittenGgufFields {
  const { geometry } = config;
  const key = (suffix: string) => `${name}.${suffix}`;
  return {
    [key("vocab_size")]: uint(config.vocabularySize),
    [key("context_length")]: uint(geometry.maxPositions),
    [key("block_count")]: uint(geometry.layerCount),
    [key("embedding_length")]: uint(geometry.hiddenSize),
    [key("feed_forward_length")]: uint(config.mlpSize),
    [key("attention.head_count")]: uint(geometry.queryHeadCount),
    [key("attention.head_count_kv")]: uint(geometry.keyValueHeadCount),
    [key("attention.key_length")]: uint(geometry.headSize),
    [key("attention.value_length")]: uint(geometry.headSize),
    [key("attention.layer_norm_rms_epsilon")]: float(config.normEpsilon),
    [key("rope.dimension_count")]: uint(geometry.headSize),
    [key("rope.freq_base")]: float(readRopeBase(where, config)),
  };
}

function findStem(names: Readonly<Record<string, string>>, known: string): string | undefined {
  return Object.keys(names).find((stem) => names[stem] === known);
}

/**
 * Describes a checkpoint.
 * @param where - names it in messages.
 * @throws {@link UnsupportedError} naming a family or a setting that is not written.
 */
export function describeGguf(where: string, config: DecoderConfig): GgufDescription {
  const { name, architecture } = findArchitecture(where, config);
  const { names, layers, layerNames, rowOrder } = architecture;
  return {
    fields: {
      "general.architecture": { type: "string", value: name },
      ...describeFields(where, name, config),
    },
    place(tensor) {
      if (tensor.endsWith(".rotary_emb.inv_freq")) return undefined;
      // The output projection of a tied model is the embedding.
      if (tensor === "lm_head.weight" && config.tiedEmbeddings) return undefined;
      const [, layer, inner = "", suffix] =
        /^(?:layers\.(\d+)\.)?(.*)\.(weight|bias)$/.exec(
          tensor.startsWith(`${layers}.`) ? `layers.${tensor.slice(layers.length + 1)}` : tensor,
        ) ?? [];
      const stem = findStem(layer === undefined ? names : layerNames, inner);
      if (stem === undefined) {
        throw new UnsupportedError({
          where: `${where}: tensor ${JSON.stringify(tensor)}`,
          what: "GGUF has no name for the tensor",
          remedy: otherConverter,
        });
      }
      return layer === undefined
        ? { name: `${stem}.${suffix}`, rowOrder: undefined }
        : { name: `blk.${layer}.${stem}.${suffix}`, rowOrder: rowOrder?.(stem, config.geometry) };
    },
  };
}
