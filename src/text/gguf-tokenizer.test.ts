import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { describeTokenizer, type TokenizerSource } from "../../test/support/gguf/gguf-tokenizer-fields.ts";
import { type GgufField, writeGguf } from "../../test/support/gguf/gguf-writer.ts";
import { memoryByteSource } from "../files/byte-source.ts";
import { parseGgufHeader } from "../files/gguf.ts";
import { GgufFields } from "../files/gguf-fields.ts";
import { createGgufTokenizer, ggufEosTokenIds } from "./gguf-tokenizer.ts";
import { type TinyTokenizerJson, tinyByteLevelJson, tinySentencePieceJson } from "./tiny-tokenizers.ts";
import { createTokenizer } from "./tokenizer.ts";

type Changes = Readonly<Record<string, GgufField | undefined>>;

async function fieldsOf(source: TokenizerSource, changes: Changes = {}): Promise<GgufFields> {
  const all = Object.entries({ ...describeTokenizer(source), ...changes });
  const fields = Object.fromEntries(
    all.flatMap(([key, field]) => (field === undefined ? [] : [[key, field]])),
  );
  const { metadata } = await parseGgufHeader(memoryByteSource("m.gguf", writeGguf(fields, [])));
  return new GgufFields("m.gguf", metadata);
}

async function readBack(source: TokenizerSource, changes: Changes = {}) {
  const tokenizer = createGgufTokenizer(await fieldsOf(source, changes));
  if (tokenizer === undefined) throw new Error("no tokenizer");
  return tokenizer;
}

