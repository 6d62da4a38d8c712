import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memoryByteSource } from "../../files/byte-source.ts";
import { openTrainingRecords, type TrainingFile, type TrainingRecords } from "./training-records.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function file(
  format: TrainingFile["format"],
  content: string | Uint8Array,
  name = `data.${format}`,
): TrainingFile {
  return { source: memoryByteSource(name, typeof content === "string" ? encode(content) : content), format };
}

async function readAll(records: TrainingRecords): Promise<unknown[]> {
  const all: unknown[] = [];
  for (let index = 0; index < records.count; index++) all.push(await records.read(index));
  return all;
}

async function textsOf(content: string, passageBytes: number): Promise<string[]> {
  const records = await openTrainingRecords([file("text", content)], { passageBytes });
  return (await readAll(records)).map((record) => (record as { text: string }).text);
}

describe("JSONL data", () => {
  it("gives the three kinds of records, with white space, CRLF and a last line without end", async () => {
    const messages = [
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Hello" },
    ];
    const lines = [
      '{"text": "One.", "source": "x"}',
      "",
      '  {"prompt": "2+2=", "completion": "4"}\r',
      JSON.stringify({ messages }),
    ];
    const records = await openTrainingRecords([file("jsonl", `\ufeff${lines.join("\n")}`)]);
    expect(await readAll(records)).toEqual([
      { kind: "text", text: "One.", isComplete: true },
      { kind: "completion", prompt: "2+2=", completion: "4" },
      { kind: "chat", messages },
    ]);
    expect(records.place(1)).toBe("data.jsonl, line 3");
  });

  it.each([
    ['{"text": 5}', /data\.jsonl, line 2: field text does not fit/],
    ['{"text": ""}', /line 2: field text does not fit/],
    ['{"text": "a"', /line 2: the line is not JSON, got .*Correct or remove this line/],
    ["[1]", /line 2: the line is no JSON object/],
    ['{"tetx": "a"}', /line 2: the line has none of the known fields, got \["tetx"\]/],
    ['{"text": "a", "messages": []}', /line 2: the line is of two kinds/],
    ['{"prompt": "a"}', /line 2: field completion does not fit/],
    ['{"messages": []}', /line 2: field messages does not fit/],
    ['{"messages": [{"role": "user"}]}', /line 2: field messages.0.content does not fit/],
  ])("refuses %s with the number of its line", async (line, message) => {
    const content = `{"text": "fine"}\n${line}\n{"text": "fine"}`;
    await expect(openTrainingRecords([file("jsonl", content)])).rejects.toThrow(message);
  });

  it("refuses bytes that are not UTF-8 with the number of the line", async () => {
    const bytes = Uint8Array.of(...encode('{"text": "a"}\n{"text": "'), 0xff, ...encode('"}'));
    await expect(openTrainingRecords([file("jsonl", bytes)])).rejects.toThrow(/line 2: this is not UTF-8/);
  });

  it("finds lines across reads of a megabyte", async () => {
    const texts = Array.from({ length: 5 }, (_, index) => `${index}`.repeat(400_000 + index));
    const content = texts.map((text) => JSON.stringify({ text })).join("\n");
    const records = await openTrainingRecords([file("jsonl", content)]);
    expect(await readAll(records)).toEqual(texts.map((text) => ({ kind: "text", text, isComplete: true })));
  });
});

