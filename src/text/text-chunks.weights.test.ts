/**
 * Checks cutting and decoding on the tokenizers of real checkpoints and on a whole book.
 *
 * Needs the shared data folder (EDGEINFINITE_SHARED, else ../shared beside the repository).
 */

import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { createIncrementalDecoder } from "./incremental-decoder.ts";
import { loadTokenizer } from "./load-tokenizer.ts";
import { encodeChunks, splitForEncoding } from "./text-chunks.ts";
import type { Tokenizer } from "./tokenizer.ts";

const shared = process.env.EDGEINFINITE_SHARED ?? resolve("..", "shared");
const bookPath = resolve(shared, "data/books/Alice-s-Adventures-in-Wonderland_11.txt");

async function load(folder: string): Promise<Tokenizer> {
  const tokenizer = await loadTokenizer({
    name: folder,
    has: async (file) => existsSync(resolve(shared, folder, file)),
    readText: async (file) => readFileSync(resolve(shared, folder, file), "utf8"),
  });
  if (tokenizer === undefined) throw new Error(`${folder} has no tokenizer.json`);
  return tokenizer;
}

describe.each([
  { folder: "data/checkpoints/stories260K", kind: "SentencePiece without a pre-tokenizer" },
  { folder: "data/tokenizers/smollm2-135m-instruct", kind: "byte-level BPE" },
])("the tokenizer in $folder ($kind)", ({ folder }) => {
  const missing = [resolve(shared, folder, "tokenizer.json"), bookPath].filter((path) => !existsSync(path));
  const test = missing.length === 0 ? it : it.skip;
  const note =
    missing.length === 0 ? "" : ` (skipped: ${missing.join(", ")} is not there; set EDGEINFINITE_SHARED)`;

  test(`gives a whole book the same tokens piece by piece${note}`, async () => {
    const tokenizer = await load(folder);
    const text = readFileSync(bookPath, "utf8");
    const whole = tokenizer.encode(text);
    for (const maxChars of [100, 1000, 8192]) {
      const ids: number[] = [];
      for await (const piece of encodeChunks(tokenizer, text, { maxChars })) ids.push(...piece);
      expect(ids).toEqual(whole);
    }
    expect(splitForEncoding(text, 1000, tokenizer)).toEqual(splitForEncoding(text, 1000));
  });

  test(`decodes a book token by token to the text it came from${note}`, async () => {
    const tokenizer = await load(folder);
    const text = `${readFileSync(bookPath, "utf8").slice(0, 50_000)} 😀 和和和 e\u0301`;
    const decoder = createIncrementalDecoder(tokenizer);
    const pieces = tokenizer.encode(text).map((id) => decoder.push(id));
    expect(pieces.join("") + decoder.flush()).toBe(text);
  });
});
