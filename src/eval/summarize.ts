/**
 * Summaries: one row a model, task, memory and length, with intervals of confidence.
 *
 * Of several questions about one document the mean counts as one number: they are not independent.
 */

import type { EvaluationRecord, ExampleRecord } from "./evaluation-record.ts";
import { bootstrapInterval, type Interval, mean, wilsonInterval } from "./intervals.ts";
import { type LikelihoodSummary, summarizeLikelihoods } from "./likelihood-summary.ts";

/** Is a row of a table. */
export interface SummaryRow {
  readonly model: string;
  readonly task: string;
  readonly settings: ExampleRecord["settings"];
  readonly policy: string;
  readonly memory: ExampleRecord["memory"];
  readonly lengthTokens: number;
  /** Undefined where it is not applicable. */
  readonly result: RowResult | undefined;
  /** Why it is not applicable. */
  readonly reason: string | undefined;
}

/** Is what was measured; medians of speeds, the greatest of memories. */
export interface RowResult {
  readonly documentCount: number;
  readonly questionCount: number;
  /** In [0, 1]; of tasks that score tokens by their likelihood, nats a token. */
  readonly score: number;
  /** At 95%; over documents. */
  readonly interval: Interval;
  readonly stateBytes: number;
  readonly peakResidentBytes: number;
  readonly prefillTokensPerSecond: number | null;
  readonly decodeTokensPerSecond: number | null;
  readonly timeToFirstTokenMs: number | null;
  readonly meanGateOpening: number | null;
  /** Of tasks that score tokens by their likelihood. */
  readonly likelihoods: LikelihoodSummary | undefined;
}

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => unknown): Item[][] {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = JSON.stringify(keyOf(item));
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

function median(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  if (known.length === 0) return null;
  const [low, high] = [known[(known.length - 1) >> 1], known[known.length >> 1]];
  return ((low ?? 0) + (high ?? 0)) / 2;
}

function summarizeExamples(examples: readonly ExampleRecord[]): RowResult {
  const byDocument = groupBy(examples, ({ index }) => index);
  const scores = byDocument.map((questions) => mean(questions.map(({ score }) => score)));
  const score = mean(scores);
  const isProportion = examples.every(({ metric }) => metric === "proportion");
  const openings = examples.flatMap(({ meanGateOpening }) => meanGateOpening);
  return {
    documentCount: scores.length,
    questionCount: examples.length,
    score,
    interval: isProportion ? wilsonInterval(score, scores.length) : bootstrapInterval(scores),
    stateBytes: Math.max(...examples.map(({ stateBytes }) => stateBytes)),
    peakResidentBytes: Math.max(...examples.map(({ peakResidentBytes }) => peakResidentBytes)),
    prefillTokensPerSecond: median(examples.map(({ prefillTokensPerSecond }) => prefillTokensPerSecond)),
    decodeTokensPerSecond: median(examples.map(({ decodeTokensPerSecond }) => decodeTokensPerSecond)),
    timeToFirstTokenMs: median(examples.map(({ timeToFirstTokenMs }) => timeToFirstTokenMs)),
    meanGateOpening: openings.length === 0 ? null : mean(openings),
    likelihoods: summarizeLikelihoods(examples.flatMap(({ likelihoods }) => likelihoods ?? [])),
  };
}

/** Summarizes records: rows in the order of their first records, lengths ascending. */
export function summarize(records: readonly EvaluationRecord[]): SummaryRow[] {
  const cells = groupBy(records, ({ model, task, settings, policy, memory, lengthTokens }) => [
    ...[model, task, settings, policy, memory, lengthTokens],
  ]);
  const rows = cells.flatMap((cell): SummaryRow[] => {
    const [first] = cell;
    if (first === undefined) return [];
    const examples = cell.filter((record) => record.type === "example");
    const { model, task, settings, policy, memory, lengthTokens } = first;
    return [
      {
        ...{ model, task, settings, policy, memory, lengthTokens },
        result: examples.length === 0 ? undefined : summarizeExamples(examples),
        reason: first.type === "not-applicable" ? first.reason : undefined,
      },
    ];
  });
  const groups = groupBy(rows, ({ model, task, settings, policy, memory }) => [
    ...[model, task, settings, policy, memory],
  ]);
  return groups.flatMap((group) => group.sort((a, b) => a.lengthTokens - b.lengthTokens));
}
