import { describe, expect, it } from "vitest";
import type { ExampleRecord } from "./evaluation-record.ts";
import { summarize } from "./summarize.ts";

const record: ExampleRecord = {
  type: "example",
  id: "a",
  model: "tiny",
  task: "recall",
  settings: { facts: 1 },
  policy: "plus",
  memory: { policy: "plus" },
  lengthTokens: 1024,
  metric: "proportion",
  index: 0,
  question: 0,
  score: 1,
  answer: "",
  references: [],
  about: {},
  documentTokens: 1000,
  promptTokens: 1020,
  commitCount: 3,
  stateBytes: 10,
  peakResidentBytes: 5,
  prefillTokensPerSecond: 100,
  decodeTokensPerSecond: null,
  timeToFirstTokenMs: 30,
  meanGateOpening: [0.25, 0.75],
  runtime: "none",
};
const records = (...changes: Partial<ExampleRecord>[]): ExampleRecord[] =>
  changes.map((change, index) => ({ ...record, id: String(index), index, ...change }));

describe("summarize", () => {
  it("counts documents and not questions in intervals", () => {
    const [row] = summarize(
      records({ index: 0, score: 1 }, { index: 0, question: 1, score: 0 }, { index: 1, score: 1 }),
    );
    expect(row?.result).toMatchObject({ documentCount: 2, questionCount: 3, score: 0.75 });
    // Wilson's of 2 documents is far wider than of 3 questions.
    expect(row?.result?.interval[0]).toBeLessThan(0.22);
  });

  it("takes medians of speeds and the greatest of memories, of what is known", () => {
    const [row] = summarize(
      records(
        { stateBytes: 30, prefillTokensPerSecond: 10 },
        { stateBytes: 20, prefillTokensPerSecond: null },
        { prefillTokensPerSecond: 20, decodeTokensPerSecond: 7 },
      ),
    );
    expect(row?.result).toMatchObject({
      ...{ stateBytes: 30, prefillTokensPerSecond: 15, decodeTokensPerSecond: 7, meanGateOpening: 0.5 },
    });
  });

  it("keeps cells apart and sorts lengths, and says where a cell is not applicable", () => {
    const { id, model, task, settings, memory } = record;
    const reason = "too long";
    const rows = summarize([
      ...records({ lengthTokens: 4096 }, { lengthTokens: 260 }, { settings: { facts: 4 } }),
      {
        type: "not-applicable",
        ...{ id, model, task, settings, memory, reason },
        policy: "full",
        lengthTokens: 4096,
      },
    ]);
    expect(rows.map(({ policy, lengthTokens }) => [policy, lengthTokens])).toEqual([
      ["plus", 260],
      ["plus", 4096],
      ["plus", 1024],
      ["full", 4096],
    ]);
    expect(rows.at(-1)).toMatchObject({ result: undefined, reason });
  });
});
