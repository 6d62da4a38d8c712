import { describe, expect, it } from "vitest";
import { tinyByteLevelJson } from "../text/tiny-tokenizers.ts";
import { createTokenizer } from "../text/tokenizer.ts";
import { longBenchNames, parseLongBenchName } from "./longbench-data-sets.ts";
import { longBenchPrompts } from "./longbench-prompts.ts";
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
      expect(parseLongBenchRecords("f", "hotpotqa", text)).toEqual(expected);
    const classes = { ...record, gold: { answers: ["A"], all_classes: ["A", "B"] } };
    expect(
      parseLongBenchRecords("f", "hotpotqa", JSON.stringify([classes, { ...record, gold: "x" }])),
    ).toMatchObject([
      { references: ["A"], classes: ["A", "B"] },
      { references: ["x"], classes: [] },
    ]);
  });

  it("are refused by line or record", () => {
    const line = JSON.stringify(record);
    expect(() => parseLongBenchRecords("f.jsonl", "hotpotqa", `${line}\n{"a`)).toThrow(
      /f\.jsonl, line 2: the line is not JSON/,
    );
    expect(() =>
      parseLongBenchRecords("f", "hotpotqa", JSON.stringify({ 7: { ...record, gold: [] } })),
    ).toThrow(/f, record 7: .*gold/);
    expect(() => parseLongBenchRecords("f", "hotpotqa", "[]")).toThrow(/the file holds no records/);
  });
});

/** Is a record as the data set's own files have them. */
const own = {
  input: "Who keeps the {context} of the ferry?",
  context: "Passage 1:\nThe ferry is kept by {input} Ada.\n",
  answers: ["Ada", "Ada M."],
  length: 9,
  language: "en",
  all_classes: null,
  _id: "7f",
};

describe("the data set's own records", () => {
  it("are prompts in the official format, braces of their texts as they are", () => {
    const lines = [own, { ...own, dataset: "hotpotqa" }].map((line) => JSON.stringify(line)).join("\n");
    const prompt =
      "Answer the question based on the given passages. Only give me the answer and do not output any other words.\n\n" +
      "The following are given passages.\nPassage 1:\nThe ferry is kept by {input} Ada.\n\n\n" +
      "Answer the question based on the given passages. Only give me the answer and do not output any other words.\n\n" +
      "Question: Who keeps the {context} of the ferry?\nAnswer:";
    const expected = { prompt, references: ["Ada", "Ada M."], classes: [] };
    expect(parseLongBenchRecords("f", "hotpotqa", lines)).toEqual([expected, expected]);
    expect(parseLongBenchRecords("f", "hotpotqa", JSON.stringify(own))).toEqual([expected]);
  });

  it("have a format for every data set, with their text in it, and classes where there are some", () => {
    for (const name of longBenchNames) {
      const line = JSON.stringify({ ...own, all_classes: ["Ada", "Bo"] });
      const [record] = parseLongBenchRecords("f", name, line);
      expect(record?.classes, name).toEqual(["Ada", "Bo"]);
      expect(record?.prompt, name).toContain(own.context);
      expect(record?.prompt.includes(own.input), name).toBe(longBenchPrompts[name].includes("{input}"));
    }
    expect(longBenchNames).toHaveLength(16);
  });

  it.each<[string, object, RegExp]>([
    ["without references", { ...own, answers: [] }, /f\.jsonl, line 2: .*LongBench: answers/],
    ["whose references are left out", { ...own, answers: undefined }, /line 2: .*LongBench: answers/],
    ["without a context", { ...own, context: "" }, /line 2: .*LongBench: context/],
    ["of another data set", { ...own, dataset: "qasper" }, /line 2: .*another data set.*"qasper".*hotpotqa/],
    ["of no known form", { question: "Who?" }, /line 2: .*"context", "input" and "answers"/],
  ])("are refused by line: one %s", (_, wrong, message) => {
    const text = `${JSON.stringify(own)}\n${JSON.stringify(wrong)}\n`;
    expect(() => parseLongBenchRecords("f.jsonl", "hotpotqa", text)).toThrow(message);
  });
});

describe("a task of LongBench", () => {
  const records = parseLongBenchRecords("f", "hotpotqa", JSON.stringify([record]));
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
    expect(() => parseLongBenchName("hotpot")).toThrow(/unknown data set.*hotpotqa/);
    await expect(task.makeExample(40, 0)).rejects.toThrow(/lengthTokens: out of range/);
  });
});
