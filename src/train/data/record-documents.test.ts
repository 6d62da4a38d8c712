import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memoryByteSource } from "../../files/byte-source.ts";
import { tinyByteLevelJson } from "../../text/tiny-tokenizers.ts";
import { createTokenizer } from "../../text/tokenizer.ts";
import type { DataPosition, DocumentSource, TrainingDocument } from "./document-source.ts";
import { mixDocuments } from "./mixed-documents.ts";
import { createRecordDocuments, type RecordDocumentsOptions } from "./record-documents.ts";
import { openTrainingRecords } from "./training-records.ts";

const tokenizerConfig = { bos_token: "<|begin|>", eos_token: "<|end|>" };
const tokenizer = createTokenizer({ tokenizerJson: tinyByteLevelJson(), tokenizerConfig });

async function open(texts: readonly string[], options: Partial<RecordDocumentsOptions> = {}) {
  const lines = texts.map((text) => JSON.stringify({ text })).join("\n");
  const source = memoryByteSource("data.jsonl", new TextEncoder().encode(lines));
  const records = await openTrainingRecords([{ source, format: "jsonl" }]);
  return createRecordDocuments(records, tokenizer, { seed: 1, packing: "join", ...options });
}

async function take(source: DocumentSource, lengths: readonly number[], from: DataPosition = source.start) {
  const documents: TrainingDocument[] = [];
  let position = from;
  for (const length of lengths) {
    const read = await source.read(position, length);
    documents.push(read.document);
    // As a checkpoint keeps it.
    position = JSON.parse(JSON.stringify(read.position)) as DataPosition;
  }
  return { documents, position };
}

const textOf = ({ tokens, usedTokens }: TrainingDocument): string =>
  tokenizer.decode([...tokens.subarray(0, usedTokens)]);

describe("joined documents", () => {
  it("hold every token of every record once an epoch, behind a beginning each", async () => {
    const texts = ["Q1", "W23", "Z4567", "X"];
    const source = await open(texts);
    // 11 characters of text and 4 ends, 5 tokens a document behind its beginning.
    const { documents, position } = await take(source, [6, 6, 6]);
    const joined = documents.map((document) => {
      expect(document.usedTokens).toBe(6);
      expect(textOf(document).startsWith("<|begin|>")).toBe(true);
      return textOf(document).slice("<|begin|>".length);
    });
    expect(joined.join("").split("<|end|>").sort()).toEqual(["", ...texts].sort());
    expect(position).toMatchObject({ epoch: 1, place: 0, token: 0 });
  });

  it("learn everything but the beginning", async () => {
    const { documents } = await take(await open(["QQQQ"]), [5]);
    expect([...(documents[0]?.lossWeights ?? [])]).toEqual([0, 1, 1, 1, 1]);
  });

  it("come in another order each epoch and for another seed, and in the same for the same", async () => {
    const texts = Array.from({ length: 20 }, (_, index) => `Q${index}Q`);
    const read = async (seed: number) => {
      const { documents } = await take(await open(texts, { seed, packing: "single" }), Array(40).fill(8));
      return documents.map(textOf);
    };
    const one = await read(1);
    expect(await read(1)).toEqual(one);
    expect(await read(2)).not.toEqual(one);
    const [first, second] = [one.slice(0, 20), one.slice(20)];
    expect(second).not.toEqual(first);
    expect(second.toSorted()).toEqual(first.toSorted());
    expect(first).not.toEqual(first.toSorted());
  });
});

describe("single documents", () => {
  it("are of one record each, and padded with tokens that are not learned", async () => {
    const { documents } = await take(await open(["Q".repeat(7)], { packing: "single" }), [5, 8]);
    const [whole, rest] = documents;
    expect(whole?.usedTokens).toBe(5);
    // The last three letters and the end, behind the beginning.
    expect(rest?.usedTokens).toBe(5);
    expect([...(rest?.lossWeights ?? [])]).toEqual([0, 1, 1, 1, 1, 0, 0, 0]);
    expect([...(rest?.tokens.subarray(5) ?? [])]).toEqual([1, 1, 1]);
  });

  it("skip records and rests that are too short, and count them", async () => {
    const source = await open(["Q", "W".repeat(9), "QQ"], { packing: "single", minTokens: 6 });
    const { documents, position } = await take(source, [9, 9, 9]);
    expect(documents.map(textOf)).toEqual(Array(3).fill(`<|begin|>${"W".repeat(8)}`));
    // Two records in each of at least two epochs that ended, and two rests.
    expect(position.skipped).toBeGreaterThanOrEqual(6);
  });

  it("tell when no record is long enough", async () => {
    const source = await open(["Q", "W"], { packing: "single", minTokens: 6 });
    await expect(take(source, [9])).rejects.toThrow(
      /no record is long enough, got "2 records, all shorter", expected one of 6 tokens/,
    );
  });
});

