/**
 * What is told in the end: how a reading went, what the session holds and costs.
 */

import type { FinishEvent } from "../engine/generate.ts";
import type { SessionStats } from "../engine/stats.ts";
import { formatByteChange, formatBytes, formatCount, formatRate, formatSeconds } from "./format.ts";
import type { ReadingReport } from "./reading-meter.ts";

function mean(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function formatTenths({ firstTenthTokensPerSecond: first, lastTenthTokensPerSecond: last }: ReadingReport) {
  if (first === undefined || last === undefined) return "too short to compare its beginning and end";
  const ratio = (last / first).toFixed(2);
  return `first tenth ${formatRate(first)} tokens/s, last tenth ${formatRate(last)} (${ratio} times)`;
}

function formatPath(stats: SessionStats): string {
  const { sinks, slots, local, memory, dropped } = stats.tokens;
  const gate = mean(stats.meanGateOpening);
  const places = Object.entries({ sinks, slots, local, memory, forgotten: dropped })
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${formatCount(count)} ${name}`);
  return [
    `${stats.policy}, path ${stats.path}`,
    `${formatCount(stats.commitCount)} commits`,
    ...(gate === undefined ? [] : [`mean gate ${gate.toFixed(3)}`]),
    `tokens: ${places.join(", ") || "none"}`,
  ].join("; ");
}

function formatState(stats: SessionStats, reading: ReadingReport | undefined): string {
  const changed = reading !== undefined && reading.leastStateBytes !== reading.mostStateBytes;
  const course =
    reading === undefined
      ? ""
      : changed
        ? `, grown from ${formatBytes(reading.leastStateBytes)}`
        : ", constant throughout";
  const full = `an ordinary cache would take ${formatBytes(stats.fullCacheBytes)}`;
  return `${formatBytes(stats.stateBytes)}${course} (${full})`;
}

/** Lists what a session holds and costs, a line each. */
export function formatStats(stats: SessionStats, reading?: ReadingReport): string[] {
  return [`state     ${formatState(stats, reading)}`, `memory    ${formatPath(stats)}`];
}

function formatReading(reading: ReadingReport): string[] {
  const { tokenCount, seconds, tokensPerSecond, residentBytes, residentGrowthBytes } = reading;
  const rate = `${formatRate(tokensPerSecond)} tokens/s`;
  const growth =
    residentGrowthBytes === undefined
      ? ""
      : `, ${formatByteChange(residentGrowthBytes)} after the first tenth`;
  return [
    `read      ${formatCount(tokenCount)} tokens in ${formatSeconds(seconds)}, ${rate}; all logits finite`,
    `speed     ${formatTenths(reading)}`,
    `process   ${formatBytes(residentBytes)} resident${growth}`,
  ];
}

function formatWriting(stats: SessionStats, finish: FinishEvent | undefined): string {
  const rate = `${formatRate(stats.decodeTokensPerSecond)} tokens/s`;
  const wait =
    stats.timeToFirstTokenMs === undefined
      ? ""
      : `, the first after ${formatSeconds(stats.timeToFirstTokenMs / 1000)}`;
  const ends = { stop: "ended by the model or a stop text", length: "ended by its length" };
  const end = finish === undefined ? "stopped" : ends[finish.reason];
  return `written   ${formatCount(stats.decodeTokens)} tokens, ${rate}${wait}; ${end}`;
}

/** Writes the summary of a run, a line for each matter. */
export function formatSummary(
  stats: SessionStats,
  reading: ReadingReport | undefined,
  finish: FinishEvent | undefined,
): string {
  const lines = [
    ...(reading === undefined ? [] : formatReading(reading)),
    ...formatStats(stats, reading),
    ...(stats.decodeTokens === 0 ? [] : [formatWriting(stats, finish)]),
  ];
  return `${lines.join("\n")}\n`;
}
