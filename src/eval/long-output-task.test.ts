import { describe, expect, it } from "vitest";
import { loadScriptedModel } from "../testing/scripted-model.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { proseOfText } from "../train/recall/prose.ts";
import type { EvaluationRecord, ExampleRecord } from "./evaluation-record.ts";
import { createLongOutputTask, type LongOutputTaskOptions } from "./long-output-task.ts";
import { runEvaluation } from "./run-evaluation.ts";
import type { Subject } from "./subject.ts";
import type { Example } from "./task.ts";

const text = Array.from({ length: 40 }, (_, index) => `The rain fell on roof R${index} all day.`).join(" ");
const options: LongOutputTaskOptions = {
  seed: 1,
  factCount: 2,
  questionsPerDocument: 2,
  distanceTokens: 20,
  split: { words: "held-out", wordings: "training" },
  frame: "plain",
  prose: proseOfText(text, "rain"),
  openingTokens: 40,
  temperature: 0,
};
const context = { sinkTokens: 4, windowTokens: 1024, segmentTokens: 512 };
const subject: Subject = {
  label: "streaming",
  policy: "streaming",
  adapter: undefined,
  context,
  ablation: undefined,
};
const model = createTinyModelFolder({ maxPositions: 2048 });
const lengthTokens = 400;

/** Runs two examples on a scripted model; gives their records, and the examples themselves. */
async function run(
  replies: (prompt: string) => string,
  changes: Partial<LongOutputTaskOptions> = {},
  subjects: readonly Subject[] = [subject],
  length = lengthTokens,
) {
  const records: EvaluationRecord[] = [];
  const examples: Example[] = [];
  const makeTasks = (tokenizer: Tokenizer) => {
    const task = createLongOutputTask(tokenizer, { ...options, ...changes });
    const makeExample: typeof task.makeExample = async (...given) => {
      const example = await task.makeExample(...given);
      examples.push(example);
      return example;
    };
    return [{ ...task, makeExample }];
  };
  const plan = {
    subjects,
    lengths: [{ lengthTokens: length, exampleCount: 2 }],
    shard: { index: 1, count: 1 },
    limit: Number.POSITIVE_INFINITY,
    load: ({ policy, context: sizes }: Subject) =>
      loadScriptedModel({ replies, policy, context: sizes, model }),
    makeTasks,
    isDone: (id: string) => records.some((record) => record.id === id),
    prepare: async () => {},
    save: async (saved: readonly EvaluationRecord[]) => void records.push(...saved),
    residentBytes: () => 1000,
  };
  for await (const _ of runEvaluation(plan, new AbortController().signal));
  return { records, examples };
}

const ofExamples = (records: readonly EvaluationRecord[]): ExampleRecord[] =>
  records.filter((record) => record.type === "example");

describe("a long output", () => {
  it("begins with the facts, is as long as asked for, and right answers behind it score 1", async () => {
    const learned = await run(() => "");
    const answers = new Map(
      ofExamples(learned.records).map(({ about, references }) => [
        String(about.question),
        references[0] ?? "",
      ]),
    );
    expect(answers.size).toBe(4);
    const answer =
      (change: (value: string) => string) =>
      (prompt: string): string => {
        const asked = [...answers].find(([question]) => prompt.endsWith(`Question: ${question}\nAnswer:`));
        return asked === undefined ? "and so on. ".repeat(50) : ` ${change(asked[1])}\nQuestion: what`;
      };
    const { records, examples } = await run(answer((value) => value));
    expect(ofExamples(records).map(({ score, question }) => [score, question])).toEqual([
      [1, 0],
      [1, 1],
      [1, 0],
      [1, 1],
    ]);
    for (const record of ofExamples(records)) {
      const { output, document, questions } = examples[record.index] ?? {};
      // A sentence may begin with a value.
      const told = output?.beginning.toLowerCase();
      for (const { references } of questions ?? []) expect(told).toContain(references[0]?.toLowerCase());
      expect(document).not.toContain(record.references[0]);
      expect(document?.length).toBeGreaterThanOrEqual(options.openingTokens);
      // The tiny tokenizer puts nothing before a text; the opening's own tokens come first.
      const opening = record.documentTokens - lengthTokens;
      expect(opening).toBeGreaterThanOrEqual(options.openingTokens);
      expect(record.about).toMatchObject({ outputTokens: lengthTokens, isRestated: false });
      expect(record.about.distanceTokens).toBe(lengthTokens - (output?.beginningIds.length ?? 0));
      expect(record.promptTokens).toBeGreaterThan(record.documentTokens);
    }
    const wrong = await run(answer((value) => `${value}, I think`));
    expect(ofExamples(wrong.records).map(({ score }) => score)).toEqual([0, 0, 0, 0]);
  });

  it("tells that the model wrote a value again", async () => {
    // What was read last are the statements: the reply says all of them once more.
    const { records } = await run((prompt) => (prompt.endsWith("Answer:") ? "?" : ` ${prompt} on.`));
    for (const { about } of ofExamples(records)) expect(about.isRestated).toBe(true);
  });

  it("is not applicable where it has no room for the distance, or a full cache none for all of it", async () => {
    const short = await run(() => "", { distanceTokens: lengthTokens });
    expect(short.records).toMatchObject([
      { reason: expect.stringMatching(/out of range, got 400, expected/) },
    ]);
    const full: Subject = { ...subject, label: "full", policy: "full", context: {} };
    const { records } = await run(() => "", {}, [full], 2040);
    expect(records).toMatchObject([{ reason: expect.stringMatching(/ends at the 2048 positions/) }]);
  });

  it("asks as a user who answers the model's turn, in the chat frame", async () => {
    const { examples } = await run(() => "", { frame: "chat" });
    const [{ document, questions, output } = { document: "", questions: [] }] = examples;
    expect(document).toMatch(/^<\|begin\|>user\nGo on with this text.*<\|end\|>\n<\|begin\|>assistant\n$/s);
    expect(output?.beginning).toMatch(/^[A-Z].*\.$/);
    expect(questions[0]?.prompt).toMatch(/^<\|end\|>\n<\|begin\|>user\n.*<\|end\|>\n<\|begin\|>assistant\n$/);
  });

  it("refuses counts that are none", async () => {
    await expect(run(() => "", { factCount: 0 })).rejects.toThrow(/long-output: factCount: out of range/);
  });
});
