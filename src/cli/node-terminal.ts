/**
 * The terminal of this process.
 */

import { fstatSync } from "node:fs";
import { exitCodes } from "./exit-codes.ts";
import { Interrupts } from "./interrupts.ts";
import { type Terminal, TextOutput } from "./terminal.ts";

/** A program that starts this one often leaves an idle socket as its input; a shell puts pipes and files. */
function isPipeOrFile(descriptor: number): boolean {
  try {
    const stats = fstatSync(descriptor);
    return stats.isFIFO() || stats.isFile();
  } catch {
    return false;
  }
}

/** Asks for the resident set anew after so long, milliseconds: it is asked for after every run, and is a file to read. */
const residentRefreshMs = 50;

function createResidentGauge(): () => number {
  let [bytes, readAt] = [0, Number.NEGATIVE_INFINITY];
  return () => {
    const now = performance.now();
    if (now - readAt >= residentRefreshMs) [bytes, readAt] = [process.memoryUsage.rss(), now];
    return bytes;
  };
}

/** Takes over the process's streams and Ctrl-C. */
export function openProcessTerminal(): Terminal {
  const interrupts = new Interrupts(() => process.exit(exitCodes.interrupted));
  process.on("SIGINT", () => interrupts.interrupt());
  return {
    stdin: process.stdin,
    isInputInteractive: process.stdin.isTTY === true,
    isInputPiped: isPipeOrFile(0),
    stdout: new TextOutput(process.stdout, process.stdout.isTTY === true),
    stderr: new TextOutput(process.stderr, process.stderr.isTTY === true),
    environment: process.env,
    interrupts,
    residentBytes: createResidentGauge(),
  };
}
