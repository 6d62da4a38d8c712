import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BpeTrainingOptions, trainByteLevelBpe } from "./bpe-trainer.ts";
import { renderChat } from "./chat-template.ts";
import { encodeChunks } from "./text-chunks.ts";
import { createTokenizer } from "./tokenizer.ts";

const texts = [
  "The cat sat on the mat. The cat didn't know that the mat was hers.\n\nShe sat there for 1234 days,",
  " and in 1924 she said: “That's the mat!” The other cats, 12 of them, thought so too.\n",
  "Der Kater saß dort; ça va, 和平.<|endoftext|>The mat, the mat, the mat.",
];

async function train(options: Partial<BpeTrainingOptions> = {}, of: readonly string[] = texts) {
  const trained = await trainByteLevelBpe(of, { vocabularySize: 280, ...options });
  const { tokenizerJson, tokenizerConfig } = trained;
  return { ...trained, tokenizer: createTokenizer({ tokenizerJson, tokenizerConfig }) };
}

const trained = await train();
const { tokenizer } = trained;
const tokensOf = (text: string): (string | undefined)[] =>
  tokenizer.encode(text, { addSpecialTokens: false }).map((id) => tokenizer.idToToken(id));

describe("a trained tokenizer", () => {
  it("has as many tokens as asked for: special ones, all bytes, and merges", () => {
    expect(trained.vocabularySize).toBe(280);
    expect(tokenizer.vocabSize).toBe(280);
    expect([0, 1, 4].map((id) => tokenizer.idToToken(id))).toEqual([
      "<|begin|>",
      "<|endoftext|>",
      "<|assistant|>",
    ]);
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId]).toEqual([trained.bosTokenId, trained.eosTokenId]);
  });

  it("writes frequent words as one token", () => {
    expect(tokensOf("The mat")).toEqual(["The", "Ġmat"]);
  });

  it("gives any text back", () => {
    const part = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom(
        "The cat",
        " mat",
        "\n\n",
        "  ",
        "1234",
        "\u0000",
        "é",
        "e\u0301",
        "和",
        "😀",
        "'s",
        "\r\n",
      ),
    );
    const property = fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const text = parts.join("");
      expect(tokenizer.decode(tokenizer.encode(text, { addSpecialTokens: false }))).toBe(text);
    });
    fc.assert(property, { numRuns: 100 });
  });

  it("begins a text with its token, and reads special tokens in it", () => {
    const plain = tokenizer.encode("the", { addSpecialTokens: false });
    expect(tokenizer.encode("the<|endoftext|>")).toEqual([0, ...plain, 1]);
    expect(tokenizer.encode("")).toEqual([0]);
  });

  it("encodes a text in pieces as it does the whole", async () => {
    const property = fc.asyncProperty(
      fc.array(fc.constantFrom(...texts.join(" ").split(/(?<=\s)/)), { maxLength: 40 }),
      fc.integer({ min: 40, max: 90 }),
      async (words, maxChars) => {
        const text = words.join("");
        const pieces: number[] = [];
        for await (const ids of encodeChunks(tokenizer, text, { maxChars })) pieces.push(...ids);
        expect(pieces).toEqual(tokenizer.encode(text));
      },
    );
    await fc.assert(property, { numRuns: 100 });
  });

  it("holds numbers in groups of as many digits as asked for", async () => {
    const numbers = Array.from({ length: 60 }, () => "it was 777777 then");
    for (const digitsPerToken of [1, 2, 3] as const) {
      const { tokenizer: own } = await train({ digitsPerToken, vocabularySize: 300 }, numbers);
      const ids = own.encode("777777", { addSpecialTokens: false });
      expect(ids.length).toBe(6 / digitsPerToken);
    }
  });

  it("writes conversations in which the end-of-text token ends each message", () => {
    const messages = [
      { role: "user", content: "The cat?" },
      { role: "assistant", content: "The mat." },
    ];
    const { chatTemplate, specialTokens } = tokenizer;
    const render = (addGenerationPrompt: boolean) =>
      renderChat(chatTemplate, messages, { addGenerationPrompt, specialTokens });
    expect(render(false)).toBe("<|user|>The cat?<|endoftext|><|assistant|>The mat.<|endoftext|>");
    expect(render(true)).toBe(`${render(false)}<|assistant|>`);
    expect(() =>
      renderChat(chatTemplate, [{ role: "tool", content: "x" }], {
        addGenerationPrompt: true,
        specialTokens,
      }),
    ).toThrow(/Only the roles/);
  });
});

describe("trainByteLevelBpe", () => {
  it("gives the same tokenizer for the same texts in any order, given at once or as a stream", async () => {
    async function* stream() {
      yield* texts.toReversed();
    }
    const again = await trainByteLevelBpe(stream(), { vocabularySize: 280 });
    expect(again.tokenizerJson).toEqual(trained.tokenizerJson);
  });

  it("does not learn from the texts of special tokens", async () => {
    const { tokenizerJson } = await train(
      { vocabularySize: 270 },
      Array(50).fill("<|endoftext|>").concat("a bb"),
    );
    expect(JSON.stringify((tokenizerJson.model as { merges: unknown }).merges)).not.toContain("end");
  });

  it("ends early where no pair is frequent enough, and says how many tokens there are", async () => {
    expect((await train({}, ["ab ab"])).vocabularySize).toBe(262);
    expect((await train({}, ["ab"])).vocabularySize).toBe(261);
    expect((await train({ leastCount: 1 }, ["abc"])).vocabularySize).toBe(263);
  });

  it("refuses options out of range, and to learn from nothing", async () => {
    await expect(train({ vocabularySize: 260 })).rejects.toThrow(/vocabularySize: out of range, got 260/);
    await expect(train({ leastCount: 0 })).rejects.toThrow(/leastCount/);
    await expect(train({}, ["", "<|user|>"])).rejects.toThrow(/no text to learn from/);
  });

  it("stops when it is told to", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(train({ signal })).rejects.toThrow("enough");
  });

  it("tells how far it is", async () => {
    const seen: number[] = [];
    await train({ onProgress: ({ tokens }) => seen.push(tokens) });
    expect(seen.at(-1)).toBe(280);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  });
});
