/**
 * Trains the model that comes with this package, from nothing, by the package's own commands: the base with its
 * tokenizer, its adapters, and the file of 8 bits. Settings and seeds are in models/recipe.
 *
 *   npm run train:default -- --out OUT_DIR [--short] TEXTS…
 *
 * TEXTS are files or folders to learn from. What is done stays: the same command goes on where it was stopped, and
 * from a checkpoint within a training. In the end the file and the adapters lie in models/edgeinfinite-3m. `--short`
 * trains the base by models/recipe/short, in two hours instead of many, for a model that finds less; it goes to
 * OUT_DIR/short/edgeinfinite-3m.
 */

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { exitWithUsage, parseArguments } from "./parse-arguments.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const recipes = join(root, "models", "recipe");
const modelName = "edgeinfinite-3m";
const usage = "npm run train:default -- --out OUT_DIR [--short] TEXTS…";

/** Is one training: a command, its recipe, and where its outcome goes. */
interface Stage {
  /** Names its outcome, and its recipe but for the folder. */
  readonly name: string;
  /** The folder of its recipe; of the adapters' where undefined. */
  readonly folder?: string;
  readonly command: readonly string[];
  /** Options beside the recipe's; `OUT` stands for the folder of all outcomes. */
  readonly options?: readonly string[];
  /** The file that is written last: where it is, the stage is done. */
  readonly last: string;
}

const gate = { command: ["train", "gate"], last: "adapter_config.json" } as const;

/** Lists the trainings of the base, `base-1.json` and so on: each begins where the one before ended. */
function listBases(folder: string): Stage[] {
  const files = readdirSync(folder).filter((file) => /^base-\d+\.json$/.test(file));
  const numbers = files.map((file) => Number.parseInt(file.slice("base-".length), 10)).sort((a, b) => a - b);
  return numbers.map((number, index) => {
    const before = numbers[index - 1];
    const options = before === undefined ? [] : ["--init", `OUT/base-${before}`];
    return { name: `base-${number}`, folder, command: ["train", "base"], options, last: "config.json" };
  });
}

/** Lists the trainings of the adapters over a base, in their order; one whose recipe is not there is left out. */
function listGates(base: string): Stage[] {
  const model = ["--model", `OUT/${base}`];
  return [
    { name: "retention", ...gate, options: model },
    { name: "distill", ...gate, options: [...model, "--init", "OUT/retention"] },
    { name: "paper", ...gate, options: model },
  ];
}

/** Gives the stages whose outcomes can be each adapter; the first that is there is taken. */
const adapters: Readonly<Record<string, readonly string[]>> = {
  plus: ["distill", "retention"],
  paper: ["paper"],
};

/** Runs a command of this package; ends with its status when it fails. */
function run(argv: readonly string[]): void {
  console.log(`\nedgeinfinite ${argv.join(" ")}`);
  const main = join(root, "dist", "cli", "main.js");
  const { status } = spawnSync(process.execPath, [main, ...argv], { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}

function train(stage: Stage, out: string, data: readonly string[]): void {
  const { name, folder = recipes, command, options = [], last } = stage;
  const recipe = join(folder, `${name}.json`);
  const outcome = join(out, name);
  if (!existsSync(recipe)) console.log(`${name}: left out, there is no ${recipe}`);
  else if (existsSync(join(outcome, last))) console.log(`${name}: done`);
  else {
    const own = options.map((option) => option.replace(/^OUT(?=\/)/, out));
    const settings = ["--recipe-file", recipe, "--data", data.join(","), "--out", outcome, "--resume"];
    run([...command, ...own, ...settings]);
  }
}

/** Copies an adapter's two files, naming its base as users know it. */
async function copyAdapter(name: string, from: string, target: string): Promise<void> {
  const folder = join(target, name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await cp(join(from, "adapter_model.safetensors"), join(folder, "adapter_model.safetensors"));
  const config = JSON.parse(await readFile(join(from, "adapter_config.json"), "utf8"));
  const named = { ...config, base_model_name_or_path: modelName };
  await writeFile(join(folder, "adapter_config.json"), `${JSON.stringify(named, null, 2)}\n`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArguments(
    { options: { out: { type: "string" }, short: { type: "boolean" } }, allowPositionals: true },
    usage,
  );
  if (values.out === undefined || positionals.length === 0) exitWithUsage(usage);
  // Of its own: a stage that is done is known by its name alone.
  const out = resolve(values.out, values.short ? "short" : ".");
  const data = positionals.map((path) => resolve(path));
  await mkdir(out, { recursive: true });
  const bases = listBases(values.short ? join(recipes, "short") : recipes);
  const target = values.short ? join(out, modelName) : join(root, "models", modelName);
  const base = bases.at(-1)?.name ?? "base-1";
  for (const stage of [...bases, ...listGates(base)]) train(stage, out, data);
  await mkdir(target, { recursive: true });
  const file = join(target, `${modelName}-q8_0.gguf`);
  run(["convert", "--model", join(out, base), "--dtype", "q8", "--out", file, "--overwrite"]);
  for (const [name, from] of Object.entries(adapters)) {
    const found = from.find((stage) => existsSync(join(out, stage, gate.last)));
    if (found !== undefined) await copyAdapter(name, join(out, found), target);
  }
  console.log(`\n${target}`);
}

await main();
