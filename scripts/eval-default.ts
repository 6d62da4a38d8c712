/**
 * Evaluates the model that comes with this package, by the package's own commands: the tables of docs/results.md.
 *
 *   npm run eval:default -- --out OUT_DIR --haystack PATH [--haystack PATH…] [--only NAME,…] [--long]
 *
 * Each set of tasks has a folder of OUT_DIR, with its records and its report. What is done stays: the same command
 * goes on where it was stopped. `--long` adds the lengths of 256K and 1M tokens, which take hours.
 */

import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const sizes = ["--sinks", "4", "--window", "64", "--segment", "64", "--slots", "128"];
const compared = ["--policies", "streaming,paper,infini,h2o,snapkv,pyramidkv,keydiff,plus"];

/** Is one run of `edgeinfinite eval`. */
interface Run {
  /** Names its folder. */
  readonly name: string;
  readonly task: string;
  readonly argv: readonly string[];
}

const runs: readonly Run[] = [
  // Inside the trained context, beside full attention.
  {
    name: "base",
    task: "recall",
    argv: [
      "--policies",
      "full",
      "--facts",
      "1,4",
      "--lengths",
      "512,1000",
      "--examples",
      "100",
      "--distance",
      "32",
    ],
  },
  {
    name: "base-wordings",
    task: "recall",
    argv: ["--policies", "full,plus", "--wordings", "held-out", "--lengths", "1000", "--examples", "100"],
  },
  { name: "one-fact", task: "recall", argv: [...compared, "--lengths", "1K,4K,16K", "--examples", "100"] },
  {
    name: "one-fact-64k",
    task: "recall",
    argv: ["--policies", "keydiff,plus", "--lengths", "64K", "--examples", "50"],
  },
  {
    name: "sixteen-facts",
    task: "recall",
    argv: [
      "--policies",
      "keydiff,plus",
      "--facts",
      "16",
      "--questions-per-document",
      "4",
      "--lengths",
      "1K,4K,16K",
      "--examples",
      "25",
    ],
  },
  {
    name: "distractors",
    task: "recall",
    argv: [
      "--policies",
      "keydiff,plus",
      "--distractors",
      "0.05",
      "--lengths",
      "1K,4K,16K",
      "--examples",
      "100,50@16K",
    ],
  },
  {
    name: "wordings",
    task: "recall",
    argv: [
      "--policies",
      "plus",
      "--wordings",
      "held-out",
      "--lengths",
      "1K,4K,16K",
      "--examples",
      "100,50@16K",
    ],
  },
  {
    name: "ablations",
    task: "recall",
    argv: [
      "--policies",
      "plus,paper",
      "--ablations",
      "slots-off,memory-off,gate-open,gate-closed,window-halved",
      "--lengths",
      "4K",
      "--examples",
      "40",
    ],
  },
  {
    name: "perplexity",
    task: "perplexity",
    argv: [
      "--policies",
      "full,streaming,paper,infini,h2o,snapkv,pyramidkv,keydiff,plus",
      "--lengths",
      "1000,8K,64K",
      "--examples",
      "16,8@8K,2@64K",
    ],
  },
];

const longRuns: readonly Run[] = [
  {
    name: "one-fact-256k",
    task: "recall",
    argv: ["--policies", "keydiff,plus", "--lengths", "256K", "--examples", "20"],
  },
  {
    name: "one-fact-1m",
    task: "recall",
    argv: ["--policies", "plus", "--lengths", "1M", "--examples", "20"],
  },
];

const main = join(root, "dist", "cli", "main.js");

/** Runs a command of this package. @returns its exit status. */
function runCommand(argv: readonly string[]): Promise<number> {
  return new Promise((settle, fail) => {
    const child = spawn(process.execPath, [main, ...argv], { stdio: ["ignore", "ignore", "inherit"] });
    child.on("error", fail);
    child.on("close", (status) => settle(status ?? 1));
  });
}

/** Puts one set of tasks to the model, a part of its examples on each core. @returns whether all parts ended well. */
async function evaluate({ name, task, argv }: Run, out: string, texts: readonly string[]): Promise<boolean> {
  const folder = join(out, name);
  const haystacks = texts.flatMap((path) => ["--haystack", path]);
  const settings = [
    task,
    "--model",
    "default",
    ...sizes,
    "--seed",
    "2",
    "--out",
    folder,
    ...haystacks,
    ...argv,
  ];
  console.log(`\nedgeinfinite eval ${settings.join(" ")}`);
  const parts = availableParallelism();
  const shards = Array.from({ length: parts }, (_, part) => ["--shard", `${part + 1}/${parts}`]);
  const statuses = await Promise.all(
    shards.map((shard) => runCommand(["eval", ...settings, ...shard, "--threads", "1"])),
  );
  if (statuses.some((status) => status !== 0)) return false;
  return (await runCommand(["eval", "report", folder])) === 0;
}

async function evaluateAll(): Promise<void> {
  const { values } = parseArgs({
    options: {
      out: { type: "string" },
      haystack: { type: "string", multiple: true },
      only: { type: "string" },
      long: { type: "boolean" },
    },
  });
  const known = [...runs, ...longRuns];
  const names = values.only?.split(",");
  const unknown = names?.filter((name) => !known.some((run) => run.name === name)) ?? [];
  if (values.out === undefined || values.haystack === undefined || unknown.length > 0) {
    const list = known.map(({ name }) => name).join(",");
    console.error(`usage: npm run eval:default -- --out OUT_DIR --haystack PATH [--only ${list}] [--long]`);
    process.exit(2);
  }
  const out = resolve(values.out);
  await mkdir(out, { recursive: true });
  const texts = values.haystack.map((path) => resolve(path));
  const chosen = names === undefined ? [...runs, ...(values.long ? longRuns : [])] : known;
  for (const run of chosen.filter(({ name }) => names?.includes(name) ?? true)) {
    if (!(await evaluate(run, out, texts))) process.exit(1);
  }
  console.log(`\n${out}`);
}

await evaluateAll();
