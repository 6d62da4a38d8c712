import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { digestFiles, tinyTrainingConfig, writeTrainingText } from "../support/training-files.ts";
import { commandFile, runNode } from "./manifest.ts";

const folder = mkdtempSync(join(tmpdir(), "edgeinfinite-workers-"));
afterAll(() => rmSync(folder, { recursive: true }));

const [config, data] = [join(folder, "config.json"), join(folder, "data.txt")];
writeFileSync(config, JSON.stringify(tinyTrainingConfig));
writeFileSync(data, writeTrainingText(200));

function argue(out: string, ...more: readonly string[]): string[] {
  const paths = ["--config", config, "--data", data, "--out", join(folder, out)];
  const sizes = ["--lengths", "32,48@3", "--tokens-per-step", "160", "--threads", "1"];
  return [commandFile, "train", "base", ...paths, ...sizes, ...more];
}

/** Trains with so many workers; gives the losses of the steps. */
function train(out: string, ...more: readonly string[]): number[] {
  const { status, stderr } = runNode(argue(out, ...more));
  expect({ status, stderr }).toMatchObject({ status: 0 });
  const lines = readFileSync(join(folder, out, "training", "log.jsonl"), "utf8")
    .trim()
    .split("\n");
  return lines.map((line) => (JSON.parse(line) as { loss: number }).loss);
}

/** Trains until its output holds a text, and then, after a while, interrupts the process as Ctrl-C does; gives how it ended. */
async function interrupt(
  argv: readonly string[],
  text: string,
  delayMs = 0,
): Promise<{ readonly status: number | null; readonly stderr: string }> {
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr, isDue] = ["", "", false];
  child.stdout.on("data", (bytes) => {
    stdout += String(bytes);
    if (isDue || !stdout.includes(text)) return;
    isDue = true;
    setTimeout(() => child.kill("SIGINT"), delayMs);
  });
  child.stderr.on("data", (bytes) => {
    stderr += String(bytes);
  });
  const [status] = await once(child, "exit");
  return { status, stderr };
}

describe("train base --workers", () => {
  it("learns as one thread does, and the same to the bit when run again or resumed", async () => {
    const alone = train("alone", "--steps", "6");
    const several = train("several", "--steps", "6", "--workers", "3");
    expect(several).toHaveLength(6);
    for (const [step, loss] of several.entries()) expect(loss).toBeCloseTo(alone[step] ?? 0, 4);
    train("again", "--steps", "6", "--workers", "3", "--checkpoint-every", "2");
    const digests = await digestFiles(join(folder, "several"), ["model.safetensors"]);
    expect(await digestFiles(join(folder, "again"), ["model.safetensors"])).toEqual(digests);
  });

  it("stops at Ctrl-C with a checkpoint, and resumes to the same model bit for bit", async () => {
    const plan = ["--steps", "40", "--workers", "2"];
    train("straight", ...plan);
    const stopped = await interrupt(argue("stopped", ...plan, "--json"), '"step":3,');
    const saved = /stopped; step (\d+) of 40 is saved/.exec(stopped.stderr)?.[1];
    expect({ ...stopped, saved: Number(saved) >= 3 }).toMatchObject({ status: 130, saved: true });
    train("stopped", ...plan, "--resume");
    const digests = await digestFiles(join(folder, "straight"), ["model.safetensors"]);
    expect(await digestFiles(join(folder, "stopped"), ["model.safetensors"])).toEqual(digests);
  });

  it("does not wait for the end of a step at Ctrl-C", async () => {
    // A step of minutes: the test would run out of time. Its documents are read within the delay.
    const long = ["--steps", "2", "--workers", "2", "--tokens-per-step", "1500000", "--json"];
    const { status, stderr } = await interrupt(argue("long", ...long), '"type":"start"', 4000);
    expect({ status, stderr }).toMatchObject({ status: 130 });
    expect(stderr).toMatch(/no step is saved: the same command with --resume begins anew/);
  });
});