const byteConfig = { bos_token: "<|begin|>", eos_token: "<|end|>", chat_template: "{{ messages }}" };
const pieceConfig = { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" };

/** Adds, beside every merge, the other ways to cut its token into two: a SentencePiece vocabulary allows them all. */
function withEveryCut(json: TinyTokenizerJson): TinyTokenizerJson {
  const { vocab } = json.model;
  const merges = "merges" in json.model && Array.isArray(json.model.merges) ? json.model.merges : [];
  const every = merges.flatMap((merge: string) => {
    const token = merge.replace(" ", "");
    const cuts = Array.from({ length: token.length - 1 }, (_, at) => [
      token.slice(0, at + 1),
      token.slice(at + 1),
    ]);
    const known = cuts.filter((cut) => cut.every((part) => part in vocab));
    return known
      .toSorted(([a = ""], [b = ""]) => (vocab[a] ?? 0) - (vocab[b] ?? 0))
      .map((cut) => cut.join(" "));
  });
  return { ...json, model: { ...json.model, merges: [...new Set(every)] } as TinyTokenizerJson["model"] };
}

const sources: readonly (readonly [string, TokenizerSource])[] = [
  ["byte-level BPE", { tokenizerJson: tinyByteLevelJson("gpt2"), tokenizerConfig: byteConfig, pre: "gpt-2" }],
  ["Llama 3's way", { tokenizerJson: tinyByteLevelJson("llama3"), tokenizerConfig: byteConfig, pre: "dbrx" }],
  ["SentencePiece", { tokenizerJson: withEveryCut(tinySentencePieceJson()), tokenizerConfig: pieceConfig }],
];

/** What tokenizers differ on: spaces, digits, contractions, scripts, bytes, special tokens. */
const texts = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "the",
        " the",
        "abc",
        " ab",
        "'s",
        "12345",
        "\n",
        "\n\n",
        "  ",
        "\t",
        "é",
        "和",
        "😀",
        ".",
      ),
      fc.constantFrom("<|end|>", "</s>", "<|begin|>", "THE", "he", "x", "y1", ",1", "‍", "٣"),
      fc.string({ unit: "grapheme", maxLength: 4 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(""));

describe.each(sources)("a tokenizer written into GGUF and read back (%s)", (_, source) => {
  it("gives the same ids and the same text", async () => {
    const original = createTokenizer(source);
    const copy = await readBack(source);
    fc.assert(
      fc.property(texts, fc.boolean(), (text, continuation) => {
        const ids = original.encode(text, { continuation });
        expect(copy.encode(text, { continuation })).toEqual(ids);
        expect(copy.decode(ids)).toBe(original.decode(ids));
      }),
      { numRuns: 300 },
    );
  });

  it("keeps special tokens and the chat template", async () => {
    const original = createTokenizer(source);
    const copy = await readBack(source);
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

describe("createGgufTokenizer", () => {
  const [[, bytes], , [, pieces]] = sources as [
    (typeof sources)[0],
    (typeof sources)[0],
    (typeof sources)[0],
  ];
  const text = (value: string): GgufField => ({ type: "string", value });
  const flag = (value: boolean): GgufField => ({ type: "bool", value });

  it("puts the beginning-of-text token first as the file says, else as the model's kind does", async () => {
    const key = "tokenizer.ggml.add_bos_token";
    const first = async (source: TokenizerSource, changes: Changes) =>
      (await readBack(source, changes)).encode("the").length;
    expect(await first(bytes, { [key]: flag(false) })).toBe(1);
    expect(await first(bytes, { [key]: undefined })).toBe(1);
    expect(await first(bytes, { [key]: undefined, "tokenizer.ggml.pre": text("llama-bpe") })).toBe(2);
    expect(await first(pieces, { [key]: flag(false) })).toBe(1);
    expect(await first(pieces, { [key]: undefined })).toBe(2);
  });

  it("inserts no space where the file says so", async () => {
    const tokenizer = await readBack(pieces, { "tokenizer.ggml.add_space_prefix": flag(false) });
    const ids = tokenizer.encode("the", { addSpecialTokens: false });
    expect(ids.map((id) => tokenizer.idToToken(id))).toEqual(["t", "he"]);
    expect(tokenizer.decode(tokenizer.encode(" the"))).toContain(" the");
  });

  it("takes a word that is a token whole, where the pre-tokenizer's models do", async () => {
    const json = tinyByteLevelJson("llama3");
    const model = { ...json.model, vocab: { ...json.model.vocab, abz: 290 } };
    const source = { tokenizerJson: { ...json, model }, tokenizerConfig: byteConfig, vocabularySize: 291 };
    const encode = async (pre: string) =>
      (await readBack({ ...source, pre })).encode("abz", { addSpecialTokens: false });
    expect(await encode("llama-bpe")).toEqual([290]);
    expect(await encode("dbrx")).toHaveLength(2);
  });

  it("splits digits as the pre-tokenizer's name says", async () => {
    const words = async (pre: string) => {
      const tokenizer = await readBack({ ...bytes, pre });
      return tokenizer.encode("123", { addSpecialTokens: false }).map((id) => tokenizer.idToToken(id));
    };
    // The vocabulary has 12 and 123.
    expect(await words("gpt-2")).toEqual(["123"]);
    expect(await words("smollm")).toEqual(["1", "2", "3"]);
    expect(await words("qwen2")).toEqual(["1", "2", "3"]);
    expect(await words("llama-bpe")).toEqual(["123"]);
  });

  it("pads the vocabulary with tokens that no text gives", async () => {
    const tokenizer = await readBack({ ...bytes, vocabularySize: 300 });
    expect(tokenizer.vocabSize).toBe(300);
    expect(tokenizer.idToToken(299)).toBe("[PAD299]");
    expect(tokenizer.encode("[PAD299]", { addSpecialTokens: false }).length).toBeGreaterThan(1);
  });

  it("is undefined where a file has no tokenizer", async () => {
    for (const value of ["none", "no_vocab"]) {
      expect(
        createGgufTokenizer(await fieldsOf(bytes, { "tokenizer.ggml.model": text(value) })),
      ).toBeUndefined();
    }
  });

  it.each([
    ["tokenizer.ggml.model", "bert", /does not know the tokenizer model, got "bert", expected gpt2, llama/],
    [
      "tokenizer.ggml.pre",
      "martian",
      /does not know the pre-tokenizer, got "martian", expected default, gpt-2/,
    ],
  ])("refuses an unknown %s by its name", async (key, value, message) => {
    const fields = await fieldsOf(bytes, { [key]: text(value) });
    expect(() => createGgufTokenizer(fields)).toThrow(expect.objectContaining({ code: "unsupported" }));
    expect(() => createGgufTokenizer(fields)).toThrow(message);
  });

  it.each([
    ["no tokens", { "tokenizer.ggml.tokens": undefined }, /vocabulary is missing/],
    ["tokens that are no texts", { "tokenizer.ggml.tokens": text("x") }, /another kind, got "x"/],
    [
      "types of another length",
      { "tokenizer.ggml.token_type": { type: "array", of: "int32", value: [1] } as const },
      /another length than its types/,
    ],
  ])("refuses a file with %s", async (_, changes, message) => {
    const fields = await fieldsOf(bytes, changes);
    expect(() => createGgufTokenizer(fields)).toThrow(message);
  });

  it("refuses pieces without scores", async () => {
    const fields = await fieldsOf(pieces, { "tokenizer.ggml.scores": undefined });
    expect(() => createGgufTokenizer(fields)).toThrow(/no scores/);
  });

  it("lists every token that ends an answer", async () => {
    const changes = { "tokenizer.ggml.eot_token_id": { type: "uint32", value: 7 } as const };
    expect(ggufEosTokenIds(await fieldsOf(bytes, changes))).toEqual([1, 7]);
  });
});
