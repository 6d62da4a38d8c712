import { describe, expect, it } from "vitest";
import { InvalidModelError, InvalidRequestError, UnsupportedError } from "../errors.ts";
import { tinyByteLevelJson, tinySentencePieceJson } from "./tiny-tokenizers.ts";
import { createTokenizer, type Tokenizer } from "./tokenizer.ts";

const byteLevel = createTokenizer({
  tokenizerJson: tinyByteLevelJson(),
  tokenizerConfig: { bos_token: { content: "<|begin|>" }, eos_token: "<|end|>", pad_token: null },
});
const prepending = createTokenizer({
  tokenizerJson: tinySentencePieceJson("prepend"),
  tokenizerConfig: { bos_token: "<s>", eos_token: "</s>" },
});
const metaspace = createTokenizer({ tokenizerJson: tinySentencePieceJson("metaspace") });

const tokensOf = (tokenizer: Tokenizer, ids: readonly number[]) => ids.map((id) => tokenizer.idToToken(id));

describe("Tokenizer.encode", () => {
  it("adds special tokens by default, and leaves them out on request", () => {
    expect(tokensOf(byteLevel, byteLevel.encode("the"))).toEqual(["<|begin|>", "the"]);
    expect(tokensOf(byteLevel, byteLevel.encode("the", { addSpecialTokens: false }))).toEqual(["the"]);
  });

  it.each([
    ["prepend", prepending],
    ["metaspace", metaspace],
  ])("puts a space before a text and none before its continuation (%s)", (_, tokenizer) => {
    expect(tokensOf(tokenizer, tokenizer.encode("the"))).toEqual(["<s>", "▁the"]);
    expect(tokensOf(tokenizer, tokenizer.encode("the", { continuation: true }))).toEqual(["t", "he"]);
    expect(tokensOf(tokenizer, tokenizer.encode(" the", { continuation: true }))).toEqual(["▁the"]);
  });

  it("leaves the text after a special token as the whole text has it, in a continuation too", () => {
    const whole = prepending.encode("ab</s>the", { addSpecialTokens: false });
    expect(tokensOf(prepending, whole)).toEqual(["▁ab", "</s>", "▁the"]);
    const rest = prepending.encode("</s>the", { continuation: true });
    expect(tokensOf(prepending, rest)).toEqual(["</s>", "▁the"]);
    expect(tokensOf(prepending, prepending.encode("ab</s>the", { continuation: true }))).toEqual([
      "ab",
      "</s>",
      "▁the",
    ]);
  });

  it("encodes texts as before after a continuation", () => {
    const before = metaspace.encode("the ab");
    metaspace.encode("the ab", { continuation: true });
    expect(metaspace.encode("the ab")).toEqual(before);
  });

  it("disables add_prefix_space of a byte-level pre-tokenizer in a continuation", () => {
    const json = { ...tinyByteLevelJson(), pre_tokenizer: { type: "ByteLevel", add_prefix_space: true } };
    const tokenizer = createTokenizer({ tokenizerJson: json });
    expect(tokensOf(tokenizer, tokenizer.encode("the"))).toEqual(["<|begin|>", "Ġthe"]);
    expect(tokensOf(tokenizer, tokenizer.encode("the", { continuation: true }))).toEqual(["the"]);
  });

  it("encodes an empty text as the special tokens alone, or as nothing", () => {
    for (const tokenizer of [byteLevel, prepending, metaspace]) {
      expect(tokenizer.encode("")).toHaveLength(1);
      expect(tokenizer.encode("", { addSpecialTokens: false })).toEqual([]);
      expect(tokenizer.encode("", { continuation: true })).toEqual([]);
    }
  });

  it("reads a lone surrogate as U+FFFD and keeps pairs and NUL", () => {
    for (const tokenizer of [byteLevel, prepending, metaspace]) {
      const ids = tokenizer.encode("a\0\ud800b\udc00\u{1f600}", { addSpecialTokens: false });
      expect(tokenizer.decode(ids)).toBe("a\0\ufffdb\ufffd\u{1f600}");
    }
  });

  it("keeps words that are properties of every object", () => {
    const text = "constructor __proto__ toString";
    expect(byteLevel.decode(byteLevel.encode(text), { skipSpecialTokens: true })).toBe(text);
  });
});

