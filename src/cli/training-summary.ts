/**
 * What a training tells before it begins and when it is done.
 */

import type { TrainingRecords } from "../train/data/training-records.ts";
import { formatBytes, formatCount, formatLargeCount, formatSeconds } from "./format.ts";
import type { OutputMode } from "./open-model.ts";
import type { Terminal } from "./terminal.ts";
import { countSkipped } from "./training-data.ts";
import type { TrainingOutcome } from "./training-run.ts";

/** Is what a training begins with. */
export interface TrainingStart {
  /** Numbers that are trained. */
  readonly trained: number;
  /** Numbers of the base that stay as they are. */
  readonly frozen: number;
  readonly data: TrainingRecords;
}

/** Tells what is trained, and on what. */
export async function tellTrainingStart(
  terminal: Terminal,
  { json, quiet }: OutputMode,
  { trained, frozen, data }: TrainingStart,
): Promise<void> {
  const share = trained / (trained + frozen);
  if (json) {
    const { count, sizeBytes } = data;
    const facts = { trainedCount: trained, trainedShare: share, recordCount: count, dataBytes: sizeBytes };
    return terminal.stdout.json({ type: "start", ...facts });
  }
  if (quiet) return;
  const part = frozen === 0 ? "" : `, ${(100 * share).toFixed(2)}% of all with the frozen base`;
  await terminal.stderr.line(`training  ${formatLargeCount(trained)} parameters${part}`);
  await terminal.stderr.line(`data      ${formatCount(data.count)} records, ${formatBytes(data.sizeBytes)}`);
}

/** Tells what a training has made. */
export async function tellTrained(
  terminal: Terminal,
  { json, quiet }: OutputMode,
  folder: string,
  { point, loss, seconds }: TrainingOutcome,
): Promise<void> {
  const { step, tokenCount, skipped, position } = point;
  const skippedRecords = countSkipped(position);
  if (json) {
    const counts = { step, tokenCount, skippedSteps: skipped.total, skippedRecords };
    return terminal.stdout.json({ type: "finish", folder, ...counts, loss, seconds });
  }
  if (quiet) return;
  const last = Number.isNaN(loss) ? "" : `, loss ${loss.toFixed(4)} in the last`;
  await terminal.stdout.write(
    [
      `${folder}: ${formatCount(step)} steps${last}\n`,
      `  ${formatCount(tokenCount)} tokens read; this run took ${formatSeconds(seconds)}\n`,
      ...(skipped.total > 0 ? [`  ${skipped.total} steps skipped: no finite loss\n`] : []),
      ...(skippedRecords > 0
        ? [`  ${formatCount(skippedRecords)} records or ends of records were too short and were skipped\n`]
        : []),
      "  training/log.jsonl and training/loss.svg say how it went\n",
    ].join(""),
  );
}
