/**
 * Evaluates the model that comes with this package, by the package's own commands: the tables of docs/results.md.
 *
 *   npm run eval:default -- --out OUT_DIR --haystack PATH [--haystack PATH…] [--only NAME,…] [--long] [--limit N]
 *
 * Each set of tasks has a folder of OUT_DIR, with its records and its report. What is done stays: the same command
 * goes on where it was stopped. `--long` adds the lengths from 64K to 1M tokens; `--limit` does no more than so many
 * documents of each policy on each core, to see that all runs.
 */

import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { exitWithUsage, parseArguments } from "./parse-arguments.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Is one run of `edgeinfinite eval`. */
interface Run {
  /** Names its folder. */
  readonly name: string;
  readonly task: "recall" | "perplexity";
  /** As on a command line; they take precedence over what all runs have. */
  readonly options: string;
}

/** Products in float32 are faster here than in 8 bits, and answers are right as often. */
const common = "--model default --dtype f32 --sinks 4 --window 64 --segment 64 --slots 128 --seed 4";

const withoutSlots = "streaming,paper,infini";
const withSlots = "h2o,snapkv,pyramidkv,keydiff,plus";
/**
 * All have the bytes of the largest policy with slots. Facts lie behind the window of those with slots, and not behind
 * the longer windows of the others: what these reach they may find.
 */
const equalBytes = `--equal-bytes ${withoutSlots} --distance 132`;
const ablations = "slots-off,memory-off,gate-open,gate-closed,window-halved";

/** 28 million tokens: 53 to 59 minutes on two cores. */
const runs: readonly Run[] = [
  // Inside the trained context, beside full attention.
  {
    name: "base",
    task: "recall",
    options: "--policies full --facts 1,4 --lengths 512,1000 --examples 100 --distance 32",
  },
  {
    name: "base-wordings",
    task: "recall",
    options: "--policies full,plus --wordings held-out --lengths 1000 --examples 100",
  },
  {
    name: "one-fact",
    task: "recall",
    options: `--policies ${withSlots} ${equalBytes} --lengths 1K,4K,16K --examples 100`,
  },
  // With the window that those with slots have, in fewer bytes.
  {
    name: "one-fact-short-window",
    task: "recall",
    options: `--policies ${withoutSlots} --lengths 1K --examples 100`,
  },
  {
    name: "sixteen-facts",
    task: "recall",
    options:
      "--policies keydiff,plus --facts 16 --questions-per-document 4 --lengths 1K,4K,16K --examples 25",
  },
  {
    name: "sixty-four-facts",
    task: "recall",
    options:
      "--policies keydiff,plus --slots 512 --facts 64 --questions-per-document 4 --lengths 16K --examples 20",
  },
  {
    name: "distractors",
    task: "recall",
    options: "--policies plus --distractors 0.05 --lengths 1K,4K,16K --examples 100",
  },
  {
    name: "distractors-keydiff",
    task: "recall",
    options: "--policies keydiff --distractors 0.05 --lengths 1K,4K,16K --examples 100,25@16K",
  },
  {
    name: "wordings",
    task: "recall",
    options: "--policies plus --wordings held-out --lengths 1K,4K,16K --examples 100",
  },
  // Of the branches those that the package's adapter has.
  {
    name: "ablations",
    task: "recall",
    options: `--policies plus --ablations ${ablations} --lengths 4K --examples 100`,
  },
  {
    name: "perplexity",
    task: "perplexity",
    options: `--policies full,${withoutSlots},${withSlots} ${equalBytes} --lengths 1000,8K,64K --examples 16,8@8K,2@64K`,
  },
];

/** 120 million tokens: two to four hours on two cores. */
const longRuns: readonly Run[] = [
  {
    name: "one-fact-64k",
    task: "recall",
    options: `--policies ${withSlots} ${equalBytes} --lengths 64K --examples 50`,
  },
  {
    name: "one-fact-256k",
    task: "recall",
    options: `--policies ${withSlots} ${equalBytes} --lengths 256K --examples 20`,
  },
  // The two that find the most.
  {
    name: "one-fact-1m",
    task: "recall",
    options: "--policies keydiff,plus --lengths 1M --examples 20",
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

/** Is what all sets have in common. */
interface Setting {
  readonly out: string;
  /** Options of `edgeinfinite eval` besides a run's own. */
  readonly argv: readonly string[];
}

/** Puts one set of tasks to the model, a part of its examples on each core. @returns whether all parts ended well. */
async function evaluate({ name, task, options }: Run, { out, argv }: Setting): Promise<boolean> {
  const start = performance.now();
  const folder = join(out, name);
  const settings = [task, ...common.split(" "), ...argv, ...options.split(" "), "--out", folder];
  console.log(`\nedgeinfinite eval ${settings.join(" ")}`);
  const parts = availableParallelism();
  const shards = Array.from({ length: parts }, (_, part) => ["--shard", `${part + 1}/${parts}`]);
  const statuses = await Promise.all(
    shards.map((shard) => runCommand(["eval", ...settings, ...shard, "--threads", "1"])),
  );
  if (statuses.some((status) => status !== 0)) return false;
  console.log(`${name}: ${((performance.now() - start) / 60_000).toFixed(1)} minutes`);
  return (await runCommand(["eval", "report", folder])) === 0;
}

async function evaluateAll(): Promise<void> {
  const known = [...runs, ...longRuns];
  const list = known.map(({ name }) => name).join(",");
  const usage = `npm run eval:default -- --out OUT_DIR --haystack PATH [--only ${list}] [--long] [--limit N]`;
  const { values } = parseArguments(
    {
      options: {
        out: { type: "string" },
        haystack: { type: "string", multiple: true },
        only: { type: "string" },
        long: { type: "boolean" },
        limit: { type: "string" },
      },
    },
    usage,
  );
  const names = values.only?.split(",");
  const unknown = names?.filter((name) => !known.some((run) => run.name === name)) ?? [];
  if (unknown.length > 0) console.error(`there is no set ${unknown.join(", ")}`);
  if (values.out === undefined || values.haystack === undefined || unknown.length > 0) exitWithUsage(usage);
  const out = resolve(values.out);
  await mkdir(out, { recursive: true });
  const haystacks = values.haystack.flatMap((path) => ["--haystack", resolve(path)]);
  const argv = values.limit === undefined ? haystacks : [...haystacks, "--limit", values.limit];
  const chosen = names === undefined ? [...runs, ...(values.long ? longRuns : [])] : known;
  for (const run of chosen.filter(({ name }) => names?.includes(name) ?? true)) {
    if (!(await evaluate(run, { out, argv }))) process.exit(1);
  }
  console.log(`\n${out}`);
}

await evaluateAll();
