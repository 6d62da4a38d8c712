/**
 * `edgeinfinite eval`: puts tasks to a model under several ways to remember, example by example.
 */

import { nodePlatform } from "../engine/node.ts";
import type { EvaluationRecord } from "../eval/evaluation-record.ts";
import { loadSubject } from "../eval/load-subject.ts";
import { openRecordFile, readRecordFolder } from "../eval/node-record-files.ts";
import { type EvaluationProgress, runEvaluation } from "../eval/run-evaluation.ts";
import type { Subject } from "../eval/subject.ts";
import { lengthenWindows, measureSubjects } from "../eval/subject-sizes.ts";
import { summarize } from "../eval/summarize.ts";
import { embeddedModelName } from "../files/embedded-model.ts";
import { localCapacityTokens } from "../memory/geometry.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import {
  assertLabels,
  type EvalValues,
  evalOptions,
  toEqualBytes,
  toLengthPlans,
  toShard,
  toSubjects,
} from "./eval-options.ts";
import { formatEvaluation } from "./eval-table.ts";
import { prepareTasks, taskNames, taskOptions } from "./eval-tasks.ts";
import { formatCount, formatSeconds } from "./format.ts";
import { memoryOptions, modelOptions, outputOptions, toLoadOptions } from "./model-options.ts";
import { type OutputMode, tellNotice } from "./open-model.ts";
import { fitParts, formatBar, StatusLine } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { parseWhole } from "./training-options.ts";

const { sinks, slots, window, segment, dtype, revision } = memoryOptions;

const options = {
  ...modelOptions,
  ...{ dtype, revision, sinks, slots, window, segment },
  ...evalOptions,
  ...taskOptions,
  ...outputOptions,
} as const;

function formatProgress(progress: EvaluationProgress, columns: number): string {
  const { policy, task, lengthTokens, index, share, secondsLeft } = progress;
  const left = secondsLeft === undefined ? [] : [`${formatSeconds(secondsLeft)} left`];
  const place = `${task} ${formatCount(lengthTokens)} #${index + 1}`;
  return fitParts([formatBar(share), policy, place, ...left], columns);
}

/** Is what is evaluated, with the longest S + W + T of all, and the longest S; 0 where none has a window. */
interface ChosenSubjects {
  readonly subjects: readonly Subject[];
  readonly windowTokens: number;
  readonly sinkTokens: number;
}

async function chooseSubjects(
  model: string,
  values: EvalValues,
  signal: AbortSignal,
): Promise<ChosenSubjects> {
  const given = await toSubjects(values);
  const { policies, others } = toEqualBytes(values, given);
  const sizes = await measureSubjects(nodePlatform, model, given, signal);
  const otherSizes = await measureSubjects(nodePlatform, model, others, signal);
  const longer = lengthenWindows([...sizes, ...otherSizes], policies);
  const subjects = [...given, ...longer.map(({ subject }) => subject)];
  assertLabels(subjects);
  const contexts = [...sizes, ...longer].map(({ context }) => context);
  const windows = contexts.map((context) => localCapacityTokens({ ...context, slotTokens: 0 }));
  const sinks = contexts.map(({ sinkTokens }) => sinkTokens);
  return { subjects, windowTokens: Math.max(0, ...windows), sinkTokens: Math.max(0, ...sinks) };
}

/** Makes a function that says, the first time that a document repeats its haystack, that there are such. */
function makeRepeatNote(): (records: readonly EvaluationRecord[]) => string | undefined {
  let isTold = false;
  return (records) => {
    const repeated = records.find(
      (record) => record.type === "example" && record.about.haystackRepeats === true,
    );
    if (isTold || repeated === undefined) return undefined;
    isTold = true;
    const length = formatCount(repeated.lengthTokens);
    return `the haystack is shorter than documents of ${length} tokens, so they repeat its text; more --haystack avoids it`;
  };
}

async function tellResult({ stdout }: Terminal, folder: string, { json }: OutputMode): Promise<void> {
  const records = await readRecordFolder(folder);
  if (json) await stdout.json({ type: "finish", rows: summarize(records) });
  else await stdout.write(formatEvaluation(records));
}

async function run(context: CommandContext): Promise<void> {
  const { terminal, signal } = context;
  const { values, positionals } = parseArguments("eval", options, context.argv);
  const name = values.model ?? embeddedModelName;
  if (positionals.length === 0)
    throw usageError("a task is missing", { expected: taskNames.join(", "), command: "eval" });
  const { out } = values;
  if (out === undefined || out === "")
    throw usageError("--out is missing", { expected: "a folder", command: "eval" });
  const { subjects, ...sizes } = await chooseSubjects(name, values, signal);
  const shard = toShard(values.shard);
  const makeTasks = await prepareTasks(positionals, values, {
    seed: values.seed === undefined ? 1 : parseWhole("seed", values.seed, 0),
    haystack: values.haystack,
    ...sizes,
    signal,
  });
  const lengths = toLengthPlans(values);
  const limit = values.limit === undefined ? Number.POSITIVE_INFINITY : parseWhole("limit", values.limit, 1);
  const { adapter: _, ...loadOptions } = toLoadOptions({
    ...(values.device !== undefined && { device: values.device }),
    ...(values.threads !== undefined && { threads: values.threads }),
    ...(values.dtype !== undefined && { dtype: values.dtype }),
    ...(values.revision !== undefined && { revision: values.revision }),
  });
  if (values.model === undefined) {
    const own = `no --model was given, so this is the small one of the package, ${name}`;
    await tellNotice(terminal, values, own);
  }
  const file = await openRecordFile(out, shard);
  const status = new StatusLine(terminal.stderr, !values.quiet);
  const plan = {
    ...{ subjects, lengths, shard, limit, makeTasks },
    load: (subject: Subject) => loadSubject(nodePlatform, name, subject, { ...loadOptions, signal }),
    isDone: (id: string) => file.done.has(id),
    prepare: file.prepare,
    save: file.add,
    residentBytes: () => terminal.residentBytes(),
  };
  const noteRepeats = makeRepeatNote();
  const onProgress = (progress: EvaluationProgress): void =>
    status.show((columns) => formatProgress(progress, columns));
  try {
    for await (const event of runEvaluation(plan, signal, onProgress)) {
      if (event.type === "subject-skip") {
        await status.clear();
        await tellNotice(terminal, values, `${event.subject.label} is left out: ${event.reason}`);
        continue;
      }
      const note = noteRepeats(event.records);
      if (note !== undefined) {
        await status.clear();
        await tellNotice(terminal, values, note);
      }
      if (values.json) for (const record of event.records) await terminal.stdout.json(record);
    }
  } catch (error) {
    if (signal.aborted) {
      await status.clear();
      await terminal.stderr.line(
        `stopped; what is done is in ${out}, and the same command goes on from there`,
      );
    }
    throw error;
  } finally {
    await status.clear();
  }
  await tellResult(terminal, out, values);
}

/** Is `edgeinfinite eval`. */
export const evalCommand: Command = {
  usage: "TASK… --model M --out DIR [options]",
  description:
    `Puts tasks (${taskNames.join(", ")}) to a model under several ways to remember, greedily, and keeps a record of\n` +
    "each example. The same command goes on where it was stopped; shards of one run may share a folder.",
  options,
  run,
};
