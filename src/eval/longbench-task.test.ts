import { describe, expect, it } from "vitest";
import { tinyByteLevelJson } from "../text/tiny-tokenizers.ts";
import { createTokenizer } from "../text/tokenizer.ts";
import { parseLongBenchRecords } from "./longbench-records.ts";
import { createLongBenchTask } from "./longbench-task.ts";

const tokenizer = createTokenizer({ tokenizerJson: tinyByteLevelJson() });
const passage = Array.from({ length: 200 }, (_, index) => `Line ${index} of it.`).join("\n");
const record = { origin_prompt: `Read this.\n${passage}\nQuestion: who?\nAnswer:`, gold: ["Bob", "Bob D."] };

describe("records of LongBench", () => {
  it("come as an object, an array or lines, with references of three forms", () => {
    const expected = [{ prompt: record.origin_prompt, references: record.gold, classes: [] }];
    for (const text of [
      JSON.stringify({ 0: record }),
      JSON.stringify([record]),
      `${JSON.stringify(record)}\n`,
    ])
      expect(parseLongBenchRecords("f", text)).toEqual(expected);
    const classes = { ...record, gold: { answers: ["A"], all_classes: ["A", "B"] } };
    expect(parseLongBenchRecords("f", JSON.stringify([classes, { ...record, gold: "x" }]))).toMatchObject([
      { references: ["A"], classes: ["A", "B"] },
      { references: ["x"], classes: [] },
    ]);
  });

  it("are refused by line or record", () => {
    const line = JSON.stringify(record);
    expect(() => parseLongBenchRecords("f.jsonl", `${line}\n{"a`)).toThrow(
      /f\.jsonl, line 2: the line is not JSON/,
    );
    expect(() => parseLongBenchRecords("f", JSON.stringify({ 7: { ...record, gold: [] } }))).toThrow(
      /f, record 7: .*gold/,
    );
    expect(() => parseLongBenchRecords("f", "[]")).toThrow(/the file holds no records/);
  });
});

describe("a task of LongBench", () => {
  const records = parseLongBenchRecords("f", JSON.stringify([record]));
  const task = createLongBenchTask(tokenizer, "hotpotqa", records);

  it("reads a prompt whole where it fits", async () => {
    const { document, questions, about } = await task.makeExample(1_000_000, 0);
    expect(document + questions[0]?.prompt).toBe(record.origin_prompt);
    expect(questions[0]?.prompt).toBe("\nAnswer:");
    expect(about).toEqual({ isTruncated: false });
    expect(questions[0]?.score("bob")).toBe(1);
    expect(questions[0]?.score("")).toBe(0);
  });

  it("cuts a long prompt in its middle, and says so", async () => {
    const { document, questions, about } = await task.makeExample(500, 0);
    const prompt = document + questions[0]?.prompt;
    expect(about).toEqual({ isTruncated: true });
    expect(prompt.startsWith("Read this.\nLine 0")).toBe(true);
    expect(prompt.endsWith("Question: who?\nAnswer:")).toBe(true);
    const tokens = tokenizer.encode(prompt).length + 32;
    expect(tokens).toBeLessThanOrEqual(500);
    expect(tokens).toBeGreaterThan(480);
  });

  it("refuses unknown data sets and lengths without room", async () => {
    expect(() => createLongBenchTask(tokenizer, "hotpot", records)).toThrow(/unknown data set.*hotpotqa/);
    await expect(task.makeExample(40, 0)).rejects.toThrow(/lengthTokens: out of range/);
  });
});
