/**
 * A GGUF file as the Hugging Face checkpoint that it was made from: configuration, names of tensors, order of rows.
 *
 * From here on a model family reads it as any other checkpoint. Refuses to know how tensors are quantised.
 */

import { InvalidModelError, UnsupportedError } from "../errors.ts";
import type { GgufTensor } from "../files/gguf.ts";
import type { GgufFields } from "../files/gguf-fields.ts";
import {
  type ArchitectureFields,
  type GgufArchitecture,
  ggufArchitectures,
  type HeadSizes,
  type RowOrder,
} from "./gguf-architectures.ts";

/** Is a tensor of a GGUF file under the name that the checkpoint has for it. */
export interface GgufWeight extends GgufTensor {
  /** The order of its rows; undefined when it is the checkpoint's. */
  readonly rowOrder: RowOrder | undefined;
}

/** Is a GGUF file as a checkpoint. */
export interface GgufModel {
  readonly architecture: GgufArchitecture;
  /** What `config.json` would say. */
  readonly config: Readonly<Record<string, unknown>>;
  /** By the checkpoint's names. */
  readonly weights: ReadonlyMap<string, GgufWeight>;
}

/** Are divisors of the rotary frequencies, `[D/2]`, from a tensor of the file. */
export interface RopeFactors {
  readonly values: readonly number[];
  /** Whether they hold within the original length only (longrope). */
  readonly isShort: boolean;
}

const factorsForAll = "rope_freqs.weight";
const factorsForShort = "rope_factors_short.weight";
/** Tensors that are read into the configuration, or not needed: the long factors hold where the engine never is. */
const unusedTensors: ReadonlySet<string> = new Set([
  factorsForAll,
  factorsForShort,
  "rope_factors_long.weight",
]);

function findArchitecture(fields: GgufFields): {
  readonly name: string;
  readonly architecture: GgufArchitecture;
} {
  const name = fields.needText("general.architecture");
  const architecture = Object.hasOwn(ggufArchitectures, name) ? ggufArchitectures[name] : undefined;
  if (architecture !== undefined) return { name, architecture };
  throw new UnsupportedError({
    where: `${fields.where}: general.architecture`,
    what: "this version does not run the architecture",
    got: name,
    expected: Object.keys(ggufArchitectures).join(", "),
  });
}

/** Refuses what changes the result and is not run. */
function refuseExperts(name: string, fields: GgufFields): void {
  const experts = fields.number(`${name}.expert_count`) ?? 0;
  if (experts === 0) return;
  throw new UnsupportedError({
    where: `${fields.where}: ${name}.expert_count`,
    what: "this version does not run mixtures of experts",
    got: experts,
    expected: "0",
  });
}

/** Reads the ways of stretching the rotary embedding, under Hugging Face's names. */
function readScaling(
  name: string,
  fields: GgufFields,
  contextLength: number,
  factors: RopeFactors | undefined,
): Readonly<Record<string, unknown>> | undefined {
  const key = (suffix: string) => `${name}.rope.scaling.${suffix}`;
  const type = fields.text(key("type"));
  const original = fields.number(key("original_context_length"));
  const attention = fields.number(key("attn_factor"));
  if (factors !== undefined) {
    // The file has the divisors themselves, whatever formula they come from.
    const length = factors.isShort ? (original ?? contextLength) : contextLength;
    const factor = attention ?? (factors.isShort ? undefined : 1);
    return {
      rope_type: "longrope",
      short_factor: factors.values,
      original_max_position_embeddings: length,
      ...(factor !== undefined && { attention_factor: factor }),
    };
  }
  const factor = fields.number(key("factor")) ?? fields.number(`${name}.rope.scale_linear`);
  if (type === undefined || type === "none") {
    return type === undefined && factor !== undefined && factor !== 1
      ? { rope_type: "linear", factor }
      : undefined;
  }
  return {
    rope_type: type,
    ...(factor !== undefined && { factor }),
    ...(original !== undefined && { original_max_position_embeddings: original }),
  };
}

