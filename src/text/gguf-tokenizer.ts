/**
 * The tokenizer of a GGUF file, from its metadata: what a `tokenizer.json` and its configuration would say.
 *
 * A file may bring its `tokenizer.json` whole. Else model `gpt2` is a byte-level BPE with merges and a named way of
 * splitting words, model `llama` a SentencePiece BPE, whose merges follow from the scores of its pieces. Others are
 * refused by name.
 */

import { InvalidModelError, UnsupportedError } from "../errors.ts";
import type { GgufFields } from "../files/gguf-fields.ts";
import { findPreTokenizer, preTokenizerComponent, preTokenizerNames } from "./gguf-pre-tokenizers.ts";
import { createTokenizer, type Tokenizer } from "./tokenizer.ts";

const key = (name: string): string => `tokenizer.ggml.${name}`;

/** ggml's numbers of the types of tokens that are matched in a text before anything else. */
const unknownType = 2;
const controlType = 3;
const userDefinedType = 4;
const normalType = 1;

/** Longer pieces are put together from no merges: none of a trained vocabulary is as long. */
const longestPieceChars = 256;

/** Is what all tokenizer models have. */
interface Vocabulary {
  readonly tokens: readonly string[];
  readonly typeOf: (id: number) => number;
}

function readVocabulary(fields: GgufFields): Vocabulary {
  const tokens = fields.texts(key("tokens"));
  const refuse = (what: string, got: unknown, expected: string): never => {
    throw new InvalidModelError({ where: `${fields.where}: ${key("tokens")}`, what, got, expected });
  };
  if (tokens === undefined || tokens.length === 0)
    return refuse("the vocabulary is missing", "no tokens", "at least one");
  const types = fields.numbers(key("token_type"));
  if (types !== undefined && types.length !== tokens.length)
    refuse("the vocabulary has another length than its types", tokens.length, String(types.length));
  return {
    tokens,
    typeOf: (id) => types?.[id] ?? normalType,
  };
}

function listAddedTokens({ tokens, typeOf }: Vocabulary): object[] {
  return tokens.flatMap((content, id) => {
    const type = typeOf(id);
    const isAdded = type === controlType || type === userDefinedType || type === unknownType;
    if (!isAdded || content === "") return [];
    return [{ id, content, special: type !== userDefinedType, normalized: false, lstrip: false }];
  });
}

/**
 * Derives the merges of a SentencePiece BPE: every way to cut a piece into two others, best scores first. It is
 * how Hugging Face converts such vocabularies.
 */
function deriveMerges(fields: GgufFields, { tokens, typeOf }: Vocabulary): [string, string][] {
  const scores = fields.numbers(key("scores"));
  if (scores === undefined || scores.length !== tokens.length) {
    throw new InvalidModelError({
      where: `${fields.where}: ${key("scores")}`,
      what: "the pieces have no scores, or not as many",
      got: scores?.length ?? "none",
      expected: String(tokens.length),
    });
  }
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const merges: { left: number; right: number; score: number }[] = [];
  for (const [id, piece] of tokens.entries()) {
    if (typeOf(id) !== normalType || piece.length > longestPieceChars) continue;
    for (let cut = 1; cut < piece.length; cut++) {
      const left = ids.get(piece.slice(0, cut));
      const right = left === undefined ? undefined : ids.get(piece.slice(cut));
      if (left !== undefined && right !== undefined) merges.push({ left, right, score: scores[id] ?? 0 });
    }
  }
  merges.sort((a, b) => b.score - a.score || a.left - b.left || a.right - b.right);
  return merges.map(({ left, right }) => [tokens[left] ?? "", tokens[right] ?? ""]);
}

/** Returns the post-processor that puts special tokens around a text. */
function wrapText(fields: GgufFields, { tokens }: Vocabulary, addsBos: boolean): object | null {
  const pick = (flag: string, byDefault: boolean, id: string): { token: string; id: number } | undefined => {
    const index = (fields.flag(key(flag)) ?? byDefault) ? fields.number(key(id)) : undefined;
    const token = index === undefined ? undefined : tokens[index];
    return index === undefined || token === undefined ? undefined : { token, id: index };
  };
  const bos = pick("add_bos_token", addsBos, "bos_token_id");
  const eos = pick("add_eos_token", false, "eos_token_id");
  const around = [bos, eos].filter((token) => token !== undefined);
  if (around.length === 0) return null;
  const part = (token: typeof bos) =>
    token === undefined ? [] : [{ SpecialToken: { id: token.token, type_id: 0 } }];
  return {
    type: "TemplateProcessing",
    single: [...part(bos), { Sequence: { id: "A", type_id: 0 } }, ...part(eos)],
    pair: [],
    special_tokens: Object.fromEntries(
      around.map(({ token, id }) => [token, { id: token, ids: [id], tokens: [token] }]),
    ),
  };
}

function describeBytePairs(fields: GgufFields, vocabulary: Vocabulary): object {
  const name = fields.text(key("pre")) ?? "default";
  const pre = findPreTokenizer(name);
  if (pre === undefined) {
    throw new UnsupportedError({
      where: `${fields.where}: ${key("pre")}`,
      what: "this version does not know the pre-tokenizer",
      got: name,
      expected: preTokenizerNames.join(", "),
      remedy: "Use the model's safetensors, which bring their tokenizer.json.",
    });
  }
  const merges = fields.texts(key("merges")) ?? [];
  return {
    normalizer: null,
    pre_tokenizer: preTokenizerComponent(pre),
    post_processor: wrapText(fields, vocabulary, pre.addsBos),
    decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
    model: { ...describeModel(vocabulary, merges), ignore_merges: pre.ignoreMerges },
  };
}

