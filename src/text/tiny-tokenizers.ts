/**
 * Builds tiny tokenizers as `tokenizer.json` objects, for tests: the real formats with few merges.
 *
 * One is a byte-level BPE (GPT-2's, or Llama 3's way of splitting words), one a SentencePiece-style BPE with
 * byte fallback (with Llama 2's `Prepend`, or the newer `Metaspace`). Refuses to know any test.
 */

import { byteAlphabet } from "./byte-level.ts";

/** Is the pattern that splits words in Llama 3 and, with single digits, in Qwen. */
const llama3Pattern =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" +
  "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

const byteLevelOptions = { add_prefix_space: false, trim_offsets: true };

const preTokenizers = {
  gpt2: { type: "ByteLevel", ...byteLevelOptions, use_regex: true },
  llama3: {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: llama3Pattern }, behavior: "Isolated", invert: false },
      { type: "ByteLevel", ...byteLevelOptions, use_regex: false },
    ],
  },
} as const;

function addedToken(id: number, content: string): object {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

function buildVocabulary(
  specials: readonly string[],
  alphabet: readonly string[],
  merges: readonly string[],
): Record<string, number> {
  const tokens = new Set([...specials, ...alphabet, ...merges.map((merge) => merge.replace(" ", ""))]);
  return Object.fromEntries([...tokens].map((token, id) => [token, id]));
}

/** Is a `tokenizer.json` with a BPE model. */
export interface TinyTokenizerJson {
  readonly model: { readonly vocab: Readonly<Record<string, number>> };
  readonly [field: string]: unknown;
}

function bpeModel(
  vocab: Record<string, number>,
  merges: readonly string[],
  options: object,
): TinyTokenizerJson["model"] {
  const unset = { dropout: null, continuing_subword_prefix: null, end_of_word_suffix: null };
  const model = { type: "BPE", ...unset, ...options, vocab, merges };
  return model;
}

const byteMerges = [
  "t h",
  "h e",
  "th e",
  "Ġ t",
  "Ġ the",
  "Ġt he",
  "Ġ a",
  "Ġa b",
  "a b",
  "ab c",
  "Ġ Ġ",
  "ĠĠ ĠĠ",
  "Ċ Ċ",
  "Ġ Ċ",
  ". Ċ",
  "' s",
  "1 2",
  "12 3",
  "å Ĵ",
  "åĴ Į",
  "ð Ł",
  "ðŁ ĺ",
  "Ã ©",
  "ï ¼",
  "ï¼ Į",
];

/** Builds a byte-level BPE with the special tokens `<|begin|>` (0) and `<|end|>` (1). */
export function tinyByteLevelJson(style: "gpt2" | "llama3" = "gpt2"): TinyTokenizerJson {
  const specials = ["<|begin|>", "<|end|>"];
  const vocab = buildVocabulary(specials, byteAlphabet(), byteMerges);
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specials.map((content, id) => addedToken(id, content)),
    normalizer: null,
    pre_tokenizer: preTokenizers[style],
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<|begin|>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [],
      special_tokens: { "<|begin|>": { id: "<|begin|>", ids: [0], tokens: ["<|begin|>"] } },
    },
    decoder: { type: "ByteLevel", ...byteLevelOptions, use_regex: true },
    model: bpeModel(vocab, byteMerges, { unk_token: null, fuse_unk: false, byte_fallback: false }),
  };
}

const pieceMerges = [
  "▁ t",
  "h e",
  "▁t he",
  "▁ a",
  "▁a b",
  "a b",
  "ab c",
  "▁ ▁",
  "▁▁ ▁▁",
  "1 2",
  "e r",
  ", 1",
  "▁ h",
  "▁h e",
];

const spaceInsertion = {
  prepend: {
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
  },
  metaspace: {
    normalizer: null,
    pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false },
  },
} as const;

/** Builds a SentencePiece-style BPE with `<unk>` (0), `<s>` (1), `</s>` (2) and byte tokens from 3. */
export function tinySentencePieceJson(style: "prepend" | "metaspace" = "prepend"): TinyTokenizerJson {
  const specials = ["<unk>", "<s>", "</s>"];
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const alphabet = [...bytes, ..."▁abcdehirstxyz0123,.'\né和"];
  const vocab = buildVocabulary(specials, alphabet, pieceMerges);
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specials.map((content, id) => addedToken(id, content)),
    ...spaceInsertion[style],
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [],
      special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
    },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: bpeModel(vocab, pieceMerges, { unk_token: "<unk>", fuse_unk: true, byte_fallback: true }),
  };
}
