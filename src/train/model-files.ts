/**
 * The files of a trained model, as Hugging Face has them: `loadModel` and transformers read them.
 */

import { InvalidRequestError } from "../errors.ts";
import { writeSafetensors } from "../files/safetensors-writer.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";

/** Is a tokenizer as the content of its files; {@link trainByteLevelBpe} gives one. */
export interface ModelTokenizer {
  /** One more than the highest id. */
  readonly vocabularySize: number;
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  /** The content of `tokenizer.json`. */
  readonly tokenizerJson: Readonly<Record<string, unknown>>;
  /** The content of `tokenizer_config.json`. */
  readonly tokenizerConfig: Readonly<Record<string, unknown>>;
}

/** Describes a trained model. */
export interface TrainedModel {
  /** Fields of `config.json`, `model_type` and `vocab_size` among them. */
  readonly config: Readonly<Record<string, unknown>>;
  /** By their names in the checkpoint. */
  readonly tensors: ReadonlyMap<string, HostTensor>;
  readonly tokenizer: ModelTokenizer;
}

function writeJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/**
 * Lays a tokenizer out as files, `tokenizer.json` last.
 * @param maxPositions - the longest text that the model takes, tokens, where it has been told.
 */
export function makeTokenizerFiles(
  { tokenizerJson, tokenizerConfig }: ModelTokenizer,
  maxPositions?: number,
): ReadonlyMap<string, string> {
  const lengths = maxPositions === undefined ? {} : { model_max_length: maxPositions };
  return new Map([
    ["tokenizer_config.json", writeJson({ ...tokenizerConfig, ...lengths })],
    ["tokenizer.json", writeJson(tokenizerJson)],
  ]);
}

/**
 * Lays a model out as files, `config.json` last.
 * @throws {@link InvalidRequestError} when the model has fewer tokens than the tokenizer.
 */
export function makeModelFiles(model: TrainedModel): ReadonlyMap<string, Uint8Array | string> {
  const { config, tensors, tokenizer } = model;
  const { vocabularySize, bosTokenId, eosTokenId } = tokenizer;
  if (!(typeof config.vocab_size === "number" && config.vocab_size >= vocabularySize)) {
    throw new InvalidRequestError({
      where: "config.json: vocab_size",
      what: "the model has fewer tokens than its tokenizer",
      got: config.vocab_size,
      expected: `${vocabularySize} or more`,
    });
  }
  const ids = {
    ...(bosTokenId !== undefined && { bos_token_id: bosTokenId }),
    ...(eosTokenId !== undefined && { eos_token_id: eosTokenId }),
  };
  const ends = { ...ids, ...(eosTokenId !== undefined && { pad_token_id: eosTokenId }) };
  const positions = config.max_position_embeddings;
  return new Map<string, Uint8Array | string>([
    ["model.safetensors", writeSafetensors(Object.fromEntries(tensors), { format: "pt" })],
    ...makeTokenizerFiles(tokenizer, typeof positions === "number" ? positions : undefined),
    ["generation_config.json", writeJson(ends)],
    ["config.json", writeJson({ ...config, ...ids })],
  ]);
}
