/**
 * Tables of an evaluation for a terminal.
 */

import type { EvaluationRecord } from "../eval/evaluation-record.ts";
import { type SummaryRow, summarize } from "../eval/summarize.ts";
import { formatBytes, formatCount, formatRate, formatSeconds, formatTable } from "./format.ts";

const share = (value: number): string => (100 * value).toFixed(1);

/** Writes what tells rows of one task apart. */
export function describeSettings(rows: readonly SummaryRow[], { task, settings }: SummaryRow): string {
  const ofTask = rows.filter((row) => row.task === task);
  const names = Object.keys(settings).filter(
    (name) => name === "facts" || ofTask.some((row) => row.settings[name] !== settings[name]),
  );
  return [task, ...names.map((name) => `${name} ${settings[name]}`)].join(" ");
}

const header = [
  "task",
  "policy",
  "tokens",
  "%",
  "95%",
  "n",
  "state",
  "resident",
  "prefill/s",
  "decode/s",
  "first",
];

function formatRow(rows: readonly SummaryRow[], row: SummaryRow): string[] {
  const { policy, lengthTokens, result } = row;
  const start = [describeSettings(rows, row), policy, formatCount(lengthTokens)];
  if (result === undefined) return [...start, "n/a"];
  const [low, high] = result.interval;
  const { timeToFirstTokenMs: first } = result;
  return [
    ...start,
    share(result.score),
    `${share(low)} to ${share(high)}`,
    String(result.questionCount),
    formatBytes(result.stateBytes),
    formatBytes(result.peakResidentBytes),
    formatRate(result.prefillTokensPerSecond ?? undefined),
    formatRate(result.decodeTokensPerSecond ?? undefined),
    first === null ? "?" : formatSeconds(first / 1000),
  ];
}

/** Writes the table of some records; below it why some cells are empty. */
export function formatEvaluation(records: readonly EvaluationRecord[]): string {
  const rows = summarize(records);
  const models = [...new Set(rows.map(({ model }) => model))];
  const reasons = [
    ...new Set(
      rows.flatMap(({ policy, lengthTokens, reason }) =>
        reason === undefined ? [] : [`n/a: ${policy} at ${formatCount(lengthTokens)}: ${reason}`],
      ),
    ),
  ];
  const tables = models.map((model) => {
    const own = rows.filter((row) => row.model === model);
    return `${model}\n${formatTable([header, ...own.map((row) => formatRow(own, row))])}`;
  });
  return [...tables, ...reasons.map((reason) => `${reason}\n`)].join("");
}