describe("the position of documents", () => {
  it("continues exactly, wherever a run was cut and whatever the lengths are", async () => {
    const property = fc.asyncProperty(
      fc.array(fc.stringMatching(/^[QWZ ]{1,30}$/), { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 3, max: 40 }), { minLength: 2, maxLength: 12 }),
      fc.constantFrom("join", "single"),
      async (texts, lengths, packing) => {
        const whole = await take(await open(texts, { packing }), lengths);
        const cut = lengths.length >> 1;
        const before = await take(await open(texts, { packing }), lengths.slice(0, cut));
        const after = await take(await open(texts, { packing }), lengths.slice(cut), before.position);
        expect([...before.documents, ...after.documents]).toEqual(whole.documents);
        expect(after.position).toEqual(whole.position);
      },
    );
    await fc.assert(property, { numRuns: 25 });
  });

  it("of other data is refused", async () => {
    const source = await open(["Q", "W"]);
    await expect(source.read({}, 8)).rejects.toThrow(/no position of these data/);
    await expect(source.read({ ...source.start, place: 2 }, 8)).rejects.toThrow(
      /no position of these data, got 2/,
    );
    await expect(source.read({ ...source.start, place: -1 }, 8)).rejects.toThrow(/no position/);
  });
});

describe("createRecordDocuments", () => {
  it("refuses options and lengths out of range", async () => {
    await expect(open(["Q"], { seed: 0.5 })).rejects.toThrow(/seed/);
    await expect(open(["Q"], { minTokens: 0 })).rejects.toThrow(/minTokens/);
    const source = await open(["Q"]);
    for (const length of [0, 2, 1e9, Number.NaN]) {
      await expect(source.read(source.start, length)).rejects.toThrow(/lengthTokens: out of range/);
    }
  });

  it("has another identity for other data and other options", async () => {
    const sources = [open(["Q"]), open(["W"]), open(["Q"], { seed: 2 }), open(["Q"], { packing: "single" })];
    expect(new Set((await Promise.all(sources)).map(({ identity }) => identity)).size).toBe(4);
  });
});

describe("mixed documents", () => {
  it("come from the sources by their shares, each in its own order", async () => {
    const [one, two] = [await open(["Q"]), await open(["W"])];
    const mixture = mixDocuments(
      [
        { source: one, share: 3 },
        { source: two, share: 1 },
      ],
      5,
    );
    const { documents, position } = await take(mixture, Array(200).fill(4));
    const fromTwo = documents.filter((document) => textOf(document).includes("W")).length;
    // 50 are expected; within four deviations of the binomial.
    expect(Math.abs(fromTwo - 50)).toBeLessThan(25);
    expect(position.drawn).toBe(200);
  });

  it("continue exactly", async () => {
    const mixture = mixDocuments(
      [
        { source: await open(["Q", "WW"]), share: 1 },
        { source: await open(["ZZZ"]), share: 1 },
      ],
      5,
    );
    const lengths = [4, 5, 6, 7, 8, 9, 10, 11];
    const whole = await take(mixture, lengths);
    const before = await take(mixture, lengths.slice(0, 3));
    const after = await take(mixture, lengths.slice(3), before.position);
    expect([...before.documents, ...after.documents]).toEqual(whole.documents);
  });

  it("refuse no sources, a share of nothing, and positions of others", async () => {
    const source = await open(["Q"]);
    expect(() => mixDocuments([], 1)).toThrow(/no sources/);
    expect(() => mixDocuments([{ source, share: 0 }], 1)).toThrow(/share: out of range/);
    const mixture = mixDocuments([{ source, share: 1 }], 1);
    await expect(mixture.read({ drawn: 0, sources: [] }, 8)).rejects.toThrow(/position of other sources/);
    await expect(mixture.read(source.start, 8)).rejects.toThrow(/no position of these data/);
  });
});
