/**
 * Writes a byte-level BPE tokenizer as the metadata of a GGUF file: the other side of gguf-tokenizer.ts.
 *
 * Engines that read `tokenizer.json` find it whole under `tokenizer.huggingface.json`, a key of the format's own.
 * llama.cpp knows ways of splitting words by name only: it gets the name whose way makes of sample texts what the
 * tokenizer makes of them, or the nearest one where none does.
 */

import { z } from "zod";
import { UnsupportedError } from "../errors.ts";
import type { WrittenGgufField, WrittenGgufFields } from "../files/gguf-writer.ts";
import { findPreTokenizer, preTokenizerComponent, preTokenizerNames } from "./gguf-pre-tokenizers.ts";
import { createTokenizer, type TokenizerParts } from "./tokenizer.ts";

/** Is a tokenizer as metadata. */
export interface GgufTokenizer {
  /** One more than the tokenizer's highest id. */
  readonly tokenCount: number;
  readonly fields: WrittenGgufFields;
  /** llama.cpp's name of a way to split words. */
  readonly preTokenizer: string;
  /** The sample texts that llama.cpp would split otherwise. */
  readonly differences: readonly string[];
}

/** What ways of splitting differ in: contractions, digits, spaces, marks, punctuation, line breaks, scripts. */
const samples: readonly string[] = [
  "It is what we've said, isn't it? I'm sure they'll say he'd go; she's gone.",
  "'Tis the season, and IT'S late: WE'LL go, YOU'RE late.",
  "In 1893 there were 7 of 12, then 104 and 98765 (3.14 of them).",
  "code 07-41-93, no.5 at 8:30",
  "two  spaces,   three, and\ttabs \t mixed",
  "a line\nanother\n\nparagraph\n\n\n  indented\r\nend \n",
  "naïve cafe\u0301 and Zoe\u0308, 東京タワー, привет мир, हिन्दी",
  "(“quoted”), —dashed—... [brackets]/{braces} $5 + 6 = 11 <tag>",
  "camelCase HTMLPage iPhone X2 v10.3rc1 snake_case __init__",
  "😀 emoji👍🏽, ½ and ²",
];

/** Numbers the types of tokens, as ggml does. */
const tokenTypes = { normal: 1, control: 3, userDefined: 4, unused: 5 } as const;

const jsonSchema = z.looseObject({
  added_tokens: z
    .array(z.looseObject({ id: z.number(), content: z.string(), special: z.boolean().default(false) }))
    .nullish(),
  normalizer: z.unknown(),
  decoder: z.looseObject({ type: z.string() }).nullish(),
  model: z.looseObject({
    type: z.string().optional(),
    vocab: z.record(z.string(), z.number()),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
    byte_fallback: z.boolean().nullish(),
  }),
});

type TokenizerJson = z.infer<typeof jsonSchema>;

function readJson({ tokenizerJson, folderName = "the tokenizer" }: TokenizerParts): TokenizerJson {
  const parsed = jsonSchema.safeParse(tokenizerJson);
  const json = parsed.data;
  const isByteLevel =
    json?.decoder?.type === "ByteLevel" && (json.normalizer ?? null) === null && !json.model.byte_fallback;
  if (json !== undefined && isByteLevel) return json;
  throw new UnsupportedError({
    where: `${folderName}/tokenizer.json`,
    what: "only byte-level BPE tokenizers are written into GGUF",
    got: json?.decoder?.type ?? "another kind",
    expected: "a BPE with the decoder ByteLevel and without a normalizer",
    remedy: "Convert the model with llama.cpp's convert_hf_to_gguf.py.",
    cause: parsed.error,
  });
}

/** Makes of each sample what the tokenizer does. */
function encodeSamples(parts: TokenizerParts): string[] {
  const tokenizer = createTokenizer(parts);
  return samples.map((text) => tokenizer.encode(text, { continuation: true }).join(" "));
}

