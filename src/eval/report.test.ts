import { describe, expect, it } from "vitest";
import type { EvaluationRecord, ExampleRecord } from "./evaluation-record.ts";
import { makeReport } from "./report.ts";

function example(policy: string, lengthTokens: number, index: number, score: number): ExampleRecord {
  return {
    type: "example",
    id: `${policy} ${lengthTokens} ${index}`,
    model: "tiny <1>",
    task: "needle",
    settings: { seed: 1 },
    policy,
    memory: { policy },
    lengthTokens,
    metric: "proportion",
    index,
    question: 0,
    score,
    answer: "",
    references: ["1"],
    about: { depth: index / 10 },
    documentTokens: lengthTokens,
    promptTokens: lengthTokens,
    commitCount: 1,
    stateBytes: 2_000_000,
    peakResidentBytes: 3_000_000,
    prefillTokensPerSecond: 100,
    decodeTokensPerSecond: null,
    timeToFirstTokenMs: 1500,
    meanGateOpening: policy === "paper" ? [0.25, 0.5] : [],
    gateOpening:
      policy === "paper"
        ? [
            [0.125, 0.375],
            [0.5, 0.5],
          ]
        : [],
    runtime: "test",
  };
}

const cell = {
  model: "tiny <1>",
  task: "needle",
  settings: { seed: 1 },
  policy: "full",
  memory: { policy: "full" },
};
const refused: EvaluationRecord = {
  type: "not-applicable",
  id: "full 4096",
  ...cell,
  lengthTokens: 4096,
  reason: "a full cache ends at 2048",
};
const records: readonly EvaluationRecord[] = [
  ...[0, 1, 2, 3].map((index) => example("paper", 1024, index, index < 3 ? 1 : 0)),
  ...[0, 1].map((index) => example("paper", 4096, index, 0)),
  example("full", 1024, 0, 1),
  refused,
];
const { html, markdown, plots } = makeReport(records, (_, { task }) => task);

describe("a report", () => {
  it("gives scores with their intervals, a column a length, and says what is not applicable", () => {
    expect(markdown).toContain("| score, % | 1K | 4K |");
    // Wilson's interval of 3 of 4.
    expect(markdown).toContain("| paper | 75.0 (30.1 to 95.4), n 4 | 0.0 (0.0 to 65.8), n 2 |");
    expect(markdown).toMatch(/\| full \| 100\.0 \(20\.7 to 100\.0\), n 1 \| n\/a \|/);
    expect(markdown).toContain("n/a: full at 4K: a full cache ends at 2048");
  });

  it("gives what each row costs, and how far gates open in each layer", () => {
    // No example has a speed of decoding, so there is no column of it; the other policy has no gate.
    expect(markdown).toMatch(/prefill, tokens\/s \| first token, s \| mean gate \|/);
    expect(markdown).toContain("| paper | 1K | 2 | 3 | 100 | 1.5 | 0.375 |");
    expect(markdown).toContain("| full | 1K | 2 | 3 | 100 | 1.5 | n/a |");
    expect(markdown).toContain("| paper | 0.25 | 0.5 |");
    expect(markdown).not.toMatch(/\| full \| 0\.25/);
  });

  it("is one page that loads nothing, with all text escaped", () => {
    expect(html).not.toMatch(/<script|<link|<img|url\(|https?:(?!\/\/www\.w3\.org\/2000\/svg")/);
    expect(html).toContain("Evaluation of tiny &lt;1>");
    expect(html.match(/<svg /g)).toHaveLength(Object.keys(plots).length);
  });

  it("puts what stands in brackets below its number", () => {
    expect(html).toContain("<td>75.0<small>(30.1 to 95.4), n 4</small></td>");
    expect(html).toContain("<td>paper</td>");
  });

  it("draws a line a policy, and depths against lengths", () => {
    expect(Object.keys(plots)).toEqual([
      "needle.svg",
      "needle-paper-depths.svg",
      "needle-paper-gates.svg",
      "needle-full-depths.svg",
    ]);
    expect(plots["needle.svg"]).toContain(">paper</text>");
    const map = plots["needle-paper-depths.svg"] ?? "";
    // Four depths at 1K, two of them at 4K.
    expect(map.match(/<rect x=/g)).toHaveLength(6);
    expect(map).toContain(">30%</text>");
  });

  it("draws how far the gate of each head and layer opens", () => {
    const map = plots["needle-paper-gates.svg"] ?? "";
    // Heads down, layers across.
    expect([...map.matchAll(/fill="(?:#222|white)">([\d.]+)</g)].map(([, value]) => value)).toEqual([
      ...["12.5", "50.0"],
      ...["37.5", "50.0"],
    ]);
    expect(map.match(/<rect x=/g)).toHaveLength(4);
    // Records of earlier versions tell of layers alone.
    const earlier = records.map((record) => ({ ...record, gateOpening: undefined }));
    expect(Object.keys(makeReport(earlier, (_, { task }) => task).plots)).not.toContain(
      "needle-paper-gates.svg",
    );
  });

  it("tells as many policies apart as there are, by colour, dashes and symbol", () => {
    const many = Array.from({ length: 14 }, (_, index) => example(`policy ${index}`, 1024, 0, 1));
    const svg = makeReport(many, (_, { task }) => task).plots["needle.svg"] ?? "";
    const [first = ""] = svg.split("</g>");
    const entries = [...first.matchAll(/h28"[^>]*stroke="(#\w+)"[^>]*?(dasharray="[^"]+")?\/>/g)];
    expect(entries).toHaveLength(14);
    expect(new Set(entries.map(([, color, dashes]) => `${color} ${dashes}`)).size).toBe(14);
  });

  it("is made of nothing but refusals too", () => {
    expect(makeReport([refused], (_, { task }) => task).plots).toEqual({});
  });
});
