/**
 * The tasks of `edgeinfinite eval` by their names, with the options that they take.
 */

import { InvalidRequestError } from "../errors.ts";
import { createKeyValueTask } from "../eval/key-value-task.ts";
import { createLongOutputTask } from "../eval/long-output-task.ts";
import { createLongBenchTask } from "../eval/longbench-task.ts";
import { createNeedleTask, needleTaskNames, needsProse } from "../eval/needle-task.ts";
import { createPasskeyTask } from "../eval/passkey-task.ts";
import { createPerplexityTask } from "../eval/perplexity-task.ts";
import { createRecallTask, type RecallTaskOptions } from "../eval/recall-task.ts";
import type { AnyTask, EvaluationTask } from "../eval/task.ts";
import { createVariableTrackingTask } from "../eval/variable-tracking-task.ts";
import { createWordFrequencyTask, wordFrequencyTaskNames } from "../eval/word-frequency-task.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { TrainingRecords } from "../train/data/training-records.ts";
import { type Prose, proseOfRecords } from "../train/recall/prose.ts";
import { type OptionValues, parseChoice, parseNumber, usageError } from "./arguments.ts";
import { splitList } from "./eval-options.ts";
import { readLongBenchFiles } from "./longbench-files.ts";
import { openTrainingData } from "./training-data.ts";
import { parseShare, parseWhole } from "./training-options.ts";

/** Choose examples of recall. */
export const taskOptions = {
  facts: {
    type: "string",
    value: "N,…",
    help: "recall, long-output: facts of a document, one asked for; default 1",
  },
  "questions-per-document": {
    type: "string",
    value: "N",
    help: "recall, long-output: facts asked for after one reading, each in a copy of the session; default 1",
  },
  distance: {
    type: "string",
    value: "N",
    help: "recall, long-output: fewest tokens behind a fact; perplexity: where the past of the window begins; default the longest S+W+T",
  },
  distractors: {
    type: "string",
    value: "X,…",
    help: "recall: shares of the prose that are names and numbers nobody asks for; default 0",
  },
  "distractor-style": { type: "string", value: "S", help: "recall: words (the default) or sentences" },
  words: {
    type: "string",
    value: "H",
    help: "recall, long-output: names and values, training or held-out (the default)",
  },
  wordings: {
    type: "string",
    value: "H",
    help: "recall, long-output: wordings, training (the default) or held-out",
  },
  frame: {
    type: "string",
    value: "F",
    help: "recall, long-output: questions in plain text (the default), or chat turns",
  },
  temperature: {
    type: "string",
    value: "X",
    help: "long-output: of what is written before the question; 0 takes the likeliest token; default 1",
  },
  longbench: {
    type: "string",
    multiple: true,
    value: "PATH",
    help: "longbench: a file named for its data set, or a folder of them; may be repeated",
  },
} as const;

/** Holds what was given for tasks. */
export type TaskValues = OptionValues<typeof taskOptions>;

/** Is what tasks are made with. */
export interface TaskMaterials {
  readonly seed: number;
  readonly haystack: readonly string[] | undefined;
  /** The longest S + W + T. */
  readonly windowTokens: number;
  /** The longest S. */
  readonly sinkTokens: number;
  readonly signal: AbortSignal;
}

type MakeTasks = (tokenizer: Tokenizer) => readonly AnyTask[];

async function openHaystack({ haystack = [], signal }: TaskMaterials): Promise<TrainingRecords> {
  if (haystack.length === 0) {
    const expected = "a text file or a folder of them";
    throw usageError("--haystack is missing", { expected, command: "eval" });
  }
  return openTrainingData(haystack, signal);
}

async function openProse(
  materials: TaskMaterials,
): Promise<{ readonly prose: Prose; readonly proseBytes: number }> {
  const records = await openHaystack(materials);
  return { prose: proseOfRecords(records), proseBytes: records.sizeBytes };
}

const halves = ["training", "held-out"] as const;

const chooseDistance = ({ distance }: TaskValues, { windowTokens }: TaskMaterials): number =>
  distance === undefined ? windowTokens : parseWhole("distance", distance, 0);

async function preparePerplexity(values: TaskValues, materials: TaskMaterials): Promise<MakeTasks> {
  const distanceTokens = chooseDistance(values, materials);
  const records = await openHaystack(materials);
  return (tokenizer) => [createPerplexityTask(tokenizer, { records, distanceTokens })];
}

const parseFactCounts = ({ facts = "1" }: TaskValues): readonly number[] =>
  splitList(facts).map((text) => parseWhole("facts", text, 1));

/** Is what tasks about facts have in common. */
type FactOptions = Omit<RecallTaskOptions, "factCount" | "distractors">;

