import { describe, expect, it } from "vitest";
import { loadScriptedModel } from "../testing/scripted-model.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { proseOfText } from "../train/recall/prose.ts";
import type { EvaluationRecord, ExampleRecord, Shard } from "./evaluation-record.ts";
import { createRecallTask, type RecallTaskOptions } from "./recall-task.ts";
import { type EvaluationPlan, type EvaluationProgress, runEvaluation } from "./run-evaluation.ts";
import type { Subject } from "./subject.ts";
import { summarize } from "./summarize.ts";

const text = Array.from({ length: 40 }, (_, index) => `The rain fell on roof R${index} all day.`).join(" ");
const prose = proseOfText(text, "rain");
const recall: RecallTaskOptions = {
  seed: 1,
  factCount: 1,
  questionsPerDocument: 1,
  distanceTokens: 20,
  distractors: { share: 0, style: "words" },
  split: { words: "held-out", wordings: "training" },
  frame: "plain",
  prose,
  proseBytes: text.length,
};
const context = { sinkTokens: 4, windowTokens: 512, segmentTokens: 512 };
const subject: Subject = {
  label: "streaming",
  policy: "streaming",
  adapter: undefined,
  context,
  ablation: undefined,
};

/** Keeps what a run saves. */
function createRun(replies: (promptText: string) => string, changes: Partial<EvaluationPlan> = {}) {
  const records: EvaluationRecord[] = [];
  const plan: EvaluationPlan = {
    subjects: [subject],
    lengths: [{ lengthTokens: 400, exampleCount: 3 }],
    shard: { index: 1, count: 1 },
    limit: Number.POSITIVE_INFINITY,
    load: ({ policy, context: sizes }) =>
      loadScriptedModel({
        replies,
        policy,
        context: sizes,
        model: createTinyModelFolder({ maxPositions: 2048 }),
      }),
    makeTasks: (tokenizer: Tokenizer) => [createRecallTask(tokenizer, recall)],
    isDone: (id) => records.some((record) => record.id === id),
    prepare: async () => {},
    save: async (saved) => {
      records.push(...saved);
    },
    residentBytes: () => 1000,
    ...changes,
  };
  return { plan, records };
}

async function runAll(
  plan: EvaluationPlan,
  onProgress?: (progress: EvaluationProgress) => void,
): Promise<string[]> {
  const events = [];
  for await (const { type } of runEvaluation(plan, new AbortController().signal, onProgress))
    events.push(type);
  return events;
}

const examples = (records: readonly EvaluationRecord[]): ExampleRecord[] =>
  records.filter((record) => record.type === "example");

/** Learns the right answers from a first run, by their questions. */
async function learnAnswers(changes: Partial<EvaluationPlan> = {}): Promise<Map<string, string>> {
  const { plan, records } = createRun(() => "", changes);
  await runAll(plan);
  return new Map(
    examples(records).map(({ about, references }) => [String(about.question), references[0] ?? ""]),
  );
}

const replyFrom =
  (answers: ReadonlyMap<string, string>, change: (answer: string) => string) =>
  (prompt: string): string => {
    const asked = [...answers].find(([question]) => prompt.endsWith(`Question: ${question}\nAnswer:`));
    return asked === undefined ? "?" : change(asked[1]);
  };

