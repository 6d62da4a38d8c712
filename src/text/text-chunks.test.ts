import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidRequestError } from "../errors.ts";
import { encodeChunks, splitForEncoding } from "./text-chunks.ts";
import { tinyByteLevelJson, tinySentencePieceJson } from "./tiny-tokenizers.ts";
import { createTokenizer } from "./tokenizer.ts";

const tokenizers = {
  "GPT-2": createTokenizer({ tokenizerJson: tinyByteLevelJson("gpt2") }),
  "Llama 3": createTokenizer({ tokenizerJson: tinyByteLevelJson("llama3") }),
  "SentencePiece, Prepend": createTokenizer({ tokenizerJson: tinySentencePieceJson("prepend") }),
  "SentencePiece, Metaspace": createTokenizer({ tokenizerJson: tinySentencePieceJson("metaspace") }),
};
const named = Object.entries(tokenizers);

const fragment = fc.constantFrom(
  ..." |  |   |\n|\n\n|\r\n|\t|the|The|abc|abcabc|é|e\u0301|和|和和，|。|，|！\n|😀|👩‍👩‍👧|12|1234567|0.5|'s|'S|.|.\n|, |!?|</s>|<|end|>".split(
    "|",
  ),
  "<|begin|>",
  "<|end|>",
  "\u0000",
);
const word = fc.constantFrom(
  " the",
  " abc",
  "\nab",
  " 12,",
  " it's",
  "和，",
  "abc. The",
  "  the<|end|>",
  " ab</s>ab",
  "\n\nab",
);
const wildText = fc.array(fragment, { maxLength: 60 }).map((parts) => parts.join(""));
const wordyText = fc
  .array(fc.oneof({ weight: 4, arbitrary: word }, { weight: 1, arbitrary: fragment }), {
    minLength: 20,
    maxLength: 60,
  })
  .map((parts) => parts.join(""));

/** Is any text of UTF-16 units, lone surrogates included. */
const anyText = fc
  .array(fc.oneof(fc.nat(0xffff), fc.integer({ min: 0xd7f0, max: 0xe010 })), { maxLength: 80 })
  .map((units) => String.fromCharCode(...units));

/** Tells, by the rule of the documentation, whether a cut was made at a safe place. */
function isSeam(left: string, right: string): boolean {
  const seam = left.slice(-2) + (right[0] ?? "");
  return (
    /[\p{L}\p{M}\p{N}.,;:!?] $/u.test(seam) ||
    /[\p{L}\p{N}][\t\n\r]$/u.test(seam) ||
    /\p{L}[，。、！？；：]$/u.test(seam)
  );
}

async function collect(pieces: AsyncIterable<number[]>): Promise<number[][]> {
  const all: number[][] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

async function* streamOf(text: string, cuts: readonly number[]): AsyncGenerator<string> {
  let start = 0;
  for (const cut of [...cuts].map((cut) => cut % (text.length + 1)).sort((a, b) => a - b)) {
    yield text.slice(start, cut);
    start = cut;
  }
  yield text.slice(start);
}

describe("splitForEncoding", () => {
  it("cuts nothing from a short text and gives no piece of an empty one", () => {
    expect(splitForEncoding("ab cd", 5)).toEqual(["ab cd"]);
    expect(splitForEncoding("", 5)).toEqual([]);
  });

  it("cuts before the last space that fits and follows a word", () => {
    expect(splitForEncoding("one two three", 8)).toEqual(["one two", " three"]);
    expect(splitForEncoding("one, two", 6)).toEqual(["one,", " two"]);
  });

  it("keeps white space together, and a line break with the punctuation before it", () => {
    expect(splitForEncoding("one   two", 5)).toEqual(["one", "   tw", "o"]);
    expect(splitForEncoding("a one.\nb", 7)).toEqual(["a", " one.\nb"]);
  });

  it("cuts Chinese before a comma", () => {
    expect(splitForEncoding("和和和，和和", 5)).toEqual(["和和和", "，和和"]);
  });

  it("cuts where no place is safe at a code point border", () => {
    expect(splitForEncoding("😀😀😀", 3)).toEqual(["😀", "😀", "😀"]);
    expect(splitForEncoding("xxxxx", 2)).toEqual(["xx", "xx", "x"]);
  });

  it("never cuts a special token, however long the run around it", () => {
    const tokenizer = tokenizers["GPT-2"];
    const text = "xxxxxxxx<|begin|>xxxx<|end|>xxxxxxxxx";
    for (let maxChars = 2; maxChars < text.length; maxChars++) {
      const pieces = splitForEncoding(text, maxChars, tokenizer);
      const ids = pieces.flatMap((piece) => tokenizer.encode(piece, { continuation: true }));
      expect(pieces.join("")).toBe(text);
      expect(ids.filter((id) => tokenizer.isSpecial(id))).toEqual([0, 1]);
    }
  });

  it("does not cut where the vocabulary joins a letter and a space", () => {
    const json = tinySentencePieceJson() as { model: { vocab: Record<string, number>; merges: string[] } };
    const vocab = { ...json.model.vocab, "e▁": Object.keys(json.model.vocab).length };
    const model = { ...json.model, vocab, merges: ["e ▁", ...json.model.merges] };
    const tokenizer = createTokenizer({ tokenizerJson: { ...json, model } });
    expect(splitForEncoding("ab the the", 9, tokenizer)).toEqual(["ab", " the the"]);
    expect(splitForEncoding("ab the the", 9)).toEqual(["ab the", " the"]);
  });

  it.each([0, 1, 2.5, Number.NaN])("refuses a length of %s", (maxChars) => {
    expect(() => splitForEncoding("a", maxChars)).toThrow(InvalidRequestError);
  });

  it("keeps every character and the length limit, for any text", () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 2, max: 30 }), (text, maxChars) => {
        const pieces = splitForEncoding(text, maxChars);
        expect(pieces.join("")).toBe(text);
        expect(Math.max(0, ...pieces.map(({ length }) => length))).toBeLessThanOrEqual(maxChars);
      }),
    );
  });
});