describe("plain text", () => {
  it("is cut behind a blank line, else behind a line, else behind a space", async () => {
    const paragraph = `${"a".repeat(40)}\n\n`;
    expect(await textsOf(`${paragraph}${"b".repeat(15)}\n${"c".repeat(40)}`, 64)).toEqual([
      paragraph,
      `${"b".repeat(15)}\n${"c".repeat(40)}`,
    ]);
    expect(await textsOf(`${"a".repeat(40)}\n${"b".repeat(40)}`, 64)).toEqual([
      `${"a".repeat(40)}\n`,
      "b".repeat(40),
    ]);
    expect(await textsOf(`${"a".repeat(60)} ${"b".repeat(40)}`, 64)).toEqual([
      `${"a".repeat(60)} `,
      "b".repeat(40),
    ]);
  });

  it("is whole again when its passages are put together, whatever it is made of", async () => {
    const part = fc.constantFrom("a", "bc ", "\n", "\n\n", "é", "和", "😀", " ");
    const text = fc.array(part, { minLength: 1, maxLength: 400 }).map((parts) => `x${parts.join("")}x`);
    const property = fc.asyncProperty(
      text,
      fc.integer({ min: 64, max: 200 }),
      async (content, passageBytes) => {
        const texts = await textsOf(content, passageBytes);
        for (const one of texts) expect(encode(one).length).toBeLessThanOrEqual(passageBytes);
        // Passages of white space alone are left out.
        expect(texts.join("").replaceAll(/\s/g, "")).toBe(content.replaceAll(/\s/g, ""));
      },
    );
    await fc.assert(property);
  });

  it("is complete at its end only", async () => {
    const records = await openTrainingRecords([file("text", "word ".repeat(40))], { passageBytes: 100 });
    const ends = (await readAll(records)).map((record) => (record as { isComplete: boolean }).isComplete);
    expect(ends).toEqual([false, true]);
    // A rest of white space is no passage, so the one before it is the last.
    const spaced = `${"word ".repeat(19)}wor.\n\n\n`;
    const [only, ...others] = await readAll(
      await openTrainingRecords([file("text", spaced)], { passageBytes: 100 }),
    );
    expect([only, others]).toEqual([{ kind: "text", text: expect.any(String), isComplete: true }, []]);
  });
});

describe("openTrainingRecords", () => {
  it("numbers the records of several files one after the other", async () => {
    const files = [
      file("text", "alpha", "a.txt"),
      file("jsonl", '{"text":"beta"}\n{"text":"gamma"}', "b.jsonl"),
    ];
    const records = await openTrainingRecords(files);
    expect((await readAll(records)).map((record) => (record as { text: string }).text)).toEqual([
      "alpha",
      "beta",
      "gamma",
    ]);
    expect([0, 1, 2].map((index) => records.place(index))).toEqual([
      "a.txt, passage 1",
      "b.jsonl, line 1",
      "b.jsonl, line 2",
    ]);
    await expect(records.read(3)).rejects.toThrow(/no such record, got 3/);
  });

  it("tells other content, another order and another cut by the identity", async () => {
    const one = () => file("text", "word ".repeat(40));
    const two = () => file("text", "other");
    const sets = [
      [[one(), two()], 100],
      [[two(), one()], 100],
      [[one(), two()], 120],
      [[one()], 100],
    ] as const;
    const identities = new Set<string>();
    for (const [files, passageBytes] of sets)
      identities.add((await openTrainingRecords(files, { passageBytes })).identity);
    expect(identities.size).toBe(4);
    expect(identities).toContain((await openTrainingRecords([one(), two()], { passageBytes: 100 })).identity);
  });

  it("refuses to train on nothing", async () => {
    await expect(openTrainingRecords([])).rejects.toThrow(/there are no files/);
    await expect(openTrainingRecords([file("jsonl", "")])).rejects.toThrow(
      /data.jsonl: .*no text in the file/,
    );
    await expect(openTrainingRecords([file("text", " \n")])).rejects.toThrow(/no text in the file/);
    await expect(openTrainingRecords([file("text", "a")], { passageBytes: 3 })).rejects.toThrow(
      /passageBytes/,
    );
  });

  it("stops when it is told to", async () => {
    const stopped = openTrainingRecords([file("text", "a")], {
      signal: AbortSignal.abort(new Error("enough")),
    });
    await expect(stopped).rejects.toThrow("enough");
  });
});
