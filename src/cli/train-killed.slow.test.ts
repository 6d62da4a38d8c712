import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTemporaryFolder, type TemporaryFolder } from "../../test/support/command-terminal.ts";
import { digestFiles, tinyTrainingConfig, writeTrainingText } from "../../test/support/training-files.ts";
import { createTinyModelFolder } from "../testing/index.ts";

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

/** Is a training to kill: its command but for where it goes, and the files it ends with, the last one last. */
interface Training {
  readonly name: string;
  readonly argv: readonly string[];
  readonly files: readonly string[];
}

// More than what can be done before the last kill.
const stepCount = 40 + (killCount > 3 ? 80 : 10) * killCount;
const modelFiles = ["generation_config.json", "tokenizer.json", "model.safetensors", "config.json"];
const adapterFiles = ["adapter_model.safetensors", "adapter_config.json"];

/** Lists one training of each kind of checkpoint: a base, gates, and a retention score. */
async function listTrainings(): Promise<Training[]> {
  const config = await folder.writeFile("config.json", JSON.stringify(tinyTrainingConfig));
  const data = await folder.writeFile("data.txt", writeTrainingText(400));
  const model = await folder.writeModel(createTinyModelFolder());
  const often = ["--steps", String(stepCount), "--checkpoint-every", "2"];
  const course = ["--data", data, "--threads", "1", "--json", "--resume", ...often];
  const base = ["train", "base", "--config", config, "--tokens-per-step", "64", "--lengths", "32,64@0.5"];
  const gate = ["train", "gate", "--model", model, "--sinks", "2", "--window", "12", "--segment", "8"];
  const retention = ["--slots", "6", "--length", "48", "--rank", "5", "--tokens-per-step", "48"];
  return [
    { name: "train base", argv: [...base, ...course], files: modelFiles },
    { name: "train base, muon", argv: [...base, "--optimizer", "muon", ...course], files: modelFiles },
    {
      name: "train gate, lm",
      argv: [...gate, "--recipe", "lm", "--segments", "4", "--rank", "4", ...course],
      files: adapterFiles,
    },
    {
      name: "train gate, retention",
      argv: [...gate, "--variant", "plus", "--recipe", "retention", ...retention, ...course],
      files: adapterFiles,
    },
  ];
}

describe("a training that is killed", () => {
  const names = ["train base", "train base, muon", "train gate, lm", "train gate, retention"];
  it.for(names)(
    "%s resumes each time, and ends with the files of one that was not",
    { timeout: 1_200_000 },
    async (name) => {
      const training = (await listTrainings()).find((each) => each.name === name);
      if (training === undefined) throw new Error(`no training is called ${name}`);
      const whole = join(folder.path, `${name}, whole`);
      const killed = join(folder.path, `${name}, killed`);
      await run([...training.argv, "--out", whole]);
      const reached: number[] = [];
      for (let kill = 0; kill < killCount; kill++) {
        const isEarly = kill % 4 === 3;
        const afterSteps = isEarly ? 0 : 1 + Math.floor(9 * Math.random());
        const delayMs = Math.random() * (isEarly ? 1000 : 40);
        reached.push(await run([...training.argv, "--out", killed], { afterSteps, delayMs }));
        // A run that had come to its end would not have been killed.
        expect(existsSync(join(killed, training.files.at(-1) ?? ""))).toBe(false);
      }
      if (killCount > 3)
        console.info(`${name}: steps before each kill: ${reached.join(" ")} of ${stepCount}`);
      await run([...training.argv, "--out", killed]);
      expect(await digestFiles(killed, training.files)).toEqual(await digestFiles(whole, training.files));
    },
  );
});