describe("Tokenizer.decode", () => {
  it("leaves special tokens out only on request", () => {
    const ids = byteLevel.encode("the<|end|>");
    expect(byteLevel.decode(ids)).toBe("<|begin|>the<|end|>");
    expect(byteLevel.decode(ids, { skipSpecialTokens: true })).toBe("the");
  });

  it("leaves the space before punctuation, whatever the configuration says", () => {
    const tokenizerConfig = { clean_up_tokenization_spaces: true };
    const tokenizer = createTokenizer({ tokenizerJson: tinyByteLevelJson(), tokenizerConfig });
    expect(tokenizer.decode(tokenizer.encode("a , b", { addSpecialTokens: false }))).toBe("a , b");
  });

  it("gives no text for no ids and for ids beyond the vocabulary", () => {
    expect(byteLevel.decode([])).toBe("");
    expect(prepending.decode([prepending.vocabSize, 50_000])).toBe("");
  });

  it.each([-1, 1.5, Number.NaN])("refuses %s as an id", (id) => {
    expect(() => byteLevel.decode([id])).toThrow(InvalidRequestError);
  });
});

describe("createTokenizer", () => {
  it("reads special tokens given as text or as an object", () => {
    expect(byteLevel.bosTokenId).toBe(0);
    expect(byteLevel.eosTokenId).toBe(1);
    expect(byteLevel.specialTokens).toEqual({ bos_token: "<|begin|>", eos_token: "<|end|>" });
    expect(byteLevel.isSpecial(1)).toBe(true);
    expect(byteLevel.isSpecial(2)).toBe(false);
    expect(byteLevel.tokenToId("the")).toBe(byteLevel.encode("the").at(-1));
    expect(byteLevel.vocabSize).toBe((byteLevel.tokenToId("ï¼Į") ?? 0) + 1);
  });

  it("has no ids for special tokens that are not named", () => {
    expect(metaspace.bosTokenId).toBeUndefined();
    expect(metaspace.eosTokenId).toBeUndefined();
    expect(metaspace.specialTokens).toEqual({});
  });

  it("matches a named special token that stands in the vocabulary only", () => {
    const tokenizerJson = { ...tinySentencePieceJson(), added_tokens: null };
    const tokenizer = createTokenizer({ tokenizerJson, tokenizerConfig: { eos_token: "</s>" } });
    expect(tokenizer.encode("ab</s>").at(-1)).toBe(2);
    expect(tokenizer.isSpecial(2)).toBe(true);
  });

  it("takes the chat template given, then the configuration's, then its default one", () => {
    const tokenizerJson = tinyByteLevelJson();
    const template = (tokenizerConfig: object, chatTemplate?: string) =>
      createTokenizer({ tokenizerJson, tokenizerConfig, ...(chatTemplate ? { chatTemplate } : {}) })
        .chatTemplate;
    expect(template({})).toBeUndefined();
    expect(template({ chat_template: "x" })).toBe("x");
    expect(template({ chat_template: "x" }, "y")).toBe("y");
    const named = ["tool_use", "default"].map((name) => ({ name, template: `is ${name}` }));
    expect(template({ chat_template: named })).toBe("is default");
  });

  const model = { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"] };
  it.each([
    ["no object", [], "tokenizer.json"],
    ["no model", {}, "model"],
    ["no vocabulary", { model: { type: "BPE", merges: [] } }, "model.vocab"],
    ["an empty vocabulary", { model: { ...model, vocab: {} } }, "model.vocab"],
    ["a huge id", { model: { ...model, vocab: { a: 2 ** 30 } } }, 'model.vocab["a"]'],
    ["a merge of one", { model: { ...model, merges: ["a b", "ab"] } }, "model.merges.1"],
    ["no merges", { model: { type: "BPE", vocab: { a: 0 } } }, "model.merges"],
    ["an added token without content", { model, added_tokens: [{ id: 3 }] }, "added_tokens.0.content"],
    ["a decoder without type", { model, decoder: {} }, "decoder.type"],
  ])("refuses a tokenizer.json with %s, naming the field", (_, tokenizerJson, field) => {
    const create = () => createTokenizer({ tokenizerJson, folderName: "my-model" });
    expect(create).toThrow(InvalidModelError);
    expect(create).toThrow("my-model/tokenizer.json");
    expect(create).toThrow(field);
  });

  it("refuses a broken tokenizer_config.json, naming the field", () => {
    const create = () => createTokenizer({ tokenizerJson: { model }, tokenizerConfig: { eos_token: 5 } });
    expect(create).toThrow(InvalidModelError);
    expect(create).toThrow(/tokenizer_config\.json.*eos_token/);
  });

  it("names a component that is not supported", () => {
    const create = () => createTokenizer({ tokenizerJson: { model, decoder: { type: "Rot13" } } });
    expect(create).toThrow(UnsupportedError);
    expect(create).toThrow(/Rot13/);
  });
});
