import { describe, expect, it } from "vitest";
import { type DocumentSource, fillDocument } from "./document-source.ts";
import { weighAllTokens } from "./weigh-all-tokens.ts";

const source: DocumentSource = {
  identity: "own",
  start: { next: 0 },
  async read(_, lengthTokens) {
    return { document: fillDocument([5, 6, 7, 8], [0, 0, 1, 1], lengthTokens, 9), position: { next: 1 } };
  },
};

describe("weighAllTokens", () => {
  it("weighs prompts like completions, but neither the first token nor padding", async () => {
    const { document, position } = await weighAllTokens(source).read({ next: 0 }, 6);
    expect([...document.lossWeights]).toEqual([0, 1, 1, 1, 0, 0]);
    expect([...document.tokens]).toEqual([5, 6, 7, 8, 9, 9]);
    expect(position).toEqual({ next: 1 });
    expect(weighAllTokens(source).identity).not.toBe(source.identity);
  });
});
