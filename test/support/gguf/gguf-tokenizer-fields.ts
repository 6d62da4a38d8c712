/**
 * Turns a `tokenizer.json` into the tokenizer metadata of a GGUF file, as llama.cpp's converter does.
 *
 * A byte-level BPE becomes model `gpt2`, one with byte fallback model `llama`, whose scores are the negated
 * ranks of the merges that make the tokens. The name of the pre-tokenizer is the caller's to give.
 */

import type { GgufField, GgufFields } from "./gguf-writer.ts";

/** Gives the files of a tokenizer, as parsed JSON. */
export interface TokenizerSource {
  readonly tokenizerJson: unknown;
  readonly tokenizerConfig?: unknown;
  /** The name of the pre-tokenizer; default `gpt-2`. */
  readonly pre?: string;
  /** Rows of the embedding; the vocabulary is padded with unused tokens up to it. */
  readonly vocabularySize?: number;
}

interface TokenizerJson {
  readonly added_tokens?: readonly { id: number; content: string; special: boolean }[];
  readonly model: {
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (string | readonly [string, string])[];
    readonly byte_fallback?: boolean;
    readonly unk_token?: string | null;
  };
  readonly post_processor?: { readonly type: string; readonly single?: readonly object[] } | null;
  readonly normalizer?: unknown;
  readonly pre_tokenizer?: unknown;
}

interface TokenizerConfig {
  readonly bos_token?: string | { readonly content: string } | null;
  readonly eos_token?: string | { readonly content: string } | null;
  readonly pad_token?: string | { readonly content: string } | null;
  readonly add_bos_token?: boolean;
  readonly chat_template?: string;
}

/** Numbers the types of tokens. */
const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

const text = (value: string): GgufField => ({ type: "string", value });
const flag = (value: boolean): GgufField => ({ type: "bool", value });
const id = (value: number): GgufField => ({ type: "uint32", value });

function listTokens(json: TokenizerJson, size: number): { token: string; type: number }[] {
  const { vocab, unk_token: unknown, byte_fallback: hasBytes } = json.model;
  const tokens = Array.from({ length: size }, (_, index) => ({
    token: `[PAD${index}]`,
    type: tokenTypes.unused as number,
  }));
  for (const [token, index] of Object.entries(vocab)) {
    const isByte = hasBytes === true && /^<0x[0-9A-F]{2}>$/.test(token);
    tokens[index] = { token, type: isByte ? tokenTypes.byte : tokenTypes.normal };
  }
  for (const { id: index, content, special } of json.added_tokens ?? []) {
    const type = special ? tokenTypes.control : tokenTypes.userDefined;
    tokens[index] = { token: content, type: content === unknown ? tokenTypes.unknown : type };
  }
  return tokens;
}

/** Tells whether the tokenizer puts its beginning-of-text token before a text. */
function addsBos({ post_processor: processor }: TokenizerJson): boolean {
  return (processor?.single ?? []).some((part) => "SpecialToken" in part);
}

/** Returns the metadata of a tokenizer. */
export function describeTokenizer(source: TokenizerSource): GgufFields {
  const json = source.tokenizerJson as TokenizerJson;
  const config = (source.tokenizerConfig ?? {}) as TokenizerConfig;
  const { vocab } = json.model;
  const known = new Map(Object.entries(vocab));
  for (const { id: index, content } of json.added_tokens ?? []) known.set(content, index);
  const size = source.vocabularySize ?? Math.max(...known.values()) + 1;
  const tokens = listTokens(json, size);
  const isPieces = json.model.byte_fallback === true;
  const pairs = json.model.merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" ")));
  const fields: Record<string, GgufField> = {
    "tokenizer.ggml.model": text(isPieces ? "llama" : "gpt2"),
    "tokenizer.ggml.pre": text(source.pre ?? (isPieces ? "default" : "gpt-2")),
    "tokenizer.ggml.tokens": { type: "array", of: "string", value: tokens.map(({ token }) => token) },
    "tokenizer.ggml.token_type": { type: "array", of: "int32", value: tokens.map(({ type }) => type) },
  };
  if (isPieces) {
    const ranks = new Map<string, number>();
    for (const [rank, pair] of pairs.entries()) {
      const token = pair.replace(" ", "");
      if (!ranks.has(token)) ranks.set(token, rank);
    }
    const scores = tokens.map(({ token }) => -(ranks.get(token) ?? 0));
    fields["tokenizer.ggml.scores"] = { type: "array", of: "float32", value: scores };
    const inserts = JSON.stringify([json.normalizer, json.pre_tokenizer]);
    fields["tokenizer.ggml.add_space_prefix"] = flag(
      /"Prepend"|"prepend_scheme":"(first|always)"/.test(inserts),
    );
  } else fields["tokenizer.ggml.merges"] = { type: "array", of: "string", value: pairs };
  const names = { bos: config.bos_token, eos: config.eos_token, padding: config.pad_token };
  for (const [name, token] of Object.entries(names)) {
    const content = typeof token === "string" ? token : token?.content;
    const index = content === undefined ? undefined : known.get(content);
    if (index !== undefined) fields[`tokenizer.ggml.${name}_token_id`] = id(index);
  }
  const unknown = known.get(json.model.unk_token ?? "");
  if (unknown !== undefined) fields["tokenizer.ggml.unknown_token_id"] = id(unknown);
  fields["tokenizer.ggml.add_bos_token"] = flag(config.add_bos_token ?? addsBos(json));
  fields["tokenizer.ggml.add_eos_token"] = flag(false);
  if (config.chat_template !== undefined) fields["tokenizer.chat_template"] = text(config.chat_template);
  return fields;
}
