/**
 * Progress on a terminal: one line that is written over and over, and is gone in the end.
 *
 * Where nobody looks, nothing is written.
 */

import { formatBytes, formatCount, formatRate, formatSeconds } from "./format.ts";
import type { TextOutput } from "./terminal.ts";

/** Says how far a reading is. */
export interface ReadingProgress {
  /** From 0 to 1; undefined where the end cannot be told. */
  readonly share: number | undefined;
  readonly readTokens: number;
  readonly tokensPerSecond: number;
  readonly stateBytes: number;
  readonly residentBytes: number;
  readonly seconds: number;
}

const barCells = 20;

/** Draws a bar of twenty cells, after the share in percent. */
export function formatBar(share: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * barCells);
  return `${String(Math.floor(share * 100)).padStart(3)}% ${"█".repeat(filled)}${"░".repeat(barCells - filled)}`;
}

/** Writes the progress of a reading as a line; what does not fit in `columns` is left out from the end. */
export function formatReadingProgress(progress: ReadingProgress, columns: number): string {
  const { share, readTokens, tokensPerSecond, stateBytes, residentBytes, seconds } = progress;
  const parts = [
    ...(share === undefined ? ["reading"] : [formatBar(share)]),
    `${formatCount(readTokens)} tokens`,
    `${formatRate(tokensPerSecond)} tokens/s`,
    ...(share === undefined || share <= 0 || share >= 1
      ? []
      : [`${formatSeconds((seconds * (1 - share)) / share)} left`]),
    `state ${formatBytes(stateBytes)}`,
    `resident ${formatBytes(residentBytes)}`,
  ];
  return fitParts(parts, columns);
}

/** Joins as many parts as fit in a line. */
export function fitParts(parts: readonly string[], columns: number): string {
  let line = "";
  for (const part of parts) {
    const longer = line === "" ? part : `${line}  ${part}`;
    // The last column stays free: terminals wrap there.
    if (longer.length >= columns) break;
    line = longer;
  }
  return line;
}

/** A line is drawn at most this often. */
const redrawMs = 100;

/** Shows one changing line. */
export class StatusLine {
  readonly #output: TextOutput;
  readonly #isShown: boolean;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #isDrawn = false;

  constructor(output: TextOutput, isWanted = true) {
    this.#output = output;
    this.#isShown = isWanted && output.isInteractive;
  }

  /** Shows what `draw` gives for a width, unless the last drawing was a moment ago. */
  show(draw: (columns: number) => string): void {
    if (!this.#isShown || performance.now() - this.#drawnAt < redrawMs) return;
    this.#drawnAt = performance.now();
    this.#isDrawn = true;
    void this.#output.write(`\r\u001b[2K${draw(this.#output.columns)}`);
  }

  /** Takes the line away. */
  async clear(): Promise<void> {
    if (!this.#isDrawn) return;
    this.#isDrawn = false;
    this.#drawnAt = Number.NEGATIVE_INFINITY;
    await this.#output.write("\r\u001b[2K");
  }
}
