/**
 * Writes a run's figures as Markdown tables.
 */

import type { Results } from "./results.ts";
import { median } from "./statistics.ts";
import type { Ratio, Row, Summary } from "./summarize.ts";

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
const percent = (share: number | undefined): string =>
  share === undefined ? "" : `${(100 * share).toFixed(0)}%`;

/** Writes a length in tokens as people do: 512, 4K. */
export function formatLength(tokens: number): string {
  return tokens >= 1024 && tokens % 1024 === 0 ? `${tokens / 1024}K` : String(tokens);
}

function rowCells(row: Row): string[] {
  return [
    formatLength(row.lengthTokens),
    row.engine,
    row.prefillTokensPerSecond.toFixed(0),
    (row.firstTokenMs / 1000).toFixed(2),
    row.decodeMs.toFixed(1),
    megabytes(row.stateBytes),
    megabytes(row.peakResidentBytes),
    megabytes(row.beyondWeightsBytes),
    percent(row.productShare),
    percent(row.readShare),
    String(row.roundCount),
    percent(row.elsewhere),
  ];
}

const head = [
  "tokens",
  "engine",
  "prefill tok/s",
  "first token s",
  "decode ms",
  "state MB",
  "peak MB",
  "beyond weights MB",
  "of product",
  "of read",
  "rounds",
  "elsewhere",
];

function ratioCells({ figure, value, bar }: Ratio): string[] {
  return [figure, value.toFixed(2), bar ?? ""];
}

function describeEmpty(rows: readonly Row[]): string {
  const bytes = median(rows.map(({ emptyResidentBytes }) => emptyResidentBytes));
  return `Resident memory counts all of a process; with nothing loaded it has ${megabytes(bytes)} MB.`;
}

function describeCeilings({ ceilings }: Results): string {
  if (ceilings.length === 0) return "";
  const products = median(ceilings.map(({ productFlops }) => productFlops)) / 1e9;
  const reads = median(ceilings.map(({ readBytesPerSecond }) => readBytesPerSecond)) / 1e9;
  const shapes = [...new Set(ceilings.map(({ productShape }) => productShape))].join(" or ");
  return `Fastest product: ${products.toFixed(0)} GFLOP/s (${shapes}). Read bandwidth: ${reads.toFixed(1)} GB/s.`;
}

/** Writes what was measured, the figures and their ratios. */
export function formatReport(results: Results, { rows, ratios }: Summary): string {
  const { subject, processor, node, threads, segmentTokens, decodedTokens } = results.setup;
  const engines = [...new Set(results.points.map(({ description }) => description))];
  const about = `${subject}: ${threads} threads, ${processor}, Node ${node}. Medians over the rounds; prefill over the last ${segmentTokens} tokens, decode over ${decodedTokens}.`;
  const parts = [about, engines.map((engine) => `- ${engine}`).join("\n"), table(head, rows.map(rowCells))];
  parts.push(describeCeilings(results), describeEmpty(rows));
  if (ratios.length > 0) parts.push(table(["figure", "measured", "wanted"], ratios.map(ratioCells)));
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}
