/**
 * The files of a trained model, as Hugging Face has them: `loadModel` and transformers read them.
 */

import { InvalidRequestError } from "../errors.ts";
import { writeSafetensors } from "../files/safetensors-writer.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { TrainedTokenizer } from "../text/bpe-trainer.ts";

/** Describes a trained model. */
export interface TrainedModel {
  /** Fields of `config.json`, `model_type` and `vocab_size` among them. */
  readonly config: Readonly<Record<string, unknown>>;
  /** By their names in the checkpoint. */
  readonly tensors: ReadonlyMap<string, HostTensor>;
  readonly tokenizer: TrainedTokenizer;
}

function writeJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/**
 * Lays a model out as files, `config.json` last.
 * @throws {@link InvalidRequestError} when the model has fewer tokens than the tokenizer.
 */
export function makeModelFiles(model: TrainedModel): ReadonlyMap<string, Uint8Array | string> {
  const { config, tensors, tokenizer } = model;
  const { vocabularySize, bosTokenId, eosTokenId, tokenizerJson, tokenizerConfig } = tokenizer;
  if (!(typeof config.vocab_size === "number" && config.vocab_size >= vocabularySize)) {
    throw new InvalidRequestError({
      where: "config.json: vocab_size",
      what: "the model has fewer tokens than its tokenizer",
      got: config.vocab_size,
      expected: `${vocabularySize} or more`,
    });
  }
  const ids = { bos_token_id: bosTokenId, eos_token_id: eosTokenId };
  const lengths =
    typeof config.max_position_embeddings === "number"
      ? { model_max_length: config.max_position_embeddings }
      : {};
  return new Map<string, Uint8Array | string>([
    ["model.safetensors", writeSafetensors(Object.fromEntries(tensors), { format: "pt" })],
    ["tokenizer.json", writeJson(tokenizerJson)],
    ["tokenizer_config.json", writeJson({ ...tokenizerConfig, ...lengths })],
    ["generation_config.json", writeJson({ ...ids, pad_token_id: eosTokenId })],
    ["config.json", writeJson({ ...config, ...ids })],
  ]);
}
