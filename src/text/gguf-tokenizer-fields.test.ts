import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { collectBytes } from "../files/byte-source.ts";
import { parseGgufHeader } from "../files/gguf.ts";
import { GgufFields } from "../files/gguf-fields.ts";
import { streamGguf, type WrittenGgufFields } from "../files/gguf-writer.ts";
import { trainByteLevelBpe } from "./bpe-trainer.ts";
import { createGgufTokenizer } from "./gguf-tokenizer.ts";
import { describeGgufTokenizer } from "./gguf-tokenizer-fields.ts";
import { tinyByteLevelJson, tinySentencePieceJson } from "./tiny-tokenizers.ts";
import { createTokenizer, type Tokenizer, type TokenizerParts } from "./tokenizer.ts";
import type { DigitsPerToken } from "./word-pattern.ts";

const corpus = [
  "It is 1893, and 'Tis late; IT'S 104 steps to the mill, isn't it? She said they'd go.",
  "The 98 765 lamps of the harbour were lit; the keeper counted 12, then 12 more: 24 in all, he'd say.",
  "we've seen the mill; the mill's wheel turned 7 times -- cafe\u0301, na\u00efve.\n\nThe end of the mill.",
].join(" ");

async function train(digitsPerToken: DigitsPerToken): Promise<TokenizerParts> {
  const texts = [corpus, corpus];
  const { tokenizerJson, tokenizerConfig } = await trainByteLevelBpe(texts, {
    vocabularySize: 420,
    digitsPerToken,
  });
  return { tokenizerJson, tokenizerConfig };
}

async function readBack(fields: WrittenGgufFields): Promise<Tokenizer> {
  const { metadata } = await parseGgufHeader(await collectBytes("m.gguf", streamGguf(fields, [])));
  const tokenizer = createGgufTokenizer(new GgufFields("m.gguf", metadata));
  if (tokenizer === undefined) throw new Error("no tokenizer");
  return tokenizer;
}

const pieces = [
  "'Tis",
  "IT'S",
  "isn't",
  " they'd",
  "the mill",
  " 12345",
  "7",
  "  ",
  "\n\n",
  "\t",
  "e\u0301",
  "é",
];
const texts = fc
  .array(
    fc.oneof(
      fc.constantFrom(...pieces, "<|endoftext|>", "<|user|>", "和", "😀", ".", ",1", "x2"),
      fc.string({ unit: "grapheme", maxLength: 5 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(""));

describe.each([1, 2, 3] as const)("a trained tokenizer with %i digits a token, in GGUF", (digits) => {
  let parts: TokenizerParts;
  beforeAll(async () => {
    parts = await train(digits);
  });

  it("is read back to the same ids, text, special tokens and template", async () => {
    const original = createTokenizer(parts);
    const copy = await readBack(describeGgufTokenizer(parts, 420).fields);
    fc.assert(
      fc.property(texts, fc.boolean(), (text, continuation) => {
        const ids = original.encode(text, { continuation });
        expect(copy.encode(text, { continuation })).toEqual(ids);
        expect(copy.decode(ids)).toBe(original.decode(ids));
      }),
      { numRuns: 200 },
    );
    expect(copy.specialTokens).toEqual(original.specialTokens);
    expect(copy.chatTemplate).toBe(original.chatTemplate);
    expect([copy.vocabSize, copy.bosTokenId, copy.eosTokenId]).toEqual([
      original.vocabSize,
      original.bosTokenId,
      original.eosTokenId,
    ]);
    for (let id = 0; id < original.vocabSize; id++) expect(copy.isSpecial(id)).toBe(original.isSpecial(id));
  });
});

describe("what llama.cpp reads of a trained tokenizer with single digits", () => {
  it("is the same but for contractions in capitals and marks of their own", async () => {
    const parts = await train(1);
    const { fields, preTokenizer, differences } = describeGgufTokenizer(parts, 420);
    expect(preTokenizer).toBe("gpt-2");
    expect(differences.length).toBeGreaterThan(0);
    for (const text of differences) expect(text).toMatch(/'[A-Z]|\p{M}/u);
    const { "tokenizer.huggingface.json": _, ...named } = fields;
    const original = createTokenizer(parts);
    const copy = await readBack(named);
    const plain = texts.map((text) => text.replaceAll(/\p{M}/gu, "").replaceAll(/'(?=[A-Z])/g, ""));
    fc.assert(
      fc.property(plain, (text) => {
        const ids = original.encode(text, { continuation: true });
        expect(copy.encode(text, { continuation: true })).toEqual(ids);
      }),
      { numRuns: 300 },
    );
  });
});

describe("describeGgufTokenizer", () => {
  it("finds the name of a way of splitting that llama.cpp has", () => {
    const tokenizerConfig = { bos_token: "<|begin|>", eos_token: "<|end|>" };
    const gpt2 = describeGgufTokenizer({ tokenizerJson: tinyByteLevelJson("gpt2"), tokenizerConfig }, 300);
    expect([gpt2.preTokenizer, gpt2.differences]).toEqual(["gpt-2", []]);
    const llama3 = describeGgufTokenizer(
      { tokenizerJson: tinyByteLevelJson("llama3"), tokenizerConfig },
      300,
    );
    expect(llama3.differences).toEqual([]);
    expect(["dbrx", "llama-bpe"]).toContain(llama3.preTokenizer);
  });

  it("fills the vocabulary up to the rows of the embedding", async () => {
    const parts = await train(1);
    const { fields, tokenCount } = describeGgufTokenizer(parts, 500);
    const tokens = fields["tokenizer.ggml.tokens"];
    expect(tokens?.type === "strings" && tokens.value.length).toBe(500);
    expect(tokens?.type === "strings" && tokens.value[tokenCount]).toBe(`[PAD${tokenCount}]`);
  });

  it("refuses other kinds of tokenizers", () => {
    expect(() => describeGgufTokenizer({ tokenizerJson: tinySentencePieceJson() }, 300)).toThrow(
      /only byte-level BPE.*convert_hf_to_gguf/,
    );
    expect(() => describeGgufTokenizer({ tokenizerJson: {}, folderName: "m" }, 300)).toThrow(
      /^m\/tokenizer\.json/,
    );
  });
});