describe.each(named)("encodeChunks with %s", (_, tokenizer) => {
  it("gives the tokens of the whole text wherever its cuts are safe", async () => {
    let compared = 0;
    const text = fc.oneof({ weight: 3, arbitrary: wordyText }, { weight: 1, arbitrary: wildText });
    await fc.assert(
      fc.asyncProperty(
        text,
        fc.integer({ min: 24, max: 60 }),
        fc.boolean(),
        async (text, maxChars, addSpecialTokens) => {
          const pieces = splitForEncoding(text, maxChars, tokenizer);
          expect(pieces.join("")).toBe(text);
          const ids = (await collect(encodeChunks(tokenizer, text, { maxChars, addSpecialTokens }))).flat();
          if (pieces.some((piece, index) => index > 0 && !isSeam(pieces[index - 1] ?? "", piece))) return;
          if (pieces.length > 1) compared++;
          expect(ids).toEqual(tokenizer.encode(text, { addSpecialTokens }));
        },
      ),
      { numRuns: 150 },
    );
    expect(compared).toBeGreaterThan(40);
  });

  it("gives the same pieces however the stream was cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(wordyText, wildText, anyText),
        fc.array(fc.nat(), { maxLength: 12 }),
        fc.integer({ min: 2, max: 40 }),
        async (text, cuts, maxChars) => {
          const whole = await collect(encodeChunks(tokenizer, text, { maxChars }));
          const streamed = await collect(encodeChunks(tokenizer, streamOf(text, cuts), { maxChars }));
          expect(streamed).toEqual(whole);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe("encodeChunks", () => {
  const tokenizer = tokenizers["SentencePiece, Prepend"];

  it("adds special tokens to the first piece only", async () => {
    const pieces = await collect(encodeChunks(tokenizer, "the the the the", { maxChars: 4 }));
    expect(pieces.flat().filter((id) => id === 1)).toHaveLength(1);
    expect(pieces.length).toBeGreaterThan(2);
  });

  it("gives the special tokens of an empty text, and nothing of an empty continuation", async () => {
    expect(await collect(encodeChunks(tokenizer, ""))).toEqual([[1]]);
    expect(await collect(encodeChunks(tokenizer, streamOf("", [])))).toEqual([[1]]);
    expect(await collect(encodeChunks(tokenizer, "", { continuation: true }))).toEqual([]);
  });

  it("continues earlier text on request", async () => {
    const pieces = await collect(encodeChunks(tokenizer, "the the", { continuation: true, maxChars: 4 }));
    expect(pieces.flat()).toEqual(tokenizer.encode("the the", { continuation: true }));
  });

  it("stops at its signal, with the signal's reason", async () => {
    const controller = new AbortController();
    const pieces = encodeChunks(tokenizer, "the ".repeat(100), { maxChars: 10, signal: controller.signal });
    expect((await pieces.next()).done).toBe(false);
    controller.abort(new Error("enough"));
    await expect(pieces.next()).rejects.toThrow("enough");
  });
});
