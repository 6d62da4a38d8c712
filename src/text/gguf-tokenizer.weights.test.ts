/**
 * Checks that the tokenizers of real checkpoints survive the way through GGUF's metadata, on a whole book.
 *
 * Needs the shared data folder (EDGEINFINITE_SHARED, else ../shared beside the repository).
 */

import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { describeTokenizer } from "../../test/support/gguf/gguf-tokenizer-fields.ts";
import { writeGguf } from "../../test/support/gguf/gguf-writer.ts";
import { memoryByteSource } from "../files/byte-source.ts";
import { parseGgufHeader } from "../files/gguf.ts";
import { GgufFields } from "../files/gguf-fields.ts";
import { createGgufTokenizer } from "./gguf-tokenizer.ts";
import { createTokenizer } from "./tokenizer.ts";

const shared = process.env.EDGEINFINITE_SHARED ?? resolve("..", "shared");
const bookPath = resolve(shared, "data/books/Alice-s-Adventures-in-Wonderland_11.txt");

describe.each([
  { folder: "data/checkpoints/stories260K", pre: "default" },
  { folder: "data/tokenizers/smollm2-135m-instruct", pre: "smollm" },
])("the tokenizer in $folder", ({ folder, pre }) => {
  const path = resolve(shared, folder, "tokenizer.json");
  const missing = [path, bookPath].filter((file) => !existsSync(file));
  const test = missing.length === 0 ? it : it.skip;
  const note =
    missing.length === 0 ? "" : ` (skipped: ${missing.join(", ")} is not there; set EDGEINFINITE_SHARED)`;

  test(`gives a whole book the same ids after the way through GGUF${note}`, async () => {
    const tokenizerJson: unknown = JSON.parse(readFileSync(path, "utf8"));
    const original = createTokenizer({ tokenizerJson });
    const file = writeGguf(describeTokenizer({ tokenizerJson, pre }), []);
    const { metadata } = await parseGgufHeader(memoryByteSource("m.gguf", file));
    const copy = createGgufTokenizer(new GgufFields("m.gguf", metadata));
    const text = readFileSync(bookPath, "utf8");
    const ids = original.encode(text, { addSpecialTokens: false });
    expect(copy?.encode(text, { addSpecialTokens: false })).toEqual(ids);
    expect(copy?.decode(ids)).toBe(original.decode(ids));
  });
});
