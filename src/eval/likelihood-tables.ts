/**
 * Tables of likelihoods: nats a token with their intervals, and bits a byte; a row a policy.
 */

import type { Interval } from "./intervals.ts";
import { describeBucket } from "./likelihood-sums.ts";
import type { SummaryRow } from "./summarize.ts";
import { notApplicable, type Table } from "./table.ts";

interface Mean {
  readonly nll: number;
  readonly interval: Interval;
  readonly documentCount: number;
}

/** Writes a mean with its interval. */
function writeMean({ nll, interval: [low, high] }: Mean): string {
  return `${nll.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
}

const policiesOf = (rows: readonly SummaryRow[]): string[] => [...new Set(rows.map(({ policy }) => policy))];
const lengthsOf = (rows: readonly SummaryRow[]): number[] =>
  [...new Set(rows.map(({ lengthTokens }) => lengthTokens))].sort((a, b) => a - b);

type FormatTokens = (tokens: number) => string;

/** Lays out a number of each policy and length: a column a length. */
function tabulateLengths(
  title: string,
  rows: readonly SummaryRow[],
  formatTokens: FormatTokens,
  writeOf: (row: SummaryRow) => string | undefined,
): Table {
  const lengths = lengthsOf(rows);
  const write = (policy: string, length: number): string => {
    const row = rows.find((one) => one.policy === policy && one.lengthTokens === length);
    return row === undefined ? "" : (writeOf(row) ?? notApplicable);
  };
  return [
    [title, ...lengths.map(formatTokens)],
    ...policiesOf(rows).map((policy) => [policy, ...lengths.map((length) => write(policy, length))]),
  ];
}

const writeCounted = (found: Mean | undefined): string | undefined =>
  found && `${writeMean(found)}, n ${found.documentCount}`;

/** Lays out means by position or by commits at one length: a column a bucket; undefined where there are none. */
function tabulateBuckets(
  kind: "byPosition" | "byCommits",
  title: string,
  rows: readonly SummaryRow[],
): Table | undefined {
  const scored = rows.flatMap(({ policy, result }) =>
    result?.likelihoods === undefined ? [] : [{ policy, buckets: result.likelihoods[kind] }],
  );
  const starts = [...new Set(scored.flatMap(({ buckets }) => buckets.map(({ from }) => from)))];
  if (starts.length === 0) return undefined;
  starts.sort((a, b) => a - b);
  return [
    [title, ...starts.map((from) => describeBucket(kind, from))],
    ...scored.map(({ policy, buckets }) => [
      policy,
      ...starts.map((start) => {
        const found = buckets.find(({ from }) => from === start);
        return found === undefined ? "" : writeMean(found);
      }),
    ]),
  ];
}

/** Tells whether rows are of a task that scores tokens by their likelihood. */
export function hasLikelihoods(rows: readonly SummaryRow[]): boolean {
  return rows.some(({ result }) => result?.likelihoods !== undefined);
}

/** Lays out the likelihoods of one task: overall, past the window, in bits a byte, and for each length by position and commits. */
export function tabulateLikelihoods(rows: readonly SummaryRow[], formatTokens: FormatTokens): Table[] {
  const past = rows.flatMap(({ result }) => result?.likelihoods?.pastWindow?.from ?? [])[0];
  const lay = (title: string, writeOf: (row: SummaryRow) => string | undefined): Table =>
    tabulateLengths(title, rows, formatTokens, writeOf);
  const overall = lay("nats a token", ({ result }) =>
    writeCounted(result && { ...result, nll: result.score }),
  );
  const behind =
    past === undefined
      ? []
      : [lay(`from position ${past} on`, ({ result }) => writeCounted(result?.likelihoods?.pastWindow))];
  const bits = rows.some(({ result }) => result?.likelihoods?.bitsPerByte !== undefined)
    ? [lay("bits a byte", ({ result }) => result?.likelihoods?.bitsPerByte?.toFixed(3))]
    : [];
  const buckets = lengthsOf(rows).flatMap((length) => {
    const own = rows.filter(({ lengthTokens }) => lengthTokens === length);
    const of = formatTokens(length);
    return [
      tabulateBuckets("byPosition", `${of}, by position`, own) ?? [],
      tabulateBuckets("byCommits", `${of}, by commits`, own) ?? [],
    ].filter((table) => table.length > 0);
  });
  return [overall, ...behind, ...bits, ...buckets];
}
