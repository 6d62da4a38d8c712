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

/** Trains with so many workers; gives the losses of the steps. */
function train(out: string, ...more: readonly string[]): number[] {
  const paths = ["--config", config, "--data", data, "--out", join(folder, out)];
  const sizes = ["--lengths", "32,48@3", "--tokens-per-step", "160", "--threads", "1"];
  const argv = [commandFile, "train", "base", ...paths, ...sizes, ...more];
  const { status, stderr } = runNode(argv);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  const lines = readFileSync(join(folder, out, "training", "log.jsonl"), "utf8")
    .trim()
    .split("\n");
  return lines.map((line) => (JSON.parse(line) as { loss: number }).loss);
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
});
