import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memoryByteSource } from "../../files/byte-source.ts";
import { openTrainingRecords } from "../data/training-records.ts";
import { createDraws } from "../random-draws.ts";
import { type Prose, proseOfRecords, proseOfText, splitSentences } from "./prose.ts";

async function readSome(prose: Prose, count: number, seed = 1): Promise<string[]> {
  const sentences: string[] = [];
  for await (const sentence of prose.read(createDraws(seed, "test"))) {
    sentences.push(sentence);
    if (sentences.length === count) break;
  }
  return sentences;
}

async function openRecords(lines: readonly object[]) {
  const content = lines.map((line) => JSON.stringify(line)).join("\n");
  const source = memoryByteSource("data.jsonl", new TextEncoder().encode(content));
  return openTrainingRecords([{ source, format: "jsonl" }]);
}

describe("splitSentences", () => {
  it("ends sentences at full stops, with what closes behind them, and at blank lines", () => {
    expect(splitSentences("One. “Two!” Three?\nFour\n\nFive. six... Seven 3.5 metres. 8 more")).toEqual([
      "One.",
      " “Two!”",
      " Three?",
      "\nFour",
      "\n\nFive. six...",
      " Seven 3.5 metres.",
      " 8 more",
    ]);
  });

  it("does not end them behind titles and initials", () => {
    expect(splitSentences("Then Mr. Smith met J. R. Brown. He left.")).toEqual([
      "Then Mr. Smith met J. R. Brown.",
      " He left.",
    ]);
  });

  it("ends them at ideographic full stops", () => {
    expect(splitSentences("你好。再见！")).toEqual(["你好。", "再见！"]);
  });

  it("keeps every character of any text, and cuts what is too long", () => {
    const part = fc.constantFrom(
      "A",
      "b",
      ". ",
      "! ",
      "\n\n",
      "\n",
      "Mr. ",
      "“",
      "”",
      "😀",
      "x".repeat(300),
      "。",
    );
    const property = fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
      const text = parts.join("");
      const sentences = splitSentences(text);
      expect(sentences.join("")).toBe(text);
      for (const sentence of sentences) {
        expect(sentence.length).toBeLessThanOrEqual(601);
        expect(sentence).not.toMatch(/[\ud800-\udfff]/u);
      }
    });
    fc.assert(property);
  });
});

describe("prose", () => {
  it("begins anywhere and goes on from the text's beginning, in order", async () => {
    const prose = proseOfText("One. Two. Three.", "id");
    const sentences = await readSome(prose, 7);
    const names = sentences.map((sentence) => sentence.trim());
    const order = ["One.", "Two.", "Three."];
    const first = order.indexOf(names[0] ?? "");
    expect(names).toEqual(names.map((_, index) => order[(first + index) % 3]));
    expect(sentences.filter((sentence) => sentence.includes("One"))[0]).toBe("\n\nOne.");
    const firsts = await Promise.all(
      [1, 2, 3, 4, 5, 6].map(async (seed) => (await readSome(prose, 1, seed))[0]),
    );
    expect(new Set(firsts).size).toBeGreaterThan(1);
  });

  it("comes from the texts of records alone, one after the other", async () => {
    const records = await openRecords([
      { text: "A one. A two." },
      { prompt: "P.", completion: "C." },
      { text: "B." },
    ]);
    const names = (await readSome(proseOfRecords(records), 12)).map((sentence) => sentence.trim());
    expect(new Set(names)).toEqual(new Set(["A one.", "A two.", "B."]));
    expect(names.join(" ")).toContain("A one. A two. B. A one.");
  });

  it("is refused where there is none", async () => {
    expect(() => proseOfText(" \n", "id")).toThrow(/the text is empty/);
    const records = await openRecords([{ prompt: "P.", completion: "C." }]);
    await expect(readSome(proseOfRecords(records), 1)).rejects.toThrow(/no record is a text/);
  });
});
