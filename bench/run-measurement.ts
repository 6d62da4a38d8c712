/**
 * Starts a process for one measurement and waits for what it gives.
 */

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { MeasureAnswer, MeasureTask } from "./measure-process.ts";

const script = fileURLToPath(new URL("./measure-process.ts", import.meta.url));

/** Runs a task in a process of its own. @throws when the process fails or ends without an answer. */
export function runMeasurement(task: MeasureTask): Promise<object> {
  const label = task.kind === "point" ? `${task.engine} at ${task.sizes.lengthTokens} tokens` : task.kind;
  const child = fork(script, { execArgv: ["--import", "tsx"] });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("message", (answer: MeasureAnswer) => {
      if ("error" in answer) reject(new Error(`bench: ${label} failed: ${answer.error}`));
      else resolve(answer.result);
    });
    child.once("exit", (code, signal) =>
      reject(new Error(`bench: ${label} ended without a result (${signal ?? code})`)),
    );
    child.send(task);
  });
}
