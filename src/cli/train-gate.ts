/**
 * `edgeinfinite train gate`: trains what joins a memory to a checkpoint, which stays as it is.
 */

import { nodePlatform } from "../engine/node.ts";
import { InvalidRequestError } from "../errors.ts";
import { makeAdamW } from "../train/adamw.ts";
import { makeAdapterFiles } from "../train/adapter-files.ts";
import type { DocumentSource } from "../train/data/document-source.ts";
import type { TrainingRecords } from "../train/data/training-records.ts";
import { prepareOutputFolder, writeOutputFiles } from "../train/node-output-folder.ts";
import { makeSchedule } from "../train/schedule.ts";
import { parseArguments, parseChoice, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { assertUnchanged, type GateBase, openGateBase } from "./gate-base.ts";
import { type GateValues, gateOptions, ownOptions } from "./gate-options.ts";
import type { GateRecipe, GateTraining } from "./gate-recipe.ts";
import { requireModel } from "./model-options.ts";
import { formatDownload, type OutputMode } from "./open-model.ts";
import { StatusLine } from "./progress.ts";
import { retentionRecipe } from "./retention-recipe.ts";
import { lmRecipe, sftRecipe } from "./segment-recipes.ts";
import { attentionTransferRecipe, distillRecipe } from "./teacher-recipes.ts";
import type { Terminal } from "./terminal.ts";
import { createSource, openTrainingData } from "./training-data.ts";
import { addRecipe, type TrainingSettings, toTrainingSettings } from "./training-options.ts";
import { runTraining, type TrainingOutcome } from "./training-run.ts";
import { tellTrained, tellTrainingStart } from "./training-summary.ts";

const command = "train gate";

const recipes = {
  lm: lmRecipe,
  sft: sftRecipe,
  retention: retentionRecipe,
  "attention-transfer": attentionTransferRecipe,
  distill: distillRecipe,
} as const;
type RecipeName = keyof typeof recipes;
const recipeNames = Object.keys(recipes) as RecipeName[];

/** Refuses texts where completions are learned. @throws {@link InvalidRequestError} with the place of one. */
async function assertCompletions(records: TrainingRecords, signal: AbortSignal): Promise<void> {
  for (let index = 0; index < records.count; index++) {
    const { kind } = await records.read(index, signal);
    if (kind !== "text") continue;
    throw new InvalidRequestError({
      where: records.place(index),
      what: "the recipe sft learns completions, and this is a text",
      expected: '"prompt" and "completion", or "messages"',
      remedy: "Choose --recipe lm, or --recall-share 1 for questions about facts hidden in the text.",
    });
  }
}

async function openBase(context: CommandContext, model: string, values: GateValues): Promise<GateBase> {
  const { terminal, signal } = context;
  const status = new StatusLine(terminal.stderr, !values.quiet);
  try {
    return await openGateBase(model, {
      revision: values.revision,
      signal,
      onProgress: (progress) => status.show((columns) => formatDownload(progress, columns)),
    });
  } finally {
    await status.clear();
  }
}

function tell(terminal: Terminal, { json, quiet }: OutputMode, facts: object, text: string): Promise<void> {
  if (json) return terminal.stdout.json(facts);
  return quiet ? Promise.resolve() : terminal.stderr.line(text);
}

function countNumbers(arrays: readonly Float32Array[]): number {
  return arrays.reduce((sum, { length }) => sum + length, 0);
}

/** Is what was asked for. */
interface Request {
  readonly recipe: RecipeName;
  readonly values: GateValues;
  readonly settings: TrainingSettings;
}

async function openData(
  { settings }: Request,
  { documents }: GateTraining,
  base: GateBase,
  signal: AbortSignal,
): Promise<{ readonly records: TrainingRecords; readonly source: DocumentSource }> {
  const { longestTokens, ...chosen } = documents;
  // Some bytes more than the tokens of a document need, in most languages.
  const records = await openTrainingData(settings.dataPaths, signal, Math.max(32 * 1024, 6 * longestTokens));
  if (!chosen.weighsAll && settings.recallShare < 1) await assertCompletions(records, signal);
  const { tokenizer } = base;
  const source = await createSource({
    ...{ records, tokenizer, settings, packing: "single" },
    ...chosen,
  });
  return { records, source };
}

async function runToEnd(
  context: CommandContext,
  base: GateBase,
  { recipe, values, settings }: Request,
  training: GateTraining,
  source: DocumentSource,
  folder: string,
): Promise<TrainingOutcome> {
  const { terminal, signal } = context;
  const { seed, steps, tokensPerStep, schedule, checkpointSteps } = settings;
  const { objective, checkStart } = training;
  const checkAndTell = async (): Promise<void> => {
    if (checkStart === undefined) return;
    const start = await checkStart(source, signal);
    const [loss, frozen] = [start.loss.toFixed(4), start.frozenLoss.toFixed(4)];
    const text = `step 0    loss ${loss}, the frozen model's ${frozen}`;
    await tell(terminal, values, { type: "step-0", ...start }, text);
  };
  const optimizer = makeAdamW();
  const course = { optimizer, schedule: makeSchedule(schedule), totalSteps: steps };
  return runTraining(
    {
      context,
      mode: values,
      plan: { objective, source, ...course, tokensPerStep, checkpointSteps },
      folder,
      identity: {
        ...{ command, recipe, base: base.digest, data: source.identity, schedule: { ...schedule } },
        ...{ seed, steps, tokensPerStep },
        ...training.identity,
      },
      checkStart: checkAndTell,
    },
    recipes[recipe].memoryRemedy,
  );
}

async function trainGate(context: CommandContext, base: GateBase, request: Request): Promise<void> {
  const { terminal, signal } = context;
  const { values, settings, recipe } = request;
  const { seed, threads, out } = settings;
  const runtime = await nodePlatform.createRuntime({ device: "cpu", threads, plansMemory: false });
  const training = await recipes[recipe].prepare({ base, values, seed, runtime, signal });
  await using objective = training.objective;
  const { records, source } = await openData(request, training, base, signal);
  const folder = await prepareOutputFolder(out, settings.existing);
  await tellTrainingStart(terminal, values, {
    trained: countNumbers([...objective.parameters.values()]),
    frozen: countNumbers([...base.weights.values()].map(({ data }) => data)),
    data: records,
  });
  const outcome = await runToEnd(context, base, request, training, source, folder);
  await assertUnchanged(base, signal);
  const baseModel = requireModel(values.model, command);
  const { design, context: trainedContext, tensors } = training;
  await writeOutputFiles(out, makeAdapterFiles({ baseModel, design, context: trainedContext, tensors }));
  const { digest } = base;
  await tell(terminal, values, { type: "base", sha256: digest }, `base      unchanged, SHA-256 ${digest}`);
  await tellTrained(terminal, values, out, outcome);
}

function chooseRecipe(values: GateValues): RecipeName {
  if (values.recipe === undefined)
    throw usageError("--recipe is missing", { expected: recipeNames.join(", "), command });
  const name = parseChoice("recipe", values.recipe, recipeNames);
  const { variants, takes, whyNot }: GateRecipe = recipes[name];
  const variant = parseChoice("variant", values.variant ?? variants[0], ["paper", "plus", "infini"]);
  if (!variants.includes(variant)) {
    throw new InvalidRequestError({
      where: `--recipe ${name}`,
      what: "it does not train this variant",
      got: variant,
      expected: variants.join(" or "),
    });
  }
  const foreign = ownOptions.find((option) => values[option] !== undefined && !takes.includes(option));
  if (foreign === undefined) return name;
  const why = whyNot?.[foreign] === undefined ? "" : `: ${whyNot[foreign]}`;
  throw usageError(`--${foreign} says nothing to the recipe ${name}${why}`, { command });
}

async function run(context: CommandContext): Promise<void> {
  const { values: given, positionals } = parseArguments(command, gateOptions, context.argv);
  if (positionals.length > 0)
    throw usageError("an argument without an option", { got: positionals.join(" "), command });
  const values: GateValues = await addRecipe(gateOptions, given, given["recipe-file"]);
  const model = requireModel(values.model, command);
  const recipe = chooseRecipe(values);
  const settings = toTrainingSettings(values, recipes[recipe].defaults, command);
  makeSchedule(settings.schedule);
  const base = await openBase(context, model, values);
  await trainGate(context, base, { recipe, values, settings });
}

/** Is `edgeinfinite train gate`. */
export const trainGateCommand: Command = {
  usage:
    "--model M --data PATH[,PATH…] --recipe lm|sft|attention-transfer|retention|distill --out DIR [options]",
  description:
    "Trains what joins a memory to a checkpoint and writes it as an adapter. The checkpoint is only read. lm, sft\n" +
    "and attention-transfer train gates of variant paper, lm and sft those of infini too; they begin shut and so leave\n" +
    "the model as it is. retention trains the score by which variant plus keeps tokens, and distill adds to such an\n" +
    "adapter a bias of its slots. Ctrl-C saves a checkpoint; --resume goes on from the last one to the same adapter,\n" +
    "bit for bit.",
  options: gateOptions,
  run,
};
