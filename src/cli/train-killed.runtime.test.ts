import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTemporaryFolder, type TemporaryFolder } from "../../test/support/command-terminal.ts";
import { digestFiles, tinyTrainingConfig, writeTrainingText } from "../../test/support/training-files.ts";

/** How often a run is killed; `EDGEINFINITE_KILLS=50` for the long version. */
const killCount = Number(process.env.EDGEINFINITE_KILLS ?? 3);

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

/** Says when a process is killed: so long after its first words or, from step 1, after one of its steps. */
interface Kill {
  readonly afterSteps: number;
  readonly delayMs: number;
}

/** Runs the command in a process of its own, to its end or until it is killed; gives the steps that it told of. */
async function run(argv: readonly string[], kill?: Kill): Promise<number> {
  const command = ["--import", "tsx", main, ...argv];
  const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  let isDue = false;
  const countSteps = (): number => text.split('"type":"step"').length - 1;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (bytes) => {
      text += String(bytes);
      if (kill === undefined || isDue || countSteps() < kill.afterSteps) return;
      isDue = true;
      setTimeout(() => child.kill("SIGKILL"), kill.delayMs);
    });
  }
  const [code] = await once(child, "exit");
  if (kill === undefined) expect(`${code} ${text}`).toMatch(/^0 /);
  return countSteps();
}

describe("a training that is killed", () => {
  it("resumes each time, and ends with the files of one that was not", { timeout: 600_000 }, async () => {
    const config = await folder.writeFile("config.json", JSON.stringify(tinyTrainingConfig));
    const data = await folder.writeFile("data.txt", writeTrainingText(400));
    // More than what can be done before the last kill.
    const stepCount = 40 + 10 * killCount;
    const argue = (out: string): string[] => [
      ...[
        "train",
        "base",
        "--config",
        config,
        "--data",
        data,
        "--out",
        join(folder.path, out),
        "--threads",
        "1",
      ],
      ...["--steps", String(stepCount), "--tokens-per-step", "64", "--lengths", "32,64@0.5"],
      ...["--checkpoint-every", "2", "--json", "--resume"],
    ];
    await run(argue("whole"));
    const reached: number[] = [];
    for (let kill = 0; kill < killCount; kill++) {
      const isEarly = kill % 4 === 3;
      const afterSteps = isEarly ? 0 : 1 + Math.floor(9 * Math.random());
      const delayMs = Math.random() * (isEarly ? 1000 : 40);
      reached.push(await run(argue("killed"), { afterSteps, delayMs }));
      // A run that had come to its end would not have been killed.
      expect(existsSync(join(folder.path, "killed", "model.safetensors"))).toBe(false);
    }
    if (killCount > 3) console.info(`steps before each kill: ${reached.join(" ")} of ${stepCount}`);
    await run(argue("killed"));
    const files = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"];
    const digests = await digestFiles(join(folder.path, "whole"), files);
    expect(await digestFiles(join(folder.path, "killed"), files)).toEqual(digests);
  });
});
