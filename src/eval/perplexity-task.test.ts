import { describe, expect, it } from "vitest";
import { memoryByteSource } from "../files/byte-source.ts";
import { loadScriptedModel } from "../testing/scripted-model.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import { tinyByteLevelJson } from "../text/tiny-tokenizers.ts";
import { createTokenizer } from "../text/tokenizer.ts";
import { openTrainingRecords, type TrainingRecords } from "../train/data/training-records.ts";
import type { EvaluationRecord } from "./evaluation-record.ts";
import { parseRecord } from "./evaluation-record.ts";
import { createPerplexityTask } from "./perplexity-task.ts";
import { makeReport } from "./report.ts";
import { type EvaluationPlan, runEvaluation } from "./run-evaluation.ts";
import type { Subject } from "./subject.ts";
import { summarize } from "./summarize.ts";

const tokenizer = createTokenizer({ tokenizerJson: tinyByteLevelJson() });

/** Opens texts as files, in passages of 64 bytes. */
function openTexts(...texts: readonly string[]): Promise<TrainingRecords> {
  const files = texts.map((text, index) => ({
    source: memoryByteSource(`${index}.txt`, new TextEncoder().encode(text)),
    format: "text" as const,
  }));
  return openTrainingRecords(files, { passageBytes: 64 });
}

const write = (word: string, count: number): string =>
  Array.from({ length: count }, (_, index) => `${word} ${index}.`).join(" ");

async function encodeAll(text: string): Promise<number[]> {
  return tokenizer.encode(text, { addSpecialTokens: false });
}

describe("the slices of a text", () => {
  it("are all its tokens in order, none twice, the first of each text before the second of any", async () => {
    const [rain, wind] = [write("rain", 60), `${write("wind", 25)}\n`];
    const task = createPerplexityTask(tokenizer, { records: await openTexts(rain, wind), distanceTokens: 9 });
    const [a, b] = [await encodeAll(rain), await encodeAll(wind)];
    const length = 101;
    const head = tokenizer.encode("");
    const size = length - head.length;
    const [ofRain, ofWind] = [a, b].map((ids) => Math.floor(ids.length / size));
    expect([ofRain, ofWind].every((count = 0) => count >= 1)).toBe(true);
    const count = await task.countExamples(length, 100);
    expect(count).toBe((ofRain ?? 0) + (ofWind ?? 0));
    expect(await task.countExamples(length, 2)).toBe(2);
    const examples = await Promise.all(
      Array.from({ length: count }, (_, index) => task.makeExample(length, index)),
    );
    for (const { tokenIds } of examples) expect(tokenIds).toHaveLength(length);
    expect(examples[0]?.tokenIds).toEqual([...head, ...a.slice(0, size)]);
    expect(examples[1]?.tokenIds).toEqual([...head, ...b.slice(0, size)]);
    const got = examples.flatMap(({ tokenIds }) => tokenIds.slice(head.length));
    const wanted = [a, b].flatMap((ids) => ids.slice(0, size * Math.floor(ids.length / size)));
    expect(got.toSorted((x, y) => x - y)).toEqual(wanted.toSorted((x, y) => x - y));
  });

  it("are never made longer than their text by repeating it", async () => {
    const task = createPerplexityTask(tokenizer, { records: await openTexts("Rain."), distanceTokens: 9 });
    expect(await task.countExamples(1000, 5)).toBe(0);
    await expect(task.makeExample(1000, 0)).rejects.toThrow(/lengthTokens: out of range, got 1000/);
    expect(await task.countExamples(1, 5)).toBe(0);
  });
});

const streaming: Subject = {
  label: "streaming",
  policy: "streaming",
  adapter: undefined,
  context: { sinkTokens: 4, windowTokens: 60, segmentTokens: 64 },
  ablation: undefined,
};
const full: Subject = { ...streaming, label: "full", policy: "full", context: { segmentTokens: 64 } };

/**
 * Runs the task on a model that is certain of each token of a run but of the first, where it is certain of another
 * one: by e^-100 against 1 that token has 100 nats, and the others have none.
 */
async function runScripted(changes: Partial<EvaluationPlan> = {}): Promise<EvaluationRecord[]> {
  const records: EvaluationRecord[] = [];
  const texts = await openTexts(write("rain", 300), write("wind", 300));
  const plan: EvaluationPlan = {
    subjects: [full, streaming],
    lengths: [{ lengthTokens: 400, exampleCount: 3 }],
    shard: { index: 1, count: 1 },
    limit: Number.POSITIVE_INFINITY,
    load: ({ policy, context }) =>
      loadScriptedModel({
        replies: () => "",
        ...{ policy, context },
        model: createTinyModelFolder({ maxPositions: 512 }),
      }),
    makeTasks: (own) => [createPerplexityTask(own, { records: texts, distanceTokens: 128 })],
    isDone: (id) => records.some((record) => record.id === id),
    prepare: async () => {},
    save: async (saved) => {
      records.push(...saved);
    },
    residentBytes: () => 1000,
    ...changes,
  };
  for await (const _ of runEvaluation(plan, new AbortController().signal));
  return records;
}

