/**
 * Measures EdgeInfinite, alone or beside its peers: prefill, decode, time to first token and memory at growing
 * lengths of context.
 *
 *   npm run bench -- [--peers] [--shape smollm2-135m|qwen2.5-0.5b] [--gguf q8_0|q4_0|f32]
 *                    [--model FOLDER [--dtype f32|q8|q4] [--adapter FOLDER]]
 *                    [--lengths 512,2048] [--own-lengths 102400] [--rounds 3] [--threads 2] [--decode 32]
 *                    [--resume] [--json FILE] [--svg FILE] [--table FILE]
 *
 * Without `--model` it makes a checkpoint of the shape with random weights in `.cache/bench`. Every point is
 * measured in a process of its own, engines in turn. Results are written after every point; `--resume` goes on with
 * a run that was cut off, or adds rounds or lengths to one. `--peers` needs `npm run bench:peers:install` once.
 */

import { existsSync, writeFileSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { defaultContext } from "../src/memory/geometry.ts";
import { bytesPerWeight, type WeightFormat } from "./decoder-arithmetic.ts";
import { drawReport } from "./report-plot.ts";
import { formatReport } from "./report-table.ts";
import { type Results, readResults, type Setup, writeResults } from "./results.ts";
import { type RunPlan, runRounds } from "./run-rounds.ts";
import { ggufTypes, openSubject, prepareSubject, type Subject, shapes } from "./subject.ts";
import { summarize } from "./summarize.ts";

const cacheFolder = fileURLToPath(new URL("../.cache/bench", import.meta.url));

function parseOptions() {
  const { values } = parseArgs({
    options: {
      peers: { type: "boolean", default: false },
      shape: { type: "string", default: "smollm2-135m" },
      gguf: { type: "string", default: "q8_0" },
      model: { type: "string" },
      dtype: { type: "string", default: "auto" },
      adapter: { type: "string" },
      lengths: { type: "string", default: "512,2048,4096,8192,16384,32768" },
      "own-lengths": { type: "string", default: "102400" },
      rounds: { type: "string", default: "3" },
      threads: { type: "string", default: "2" },
      decode: { type: "string", default: "32" },
      resume: { type: "boolean", default: false },
      json: { type: "string" },
      svg: { type: "string" },
      table: { type: "string" },
    },
  });
  return values;
}

type Options = ReturnType<typeof parseOptions>;

/** Returns the entry of a list that an option names. @throws when it names none. */
function choose<Name extends string>(option: string, value: string, names: readonly Name[]): Name {
  const found = names.find((name) => name === value);
  if (found !== undefined) return found;
  throw new Error(`bench: --${option} ${value} is not one of ${names.join(", ")}`);
}

function keysOf<Name extends string>(table: Readonly<Record<Name, unknown>>): Name[] {
  return Object.keys(table) as Name[];
}

function parseCount(option: string, text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw new Error(`bench: --${option} ${text} is not a whole number above 0`);
}

function parseCounts(option: string, text: string): number[] {
  return text.split(",").flatMap((part) => (part === "" ? [] : [parseCount(option, part)]));
}

function findSubject({ model, dtype, adapter, shape, gguf }: Options): Promise<Subject> {
  const dtypes: readonly (WeightFormat | "auto")[] = ["auto", ...keysOf(bytesPerWeight)];
  if (model !== undefined) return openSubject(model, choose("dtype", dtype, dtypes), adapter);
  return prepareSubject(
    cacheFolder,
    choose("shape", shape, keysOf(shapes)),
    choose("gguf", gguf, keysOf(ggufTypes)),
  );
}

async function planRun(options: Options): Promise<RunPlan> {
  const { peers } = options;
  if (peers && options.model !== undefined) throw new Error("bench: --peers measures --shape, not --model");
  if (peers && !existsSync(new URL("./peers/node_modules", import.meta.url))) {
    throw new Error("bench: the peers are not installed. Run: npm run bench:peers:install");
  }
  return {
    subject: await findSubject(options),
    engines: peers ? ["edgeinfinite", "llama.cpp"] : ["edgeinfinite"],
    lengths: parseCounts("lengths", options.lengths),
    ownLengths: parseCounts("own-lengths", options["own-lengths"]),
    rounds: parseCount("rounds", options.rounds),
    threads: parseCount("threads", options.threads),
    context: defaultContext,
    decodedTokens: parseCount("decode", options.decode),
    built: true,
    readBytes: 256 * 1024 * 1024,
  };
}

function describeSetup({ subject, threads, context, decodedTokens }: RunPlan): Setup {
  return {
    subject: subject.name,
    processor: os.cpus()[0]?.model ?? "unknown",
    node: process.versions.node,
    threads,
    segmentTokens: context.segmentTokens,
    decodedTokens,
  };
}

/** Tells of the newest point on standard error. */
function announce({ points, ceilings }: Results): void {
  const { engine, lengthTokens, round, prefillTokensPerSecond, decodeMs, firstTokenMs } = points.at(-1) ?? {};
  if (engine === undefined) {
    console.error(`ceiling: ${ceilings.length}`);
    return;
  }
  const speeds = `${prefillTokensPerSecond?.toFixed(0)} tok/s, first token ${firstTokenMs?.toFixed(0)} ms`;
  console.error(
    `round ${round}, ${lengthTokens} tokens, ${engine}: ${speeds}, decode ${decodeMs?.toFixed(1)} ms`,
  );
}

async function main(): Promise<void> {
  const options = parseOptions();
  const plan = await planRun(options);
  const setup = describeSetup(plan);
  const path = join(cacheFolder, `${setup.subject.replaceAll(/[^\w.]+/g, "-")}.json`);
  const kept = options.resume ? await readResults(path, setup) : undefined;
  let results: Results = kept ?? { setup, points: [], ceilings: [] };
  for await (const next of runRounds(plan, results)) {
    results = next;
    await writeResults(path, results);
    announce(results);
  }
  const { subject, context } = plan;
  const summary = summarize(results, { ...subject, context });
  const report = formatReport(results, summary);
  console.log(report);
  if (options.json !== undefined) await writeResults(options.json, { ...results, ...summary });
  if (options.table !== undefined) writeFileSync(options.table, report);
  if (options.svg !== undefined) writeFileSync(options.svg, drawReport(summary.rows, setup.subject));
}

await main();