describe("runEvaluation", () => {
  it("scores 1 for right answers, and 0 for what is nearly right", async () => {
    const answers = await learnAnswers();
    expect(answers.size).toBe(3);
    const score = async (change: (answer: string) => string): Promise<number> => {
      const { plan, records } = createRun(replyFrom(answers, change));
      await runAll(plan);
      return examples(records).reduce((sum, record) => sum + record.score, 0);
    };
    expect(await score((answer) => ` ${answer}\nQuestion: what`)).toBe(3);
    expect(await score((answer) => answer)).toBe(3);
    expect(await score((answer) => ` ${answer.slice(0, -1)}\n`)).toBe(0);
    expect(await score((answer) => ` ${answer}, I think\n`)).toBe(0);
    expect(await score(() => "")).toBe(0);
  });

  it("keeps with each example what it cost, and the facts lie further back than asked", async () => {
    const { plan, records } = createRun(() => "no");
    const shares: number[] = [];
    await runAll(plan, ({ share }) => shares.push(share));
    for (const record of examples(records)) {
      expect(record).toMatchObject({ lengthTokens: 400, peakResidentBytes: 1000, policy: "streaming" });
      expect(record.promptTokens).toBeLessThanOrEqual(400);
      expect(record.promptTokens).toBeGreaterThan(330);
      expect(record.about.distanceTokens).toBeGreaterThanOrEqual(20);
      expect(record.stateBytes).toBeGreaterThan(0);
    }
    expect(shares.toSorted((a, b) => a - b)).toEqual(shares);
  });

  it("goes on where it was, with no example lost or repeated, also by shards and limits", async () => {
    const whole = createRun(() => "no");
    await runAll(whole.plan);
    const parts = createRun(() => "no", { limit: 1 });
    const shards: Shard[] = [1, 2].map((index) => ({ index, count: 2 }));
    for (const shard of [...shards, ...shards]) await runAll({ ...parts.plan, shard });
    await runAll(parts.plan);
    const idsOf = (records: readonly EvaluationRecord[]): string[] => records.map(({ id }) => id).sort();
    expect(idsOf(parts.records)).toEqual(idsOf(whole.records));
    expect(await runAll(parts.plan)).toEqual([]);
    const references = (records: readonly EvaluationRecord[]): string[] =>
      examples(records)
        .map(({ id, references: own }) => `${id} ${own[0]}`)
        .sort();
    expect(references(parts.records)).toEqual(references(whole.records));
  });

  it("asks several questions of one reading, each in a copy of the session", async () => {
    const makeTasks = (tokenizer: Tokenizer) => [
      createRecallTask(tokenizer, { ...recall, factCount: 3, questionsPerDocument: 3 }),
    ];
    const lengths = [{ lengthTokens: 700, exampleCount: 2 }];
    const answers = await learnAnswers({ makeTasks, lengths });
    const { plan, records } = createRun(
      replyFrom(answers, (answer) => ` ${answer}\n`),
      { makeTasks, lengths },
    );
    await runAll(plan);
    expect(examples(records).map(({ score, question }) => [score, question])).toEqual([
      ...[0, 1, 2].map((question) => [1, question]),
      ...[0, 1, 2].map((question) => [1, question]),
    ]);
    expect(new Set(records.map(({ id }) => id)).size).toBe(6);
    expect(summarize(records)[0]?.result).toMatchObject({ documentCount: 2, questionCount: 6 });
  });

  it("says once what is not applicable: too long for a full cache, too short for the facts", async () => {
    const lengths = [30, 4096].map((lengthTokens) => ({ lengthTokens, exampleCount: 3 }));
    const full: Subject = { ...subject, label: "full", policy: "full", context: {} };
    const { plan, records } = createRun(() => "no", { lengths, subjects: [full] });
    await runAll(plan);
    expect(records.map((record) => (record.type === "example" ? "" : record.reason))).toEqual([
      expect.stringMatching(/lengthTokens: out of range/),
      expect.stringMatching(/ends at the 2048 positions/),
    ]);
    expect(await runAll(plan)).toEqual([]);
  });

  it("leaves out one of several subjects that cannot be loaded, and ends where none can", async () => {
    const wrong: Subject = { ...subject, label: "wrong", policy: "paper" };
    const { plan, records } = createRun(() => "no", { subjects: [wrong, subject, wrong] });
    expect(await runAll(plan)).toEqual(["subject-skip", ...Array(3).fill("records-save"), "subject-skip"]);
    expect(records).toHaveLength(3);
    for (const subjects of [[wrong], [wrong, wrong]])
      await expect(runAll({ ...plan, subjects })).rejects.toThrow(/paper needs a trained memory/);
  });

  it("is prepared once, when the request has been checked, and does at most its limit of each subject", async () => {
    let preparedCount = 0;
    const prepare = async (): Promise<void> => {
      preparedCount++;
    };
    const subjects = [subject, { ...subject, label: "again", context: { ...context, windowTokens: 7 } }];
    const { plan, records } = createRun(() => "no", { subjects, prepare, limit: 2 });
    await runAll(plan);
    expect(preparedCount).toBe(1);
    expect(records.map(({ policy }) => policy)).toEqual(["streaming", "streaming", "again", "again"]);
    const makeTasks = (tokenizer: Tokenizer) => [createRecallTask(tokenizer, { ...recall, factCount: 0 })];
    await expect(runAll({ ...plan, makeTasks })).rejects.toThrow(/factCount: out of range/);
    expect(preparedCount).toBe(1);
  });
});