describe("perplexity", () => {
  it("sums the nats of each token by position and by commits", async () => {
    const records = await runScripted();
    expect(records.map(({ policy }) => policy)).toEqual([
      ...Array(3).fill("full"),
      ...Array(3).fill("streaming"),
    ]);
    const rounded = records.map((record) =>
      record.type === "example" ? { ...record, score: Math.round(399 * record.score) } : record,
    );
    // Runs begin at 0, 64, 128, 192, 256, 320 and 384, and from 128 on with a commit.
    const sums = (from: number, tokenCount: number, totalNll: number) => ({
      from,
      tokenCount,
      totalNll: expect.closeTo(totalNll, 6),
    });
    const common = {
      byPosition: [sums(0, 63, 0), sums(64, 64, 100), sums(128, 128, 200), sums(256, 144, 300)],
      pastWindow: sums(128, 272, 500),
    };
    expect(rounded[0]).toMatchObject({
      metric: "nll",
      score: 600,
      documentTokens: 400,
      commitCount: 0,
      likelihoods: { ...common, byCommits: [sums(0, 399, 600)] },
    });
    // The first token of a run was predicted before its commit.
    const byCommits = [sums(0, 128, 200), sums(1, 64, 100), sums(2, 128, 200), sums(4, 79, 100)];
    expect(rounded[3]).toMatchObject({ score: 600, commitCount: 5, likelihoods: { ...common, byCommits } });
  });

  it("keeps records that are read again as they were, and goes on by shards and limits", async () => {
    const records = await runScripted();
    for (const record of records) expect(parseRecord("here", JSON.stringify(record))).toEqual(record);
    const parts: EvaluationRecord[] = [];
    const changes = {
      isDone: (id: string) => parts.some((record) => record.id === id),
      save: async (saved: readonly EvaluationRecord[]) => {
        parts.push(...saved);
      },
    };
    await runScripted({ ...changes, limit: 1, shard: { index: 1, count: 2 } });
    await runScripted({ ...changes, shard: { index: 2, count: 2 } });
    await runScripted({ ...changes, shard: { index: 1, count: 2 } });
    const idsOf = (all: readonly EvaluationRecord[]): string[] => all.map(({ id }) => id).sort();
    expect(idsOf(parts)).toEqual(idsOf(records));
  });

  it("is not applicable beyond the trained length under full, and where no text is so long", async () => {
    const records = await runScripted({
      lengths: [600, 9000].map((lengthTokens) => ({ lengthTokens, exampleCount: 2 })),
    });
    expect(records.map((record) => (record.type === "example" ? record.policy : record.reason))).toEqual([
      ...[expect.stringMatching(/ends at the 512 positions/), expect.stringMatching(/ends at the 512/)],
      ...["streaming", "streaming", expect.stringMatching(/lengthTokens: out of range, got 9000/)],
    ]);
  });
});

describe("the report of perplexity", () => {
  it("has nats with intervals: a column a length, and a row a policy by position", async () => {
    const records = await runScripted({
      lengths: [400, 600].map((lengthTokens) => ({ lengthTokens, exampleCount: 2 })),
    });
    const [row] = summarize(records);
    expect(row?.result?.likelihoods?.byPosition.map(({ from }) => from)).toEqual([0, 64, 128, 256]);
    const { markdown, plots } = makeReport(records, (_, { task }) => task);
    expect(markdown).toContain("| nats a token | 400 | 600 |");
    expect(markdown).toContain("| full | 1.504 (1.504 to 1.504), n 2 | n/a |");
    expect(markdown).toContain("| from position 128 on | 400 | 600 |");
    expect(markdown).toContain("| bits a byte | 400 | 600 |");
    expect(markdown).toContain("| 400, by position | 0 to 63 | 64 to 127 | 128 to 255 | 256 to 511 |");
    expect(markdown).toMatch(/\| streaming \| -?0\.000 \(.*\) \| 1\.563 \(1\.563 to 1\.563\) \|/);
    expect(markdown).toContain("| 600, by commits | 0 | 1 | 2 to 3 | 4 to 7 | 8 to 15 |");
    expect(markdown).not.toContain("score, %");
    expect(Object.keys(plots)).toEqual(["perplexity.svg"]);
    expect(plots["perplexity.svg"]).toContain("Nats a token by position, documents of 600");
  });
});
