import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidRequestError } from "../errors.ts";
import { createIncrementalDecoder } from "./incremental-decoder.ts";
import { tinyByteLevelJson, tinySentencePieceJson } from "./tiny-tokenizers.ts";
import { createTokenizer, type Tokenizer } from "./tokenizer.ts";

const tokenizers = {
  "byte-level": createTokenizer({ tokenizerJson: tinyByteLevelJson() }),
  "SentencePiece, Prepend": createTokenizer({ tokenizerJson: tinySentencePieceJson("prepend") }),
  "SentencePiece, Metaspace": createTokenizer({ tokenizerJson: tinySentencePieceJson("metaspace") }),
};
const named = Object.entries(tokenizers);
const byteLevel = tokenizers["byte-level"];
const sentencePiece = tokenizers["SentencePiece, Prepend"];

/** Is one byte of text as a token, in both kinds of vocabulary. */
function byteId(tokenizer: Tokenizer, byte: number): number {
  const name = `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
  const id = tokenizer.tokenToId(name);
  if (id !== undefined) return id;
  // Byte-level: the 256 byte tokens follow the two special tokens in order.
  return byte + 2;
}

function decodeStream(
  tokenizer: Tokenizer,
  context: readonly number[],
  ids: readonly number[],
  skipSpecialTokens = true,
) {
  const decoder = createIncrementalDecoder(tokenizer, context, { skipSpecialTokens });
  const pieces = ids.map((id) => decoder.push(id));
  return { pieces, flushed: decoder.flush() };
}

/** Is the definition: the text of everything without the text of the context. */
function decodeRest(
  tokenizer: Tokenizer,
  context: readonly number[],
  ids: readonly number[],
  skipSpecialTokens: boolean,
): string {
  const before = tokenizer.decode(context, { skipSpecialTokens });
  const all = tokenizer.decode([...context, ...ids], { skipSpecialTokens });
  if (all.startsWith(before)) return all.slice(before.length);
  // The context ended within a character that the ids complete.
  expect(before.endsWith("\ufffd")).toBe(true);
  return all.slice(before.length - 1);
}

const textArbitrary = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        " ",
        "  ",
        "the",
        " the",
        "abc",
        "😀",
        "👩‍👩‍👧",
        "🇫🇷",
        "和",
        "漢字",
        "e\u0301",
        "\u0301",
        "\n",
        "\ufffd",
        "\u0000",
        "ﷺ",
      ),
      fc.string({ unit: "grapheme", maxLength: 3 }),
    ),
    { maxLength: 25 },
  )
  .map((parts) => parts.join(""));

describe.each(named)("createIncrementalDecoder with %s", (_, tokenizer) => {
  const wildIds = fc.array(
    fc.oneof(
      fc.integer({ min: 0, max: tokenizer.vocabSize + 2 }),
      // Beginnings and continuations of UTF-8 sequences, the byte order mark among them.
      fc
        .constantFrom(0xf0, 0x9f, 0x98, 0x80, 0xe5, 0x92, 0xc3, 0xa9, 0xef, 0xbb, 0xbf)
        .map((byte) => byteId(tokenizer, byte)),
    ),
    { maxLength: 60 },
  );

  it("gives the text of all ids without that of the context, for any ids", () => {
    fc.assert(
      fc.property(wildIds, fc.nat(), fc.boolean(), (all, cut, skipSpecialTokens) => {
        const border = cut % (all.length + 1);
        const [context, ids] = [all.slice(0, border), all.slice(border)];
        const { pieces, flushed } = decodeStream(tokenizer, context, ids, skipSpecialTokens);
        expect(pieces.join("") + flushed).toBe(decodeRest(tokenizer, context, ids, skipSpecialTokens));
      }),
      { numRuns: 400 },
    );
  });

  it("gives back any text, and never half a character", () => {
    fc.assert(
      fc.property(textArbitrary, textArbitrary, (prompt, text) => {
        const context = tokenizer.encode(prompt);
        const ids = tokenizer.encode(text, { continuation: true });
        const { pieces, flushed } = decodeStream(tokenizer, context, ids);
        expect(pieces.join("") + flushed).toBe(decodeRest(tokenizer, context, ids, true));
        const emitted = pieces.join("\u0001");
        expect(/[\ud800-\udfff]/u.test(emitted)).toBe(false);
        // U+FFFD comes out only where the text itself holds it.
        const replacements = (value: string) => value.split("\ufffd").length - 1;
        expect(replacements(emitted) + replacements(flushed)).toBe(replacements(text));
      }),
      { numRuns: 200 },
    );
  });

  it("decodes a bounded number of ids per id, even in an endless run of invalid bytes", () => {
    let longest = 0;
    const counting: Tokenizer = {
      ...tokenizer,
      decode(ids, options) {
        longest = Math.max(longest, ids.length);
        return tokenizer.decode(ids, options);
      },
    };
    const context = new Array<number>(500).fill(byteId(tokenizer, 0x80));
    const { pieces, flushed } = decodeStream(counting, context, context);
    expect(pieces.join("") + flushed).toBe("\ufffd".repeat(500));
    expect(longest).toBeLessThanOrEqual(16);
  });
});

describe("createIncrementalDecoder", () => {
  it("emits a character with its last byte", () => {
    const ids = [...new TextEncoder().encode("a😀b")].map((byte) => byteId(byteLevel, byte));
    expect(decodeStream(byteLevel, [], ids).pieces).toEqual(["a", "", "", "", "😀", "b"]);
    const pieces = [...new TextEncoder().encode("😀")].map((byte) => byteId(sentencePiece, byte));
    expect(decodeStream(sentencePiece, [], pieces)).toEqual({ pieces: ["", "", "", "😀"], flushed: "" });
  });

  it("gives U+FFFD for a character that never ends, at the next token or at the end", () => {
    const start = [0xf0, 0x9f].map((byte) => byteId(byteLevel, byte));
    expect(decodeStream(byteLevel, [], start)).toEqual({ pieces: ["", ""], flushed: "\ufffd" });
    expect(decodeStream(byteLevel, [], [...start, byteId(byteLevel, 0x61)]).pieces).toEqual([
      "",
      "",
      "\ufffda",
    ]);
  });

  it("completes a character that the context began", () => {
    const [first = 0, ...rest] = [...new TextEncoder().encode("和!")].map((byte) => byteId(byteLevel, byte));
    expect(decodeStream(byteLevel, [first], rest).pieces).toEqual(["", "和", "!"]);
  });

  it("keeps the space between prompt and continuation, and drops the one that begins a text", () => {
    const ids = sentencePiece.encode(" the", { continuation: true });
    expect(decodeStream(sentencePiece, sentencePiece.encode("ab"), ids).pieces).toEqual([" the"]);
    expect(decodeStream(sentencePiece, sentencePiece.encode(""), ids).pieces).toEqual(["the"]);
  });

  it("leaves special tokens out unless told otherwise", () => {
    const ids = byteLevel.encode("ab<|end|>", { addSpecialTokens: false });
    expect(decodeStream(byteLevel, [], ids).pieces).toEqual(["ab", ""]);
    expect(decodeStream(byteLevel, [], ids, false).pieces).toEqual(["ab", "<|end|>"]);
  });

  it("gives nothing twice when flushed twice", () => {
    const decoder = createIncrementalDecoder(byteLevel);
    decoder.push(byteId(byteLevel, 0xf0));
    expect([decoder.flush(), decoder.flush()]).toEqual(["\ufffd", ""]);
  });

  it("refuses what is not a token id", () => {
    expect(() => createIncrementalDecoder(byteLevel).push(-1)).toThrow(InvalidRequestError);
  });
});