function dropUndefined(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

interface CommonSizes extends HeadSizes {
  readonly hiddenSize: number;
  readonly vocabularySize: number;
}

function readSizes(name: string, fields: GgufFields, tensors: ReadonlyMap<string, GgufTensor>): CommonSizes {
  const need = (suffix: string): number => {
    const value = fields.uniformNumber(`${name}.${suffix}`);
    if (value !== undefined && Number.isSafeInteger(value) && value > 0) return value;
    throw new InvalidModelError({
      where: `${fields.where}: ${name}.${suffix}`,
      what: value === undefined ? "the field is missing" : "the field is out of range",
      ...(value !== undefined && { got: value }),
      expected: "a whole number from 1",
    });
  };
  const hiddenSize = need("embedding_length");
  const queryHeadCount = need("attention.head_count");
  const hasGroups = fields.has(`${name}.attention.head_count_kv`);
  const keyValueHeadCount = hasGroups ? need("attention.head_count_kv") : queryHeadCount;
  const hasWidth = fields.has(`${name}.attention.key_length`);
  const headSize = hasWidth ? need("attention.key_length") : hiddenSize / queryHeadCount;
  const embedding = tensors.get("token_embd.weight");
  if (embedding === undefined) {
    throw new InvalidModelError({
      where: fields.where,
      what: "the embedding is missing",
      expected: "a tensor token_embd.weight",
    });
  }
  return {
    hiddenSize,
    queryHeadCount,
    keyValueHeadCount,
    headSize,
    vocabularySize: embedding.shape[0] ?? 0,
  };
}

function describeConfig(
  name: string,
  architecture: GgufArchitecture,
  fields: GgufFields,
  tensors: ReadonlyMap<string, GgufTensor>,
  sizes: CommonSizes,
  factors: RopeFactors | undefined,
  endIds: readonly number[],
): Record<string, unknown> {
  const number = (key: string) => fields.uniformNumber(`${name}.${key}`);
  const own: ArchitectureFields = {
    number,
    text: (key) => fields.text(`${name}.${key}`),
    flag: (key) => fields.flag(`${name}.${key}`),
    hasTensor: (tensor) => tensors.has(tensor),
  };
  const contextLength = fields.needNumber(`${name}.context_length`);
  const scaling = readScaling(name, fields, contextLength, factors);
  const rotated = number("rope.dimension_count");
  return dropUndefined({
    model_type: architecture.modelType,
    hidden_size: sizes.hiddenSize,
    intermediate_size: number("feed_forward_length"),
    num_hidden_layers: number("block_count"),
    num_attention_heads: sizes.queryHeadCount,
    num_key_value_heads: sizes.keyValueHeadCount,
    head_dim: sizes.headSize,
    vocab_size: sizes.vocabularySize,
    max_position_embeddings: contextLength,
    original_max_position_embeddings: scaling?.original_max_position_embeddings,
    rms_norm_eps: number("attention.layer_norm_rms_epsilon"),
    rope_theta: number("rope.freq_base"),
    rope_scaling: scaling,
    partial_rotary_factor:
      rotated === undefined || rotated === sizes.headSize ? undefined : rotated / sizes.headSize,
    tie_word_embeddings: !tensors.has("output.weight"),
    bos_token_id: fields.number("tokenizer.ggml.bos_token_id"),
    eos_token_id: endIds,
    ...architecture.config?.(own),
  });
}

/** Gives tensors the checkpoint's names. */
function renameTensors(
  where: string,
  { names, layers, layerNames, rowOrder }: GgufArchitecture,
  tensors: ReadonlyMap<string, GgufTensor>,
  sizes: HeadSizes,
): Map<string, GgufWeight> {
  const renamed = new Map<string, GgufWeight>();
  for (const tensor of tensors.values()) {
    if (unusedTensors.has(tensor.name)) continue;
    const [, layer, stem = "", suffix] = /^(?:blk\.(\d+)\.)?(.*)\.(weight|bias)$/.exec(tensor.name) ?? [];
    const table = layer === undefined ? names : layerNames;
    const known = Object.hasOwn(table, stem) ? table[stem] : undefined;
    if (known === undefined) {
      throw new InvalidModelError({
        where: `${where}: tensor ${JSON.stringify(tensor.name)}`,
        what: "the tensor has no place in this architecture",
        expected: `one of ${[...Object.keys(names), ...Object.keys(layerNames)].join(", ")}`,
      });
    }
    const name = `${layer === undefined ? known : `${layers}.${layer}.${known}`}.${suffix}`;
    const order = layer === undefined ? undefined : rowOrder?.(stem, sizes);
    renamed.set(name, { ...tensor, name, rowOrder: order });
  }
  return renamed;
}

/** Returns the tensor with divisors of the rotary frequencies; undefined when there is none. */
export function findRopeFactors(
  tensors: ReadonlyMap<string, GgufTensor>,
): { readonly tensor: GgufTensor; readonly isShort: boolean } | undefined {
  const tensor = tensors.get(factorsForAll) ?? tensors.get(factorsForShort);
  return tensor === undefined ? undefined : { tensor, isShort: tensor.name === factorsForShort };
}

/**
 * Reads a GGUF file as a checkpoint.
 * @param factors from the tensor that {@link findRopeFactors} finds.
 * @param endIds the tokens that end an answer.
 * @throws {@link UnsupportedError} naming an architecture that is not run; {@link InvalidModelError} naming a
 * field or tensor that is missing, damaged or out of place.
 */
export function readGgufModel(
  fields: GgufFields,
  tensors: ReadonlyMap<string, GgufTensor>,
  factors: RopeFactors | undefined,
  endIds: readonly number[],
): GgufModel {
  const { name, architecture } = findArchitecture(fields);
  refuseExperts(name, fields);
  const sizes = readSizes(name, fields, tensors);
  const config = describeConfig(name, architecture, fields, tensors, sizes, factors, endIds);
  return { architecture, config, weights: renameTensors(fields.where, architecture, tensors, sizes) };
}
