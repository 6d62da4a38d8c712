/**
 * Tables of an evaluation for a terminal.
 */

import type { EvaluationRecord } from "../eval/evaluation-record.ts";
import { hasLikelihoods, tabulateLikelihoods } from "../eval/likelihood-tables.ts";
import { type SummaryRow, summarize } from "../eval/summarize.ts";
import { dropEmptyColumns, notApplicable } from "../eval/table.ts";
import { formatBytes, formatCount, formatRate, formatSeconds, formatTable } from "./format.ts";

const nats = (value: number): string => value.toFixed(3);
const share = (value: number): string => (100 * value).toFixed(1);

/** Writes the name of a setting in words: `questionsPerDocument` as "questions per document". */
const inWords = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/** Writes what tells rows of one task apart. */
export function describeSettings(rows: readonly SummaryRow[], { task, settings }: SummaryRow): string {
  const ofTask = rows.filter((row) => row.task === task);
  const names = Object.keys(settings).filter(
    (name) => name === "facts" || ofTask.some((row) => row.settings[name] !== settings[name]),
  );
  return [task, ...names.map((name) => `${inWords(name)} ${settings[name]}`)].join(", ");
}

const header = (score: string): string[] => [
  "task",
  "policy",
  "tokens",
  score,
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
  if (result === undefined) return [...start, notApplicable];
  const [low, high] = result.interval;
  const write = result.likelihoods === undefined ? share : nats;
  const { timeToFirstTokenMs: first } = result;
  const rate = (speed: number | null): string => (speed === null ? notApplicable : formatRate(speed));
  return [
    ...start,
    write(result.score),
    `${write(low)} to ${write(high)}`,
    String(result.questionCount),
    formatBytes(result.stateBytes),
    formatBytes(result.peakResidentBytes),
    rate(result.prefillTokensPerSecond),
    rate(result.decodeTokensPerSecond),
    first === null ? notApplicable : formatSeconds(first / 1000),
  ];
}

/** Writes the tables of one model: of scores, then of likelihoods, as a whole and by position and commits. */
function formatModel(rows: readonly SummaryRow[]): string {
  const isScored = ({ task }: SummaryRow): boolean => hasLikelihoods(rows.filter((row) => row.task === task));
  const [scored, asked] = [rows.filter(isScored), rows.filter((row) => !isScored(row))];
  const format = (score: string, own: readonly SummaryRow[]): string =>
    own.length === 0
      ? ""
      : formatTable(dropEmptyColumns([header(score), ...own.map((row) => formatRow(rows, row))], 4));
  const settings = [...new Set(scored.map((row) => describeSettings(rows, row)))];
  const details = settings.flatMap((name) =>
    tabulateLikelihoods(
      scored.filter((row) => describeSettings(rows, row) === name),
      formatCount,
    ).slice(1),
  );
  const tables = details.map((table) => formatTable(table.map((cells) => [...cells])));
  return [format("%", asked), format("nats", scored), ...tables].filter((table) => table !== "").join("\n");
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
    return `${model}\n${formatModel(own)}`;
  });
  return [...tables, ...reasons.map((reason) => `${reason}\n`)].join("");
}