function describePieces(fields: GgufFields, vocabulary: Vocabulary): object {
  const unknown = vocabulary.tokens[fields.number(key("unknown_token_id")) ?? 0] ?? null;
  const hasPrefix = fields.flag(key("add_space_prefix")) ?? true;
  const replace = { type: "Replace", pattern: { String: " " }, content: "▁" };
  const strip = { type: "Strip", content: " ", start: 1, stop: 0 };
  return {
    normalizer: hasPrefix
      ? { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "▁" }, replace] }
      : replace,
    pre_tokenizer: null,
    post_processor: wrapText(fields, vocabulary, true),
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(hasPrefix ? [strip] : []),
      ],
    },
    model: {
      ...describeModel(vocabulary, deriveMerges(fields, vocabulary)),
      unk_token: unknown,
      fuse_unk: true,
      byte_fallback: true,
    },
  };
}

function describeModel({ tokens }: Vocabulary, merges: readonly (string | [string, string])[]): object {
  // Without a prototype any token is a name like another, and the loop is far quicker than Object.fromEntries.
  const vocab: Record<string, number> = Object.create(null);
  for (let id = 0; id < tokens.length; id++) vocab[tokens[id] ?? ""] = id;
  const unset = { dropout: null, continuing_subword_prefix: null, end_of_word_suffix: null };
  const model = { unk_token: null, fuse_unk: false, byte_fallback: false };
  return { type: "BPE", ...unset, ...model, vocab, merges };
}

const models: Readonly<Record<string, (fields: GgufFields, vocabulary: Vocabulary) => object>> = {
  gpt2: describeBytePairs,
  llama: describePieces,
};

/** Names of special tokens in a configuration, by their names in the metadata. */
const specialNames = {
  bos: "bos_token",
  eos: "eos_token",
  unknown: "unk_token",
  padding: "pad_token",
} as const;

function describeConfig(fields: GgufFields, { tokens }: Vocabulary): object {
  const named = Object.entries(specialNames).flatMap(([name, field]) => {
    const token = tokens[fields.number(key(`${name}_token_id`)) ?? -1];
    return token === undefined || token === "" ? [] : [[field, token] as const];
  });
  const template = fields.text("tokenizer.chat_template");
  return { ...Object.fromEntries(named), ...(template !== undefined && { chat_template: template }) };
}

const wholeKey = "tokenizer.huggingface.json";

/** Returns the `tokenizer.json` that the file brings; undefined when it has none. */
function readWhole(fields: GgufFields): unknown {
  const source = fields.text(wholeKey);
  if (source === undefined) return undefined;
  try {
    return JSON.parse(source);
  } catch (cause) {
    throw new InvalidModelError({
      where: `${fields.where}: ${wholeKey}`,
      what: "the tokenizer is not JSON",
      got: source.slice(0, 40),
      expected: "the content of tokenizer.json",
      cause,
    });
  }
}

/** Is what the files of a tokenizer hold. */
export interface GgufTokenizerFiles {
  /** The content of `tokenizer.json`. */
  readonly tokenizerJson: unknown;
  /** The content of `tokenizer_config.json`. */
  readonly tokenizerConfig: object;
}

/**
 * Reads what the files of the tokenizer would hold that a GGUF file's metadata describes; undefined when it has none,
 * so that token ids still work.
 * @throws {@link UnsupportedError} naming a tokenizer model or pre-tokenizer that is not known;
 * {@link InvalidModelError} naming a field that is missing or damaged.
 */
export function readGgufTokenizerFiles(fields: GgufFields): GgufTokenizerFiles | undefined {
  const name = fields.text(key("model"));
  if (name === undefined || name === "none" || name === "no_vocab") return undefined;
  const whole = readWhole(fields);
  if (whole !== undefined)
    return { tokenizerJson: whole, tokenizerConfig: describeConfig(fields, readVocabulary(fields)) };
  const describe = Object.hasOwn(models, name) ? models[name] : undefined;
  if (describe === undefined) {
    throw new UnsupportedError({
      where: `${fields.where}: ${key("model")}`,
      what: "this version does not know the tokenizer model",
      got: name,
      expected: Object.keys(models).join(", "),
      remedy: "Use the model's safetensors, which bring their tokenizer.json.",
    });
  }
  const vocabulary = readVocabulary(fields);
  return {
    tokenizerJson: { ...describe(fields, vocabulary), added_tokens: listAddedTokens(vocabulary) },
    tokenizerConfig: describeConfig(fields, vocabulary),
  };
}

/**
 * Creates the tokenizer that a GGUF file's metadata describes; undefined when the file has none.
 * @throws as {@link readGgufTokenizerFiles} does.
 */
export function createGgufTokenizer(fields: GgufFields): Tokenizer | undefined {
  const files = readGgufTokenizerFiles(fields);
  return files && createTokenizer({ ...files, folderName: fields.where });
}

/** Lists the tokens that end an answer, as the metadata names them. */
export function ggufEosTokenIds(fields: GgufFields): number[] {
  const ids = ["eos", "eot", "eom"].map((name) => fields.number(key(`${name}_token_id`)));
  return ids.filter((id) => id !== undefined);
}