/** Finds the name that fits best, and where it does not. */
function choosePreTokenizer(
  parts: TokenizerParts,
  { model }: TokenizerJson,
): Pick<GgufTokenizer, "preTokenizer" | "differences"> {
  const wanted = encodeSamples(parts);
  const tried = new Set<unknown>();
  let best = { preTokenizer: "gpt-2", differences: samples };
  for (const name of ["gpt-2", ...preTokenizerNames]) {
    const pre = findPreTokenizer(name);
    if (pre === undefined || tried.has(pre)) continue;
    tried.add(pre);
    const tokenizerJson = {
      ...Object(parts.tokenizerJson),
      pre_tokenizer: preTokenizerComponent(pre),
      model: { ...model, ignore_merges: pre.ignoreMerges },
    };
    const made = encodeSamples({ ...parts, tokenizerJson });
    const differences = samples.filter((_, index) => made[index] !== wanted[index]);
    if (differences.length < best.differences.length) best = { preTokenizer: name, differences };
  }
  return best;
}

function listTokens(
  { model, added_tokens: added }: TokenizerJson,
  size: number,
): { readonly token: string; readonly type: number }[] {
  const tokens = Array.from({ length: size }, (_, id) => ({
    token: `[PAD${id}]`,
    type: tokenTypes.unused as number,
  }));
  for (const [token, id] of Object.entries(model.vocab)) tokens[id] = { token, type: tokenTypes.normal };
  for (const { id, content: token, special } of added ?? [])
    tokens[id] = { token, type: special ? tokenTypes.control : tokenTypes.userDefined };
  return tokens;
}

const text = (value: string): WrittenGgufField => ({ type: "string", value });
const flag = (value: boolean): WrittenGgufField => ({ type: "bool", value });

/** The names of special tokens in the metadata, by their names in a configuration. */
const specialNames: Readonly<Record<string, string>> = {
  bos_token: "bos",
  eos_token: "eos",
  unk_token: "unknown",
  pad_token: "padding",
};

/**
 * Describes a tokenizer.
 * @param vocabularySize - rows of the embedding; the vocabulary is filled up to it with unused tokens.
 * @throws {@link UnsupportedError} when it is no byte-level BPE; as {@link createTokenizer} does.
 */
export function describeGgufTokenizer(parts: TokenizerParts, vocabularySize: number): GgufTokenizer {
  const json = readJson(parts);
  const tokenizer = createTokenizer(parts);
  const choice = choosePreTokenizer(parts, json);
  const tokens = listTokens(json, vocabularySize);
  const ids = Object.entries(specialNames).flatMap(([name, key]) => {
    const token = tokenizer.specialTokens[name];
    const id = token === undefined ? undefined : tokenizer.tokenToId(token);
    return id === undefined
      ? []
      : [[`tokenizer.ggml.${key}_token_id`, { type: "uint32", value: id }] as const];
  });
  const { chatTemplate, bosTokenId, eosTokenId } = tokenizer;
  const around = tokenizer.encode("");
  const addsBos = around.length > 0 && around[0] === bosTokenId;
  const addsEos = around.length > (addsBos ? 1 : 0) && around.at(-1) === eosTokenId;
  return {
    ...choice,
    tokenCount: tokenizer.vocabSize,
    fields: {
      "tokenizer.ggml.model": text("gpt2"),
      "tokenizer.ggml.pre": text(choice.preTokenizer),
      "tokenizer.ggml.tokens": { type: "strings", value: tokens.map(({ token }) => token) },
      "tokenizer.ggml.token_type": { type: "int32s", value: tokens.map(({ type }) => type) },
      "tokenizer.ggml.merges": {
        type: "strings",
        value: json.model.merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" "))),
      },
      ...Object.fromEntries(ids),
      "tokenizer.ggml.add_bos_token": flag(addsBos),
      "tokenizer.ggml.add_eos_token": flag(addsEos),
      ...(chatTemplate !== undefined && { "tokenizer.chat_template": text(chatTemplate) }),
      "tokenizer.huggingface.json": text(JSON.stringify(parts.tokenizerJson)),
    },
  };
}