async function parseFactOptions(values: TaskValues, materials: TaskMaterials): Promise<FactOptions> {
  const { words = "held-out", wordings = "training", "questions-per-document": questions = "1" } = values;
  return {
    seed: materials.seed,
    questionsPerDocument: parseWhole("questions-per-document", questions, 1),
    distanceTokens: chooseDistance(values, materials),
    split: {
      words: parseChoice("words", words, halves),
      wordings: parseChoice("wordings", wordings, halves),
    },
    frame: parseChoice("frame", values.frame ?? "plain", ["plain", "chat"] as const),
    ...(await openProse(materials)),
  };
}

async function prepareRecall(values: TaskValues, materials: TaskMaterials): Promise<MakeTasks> {
  const { distractors = "0" } = values;
  const shares = splitList(distractors).map((text) => parseShare("distractors", text, 0, 0.5));
  const factCounts = parseFactCounts(values);
  const common = await parseFactOptions(values, materials);
  const style = parseChoice("distractor-style", values["distractor-style"] ?? "words", [
    "words",
    "sentences",
  ] as const);
  return (tokenizer) =>
    shares.flatMap((share) =>
      factCounts.map((factCount) =>
        createRecallTask(tokenizer, { ...common, factCount, distractors: { share, style } }),
      ),
    );
}

/** The fewest tokens of prose before an output. */
const leastOpeningTokens = 64;

async function prepareLongOutput(values: TaskValues, materials: TaskMaterials): Promise<MakeTasks> {
  const temperature = parseNumber("temperature", values.temperature ?? "1");
  const isFitting = temperature >= 0 && Number.isFinite(temperature);
  if (!isFitting)
    throw usageError("--temperature is out of range", { got: String(temperature), command: "eval" });
  const openingTokens = Math.max(leastOpeningTokens, materials.sinkTokens);
  const factCounts = parseFactCounts(values);
  const common = await parseFactOptions(values, materials);
  return (tokenizer) =>
    factCounts.map((factCount) =>
      createLongOutputTask(tokenizer, { ...common, factCount, openingTokens, temperature }),
    );
}

type PrepareTask = (values: TaskValues, materials: TaskMaterials) => Promise<MakeTasks>;

async function prepareLongBench({ longbench = [] }: TaskValues): Promise<MakeTasks> {
  const dataSets = await readLongBenchFiles(longbench);
  return (tokenizer) => dataSets.map(({ name, records }) => createLongBenchTask(tokenizer, name, records));
}

const needleTasks = Object.fromEntries(
  needleTaskNames.map((name): [string, PrepareTask] => [
    name,
    async (_, materials) => {
      const haystack = needsProse(name) ? await openProse(materials) : undefined;
      return (tokenizer) => [createNeedleTask(tokenizer, name, materials.seed, haystack)];
    },
  ]),
);

/** Is a task that a tokenizer and a seed are enough for. */
type MakeGenerated = (tokenizer: Tokenizer, seed: number) => EvaluationTask;

const generatedTasks: Readonly<Record<string, MakeGenerated>> = {
  passkey: createPasskeyTask,
  kv: createKeyValueTask,
  vt: createVariableTrackingTask,
  ...Object.fromEntries(
    wordFrequencyTaskNames.map((name): [string, MakeGenerated] => [
      name,
      (tokenizer, seed) => createWordFrequencyTask(tokenizer, name, seed),
    ]),
  ),
};

const tasks: Readonly<Record<string, PrepareTask>> = {
  recall: prepareRecall,
  "long-output": prepareLongOutput,
  ...Object.fromEntries(
    Object.entries(generatedTasks).map(([name, create]): [string, PrepareTask] => [
      name,
      async (_, { seed }) =>
        (tokenizer) => [create(tokenizer, seed)],
    ]),
  ),
  ...needleTasks,
  longbench: prepareLongBench,
  perplexity: preparePerplexity,
};

/** Lists the names of tasks. */
export const taskNames: readonly string[] = Object.keys(tasks);

/** Prepares tasks by their names. @throws {@link InvalidRequestError} */
export async function prepareTasks(
  names: readonly string[],
  values: TaskValues,
  materials: TaskMaterials,
): Promise<MakeTasks> {
  const prepared: MakeTasks[] = [];
  for (const name of names) {
    const prepare = Object.hasOwn(tasks, name) ? tasks[name] : undefined;
    if (prepare === undefined) {
      const expected = taskNames.join(", ");
      throw new InvalidRequestError({ where: "task", what: "unknown", got: name, expected });
    }
    prepared.push(await prepare(values, materials));
  }
  return (tokenizer) => prepared.flatMap((make) => make(tokenizer));
}
