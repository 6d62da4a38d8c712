import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tinyByteLevelJson } from "../../text/tiny-tokenizers.ts";
import { createTokenizer } from "../../text/tokenizer.ts";
import { createRepeatedDocuments } from "./repeated-documents.ts";

const tokenizer = createTokenizer({ tokenizerJson: tinyByteLevelJson() });

describe("createRepeatedDocuments", () => {
  it("learns only tokens that followed the one before them already", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.nat({ max: 1000 }),
        fc.integer({ min: 64, max: 500 }),
        async (seed, document, length) => {
          const source = createRepeatedDocuments(tokenizer, seed);
          const read = await source.read({ document }, length);
          const { tokens, lossWeights, usedTokens } = read.document;
          expect([tokens.length, usedTokens]).toEqual([length, length]);
          expect(read.position).toEqual({ document: document + 1 });
          const pairs = new Set<string>();
          const wrong: number[] = [];
          for (let index = 1; index < length; index++) {
            const pair = `${tokens[index - 1]} ${tokens[index]}`;
            const weight = lossWeights[index];
            if (weight !== 0 && !(weight === 1 && pairs.has(pair))) wrong.push(index);
            pairs.add(pair);
          }
          expect(wrong).toEqual([]);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("learns something in a long document, and reads the same again", async () => {
    const source = createRepeatedDocuments(tokenizer, 3);
    const { document } = await source.read(source.start, 512);
    expect(document.lossWeights.reduce((sum, weight) => sum + weight, 0)).toBeGreaterThan(100);
    expect(await source.read(source.start, 512)).toMatchObject({ document });
    expect(source.identity).not.toBe(createRepeatedDocuments(tokenizer, 4).identity);
  });

  it("draws no special token", async () => {
    const source = createRepeatedDocuments(tokenizer, 1);
    const { document } = await source.read(source.start, 4096);
    const head = tokenizer.encode("").length;
    const text = tokenizer.decode([...document.tokens.subarray(head)], { skipSpecialTokens: false });
    for (const special of Object.values(tokenizer.specialTokens)) expect(text).not.toContain(special);
  });
});
