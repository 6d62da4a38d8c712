/**
 * `edgeinfinite train gate`: trains the memory gates of a checkpoint that stays as it is.
 */

import { nodePlatform } from "../engine/node.ts";
import { InvalidRequestError } from "../errors.ts";
import type { AdapterDesign } from "../memory/adapter.ts";
import {
  type ContextSettings,
  fitDefaultContext,
  localCapacityTokens,
  validateContext,
} from "../memory/geometry.ts";
import { createPolicy } from "../memory/policies.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { elementCount } from "../tensor/shape.ts";
import { makeAdamW } from "../train/adamw.ts";
import { makeAdapterFiles } from "../train/adapter-files.ts";
import { assertClosedGates } from "../train/closed-gates.ts";
import type { TrainingRecords } from "../train/data/training-records.ts";
import { drawInitialGates } from "../train/initial-gates.ts";
import { prepareOutputFolder, writeOutputFiles } from "../train/node-output-folder.ts";
import { makeSchedule } from "../train/schedule.ts";
import { createSegmentObjective, type SegmentObjective } from "../train/segment-objective.ts";
import { describeWeights, type WeightTensors } from "../train/weight-tensors.ts";
import { type OptionValues, parseArguments, parseChoice, parseNumber, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { assertUnchanged, type GateBase, openGateBase } from "./gate-base.ts";
import { memoryOptions, outputOptions, requireModel } from "./model-options.ts";
import { formatDownload, type OutputMode } from "./open-model.ts";
import { StatusLine } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { createSource, openTrainingData } from "./training-data.ts";
import {
  addRecipe,
  parseWhole,
  type TrainingSettings,
  toTrainingSettings,
  trainingOptions,
} from "./training-options.ts";
import { runTraining } from "./training-run.ts";
import { tellTrained, tellTrainingStart } from "./training-summary.ts";

const command = "train gate";

const options = {
  model: { type: "string", value: "M", help: "the base: a folder or a hub name, safetensors" },
  revision: memoryOptions.revision,
  recipe: {
    type: "string",
    value: "R",
    help: "lm: every token behind the window is learned; sft: completions and answers alone",
  },
  ...trainingOptions,
  rank: { type: "string", value: "R", help: "inner width of a gate; default 16" },
  "gate-bias": { type: "string", value: "X", help: "where gates begin; default -4: 1.8% open" },
  sinks: memoryOptions.sinks,
  window: memoryOptions.window,
  segment: memoryOptions.segment,
  segments: { type: "string", value: "N", help: "segments of a document that are learned from; default 16" },
  "fixed-context": {
    type: "boolean",
    help: "trains for the sizes asked for alone, and not in turn for three smaller ones too",
  },
  ...outputOptions,
} as const;

type GateValues = OptionValues<typeof options>;

const defaults = { steps: 300, tokensPerStep: 1, learningRate: 5e-3 };
const memoryRemedy = "Choose a smaller --segment or --window, or --fixed-context.";
/** The most that the loss of a token may differ from the frozen model's at step 0, nats. */
const startToleranceNats = 0.05;

function chooseContext({ sinks, window, segment }: GateValues, maxPositions: number): ContextSettings {
  const context = {
    ...fitDefaultContext(maxPositions, 0),
    ...(sinks !== undefined && { sinkTokens: parseWhole("sinks", sinks, 0) }),
    ...(window !== undefined && { windowTokens: parseWhole("window", window, 1) }),
    ...(segment !== undefined && { segmentTokens: parseWhole("segment", segment, 2) }),
  };
  validateContext(context, maxPositions);
  return context;
}

/** Lists the settings that steps take in turn: a gate that has seen one window alone does not serve another. */
export function varyContext(context: ContextSettings): readonly ContextSettings[] {
  const part = (share: number, tokens: number, least: number): number =>
    Math.max(least, Math.ceil(share * tokens));
  const { sinkTokens, windowTokens, segmentTokens } = context;
  const all = [
    context,
    { ...context, windowTokens: part(0.5, windowTokens, 1) },
    { ...context, segmentTokens: part(0.5, segmentTokens, 2) },
    {
      ...context,
      sinkTokens: part(0.5, sinkTokens, 0),
      windowTokens: part(0.75, windowTokens, 1),
      segmentTokens: part(0.75, segmentTokens, 2),
    },
  ];
  const names = all.map((one) => JSON.stringify(one));
  return all.filter((_, index) => names.indexOf(JSON.stringify(all[index])) === index);
}

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

/** Says what is trained. */
interface GateSettings {
  readonly recipe: "lm" | "sft";
  readonly rank: number;
  readonly gateBias: number;
  readonly segmentCount: number;
  readonly contexts: readonly ContextSettings[];
}

function toGateSettings(values: GateValues, maxPositions: number): GateSettings {
  const { recipe = "", rank, segments } = values;
  const bias = values["gate-bias"];
  const context = chooseContext(values, maxPositions);
  return {
    recipe: parseChoice("recipe", recipe, ["lm", "sft"]),
    rank: rank === undefined ? 16 : parseWhole("rank", rank, 1),
    gateBias: bias === undefined ? -4 : parseNumber("gate-bias", bias),
    segmentCount: segments === undefined ? 16 : parseWhole("segments", segments, 1),
    contexts: values["fixed-context"] ? [context] : varyContext(context),
  };
}

function gateDesign(readGateRank: number): AdapterDesign {
  const memory = { writeGateRank: undefined, featureCount: undefined, fusion: "convex" } as const;
  return { variant: "paper", linearMemory: { readGateRank, ...memory } };
}

function createObjective(
  { folder, family, config, weights }: GateBase,
  trained: WeightTensors,
  { contexts, segmentCount, rank }: GateSettings,
  runtime: Runtime,
): SegmentObjective {
  const adapter = {
    name: "in training",
    baseModel: undefined,
    design: gateDesign(rank),
    context: {},
    tensors: describeWeights(trained),
    close: async () => {},
  } as const;
  const tensors = describeWeights(weights);
  return createSegmentObjective({
    contexts,
    segmentCount,
    base: weights,
    trained,
    runtime,
    makeModel(context) {
      const policy = createPolicy("paper", { geometry: config.geometry, context, adapter });
      return {
        context,
        policy,
        inference: family.buildInferenceGraph(folder.name, config, tensors, policy),
      };
    },
  });
}

function countNumbers(weights: WeightTensors): number {
  return [...weights.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
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

async function openData(
  settings: TrainingSettings,
  { recipe }: GateSettings,
  longestTokens: number,
  signal: AbortSignal,
): Promise<TrainingRecords> {
  // Some bytes more than the tokens of a document need, in most languages.
  const records = await openTrainingData(settings.dataPaths, signal, Math.max(32 * 1024, 6 * longestTokens));
  if (recipe === "sft" && settings.recallShare < 1) await assertCompletions(records, signal);
  return records;
}

async function trainGate(
  context: CommandContext,
  base: GateBase,
  settings: TrainingSettings,
  gate: GateSettings,
  values: GateValues,
): Promise<void> {
  const { terminal, signal } = context;
  const { out, seed, steps, tokensPerStep, schedule, checkpointSteps, threads } = settings;
  const { recipe, rank, gateBias, segmentCount, contexts } = gate;
  const trained = drawInitialGates(base.config.geometry, { rank, seed, bias: gateBias });
  const runtime = await nodePlatform.createRuntime({ device: "cpu", threads, plansMemory: false });
  await using objective = createObjective(base, trained, gate, runtime);
  const largestCapacity = Math.max(...contexts.map(localCapacityTokens));
  const longestTokens = Math.max(...contexts.map((_, step) => objective.lengthTokens(step)));
  const records = await openData(settings, gate, longestTokens, signal);
  const weighsAll = recipe === "lm";
  const source = await createSource({
    records,
    tokenizer: base.tokenizer,
    settings,
    packing: "single",
    // Behind the first token past the window, something must be left to predict.
    minTokens: largestCapacity + 2,
    weighsAll,
    recallWeights: weighsAll ? { question: 1 } : { text: 0 },
  });
  const folder = await prepareOutputFolder(out, settings.existing);
  await tellTrainingStart(terminal, values, {
    trained: countNumbers(trained),
    frozen: countNumbers(base.weights),
    data: records,
  });
  const checkStart = async (): Promise<void> => {
    const start = await assertClosedGates(objective, source, startToleranceNats, signal);
    const [loss, frozen] = [start.loss.toFixed(4), start.frozenLoss.toFixed(4)];
    const text = `step 0    loss ${loss}, the frozen model's ${frozen}`;
    await tell(terminal, values, { type: "step-0", ...start }, text);
  };
  const outcome = await runTraining(
    {
      context,
      mode: values,
      plan: {
        objective,
        source,
        optimizer: makeAdamW(),
        schedule: makeSchedule(schedule),
        totalSteps: steps,
        tokensPerStep,
        checkpointSteps,
      },
      folder,
      identity: {
        command,
        base: base.digest,
        data: source.identity,
        contexts: contexts.map((one) => ({ ...one })),
        schedule: { ...schedule },
        ...{ recipe, rank, gateBias, segmentCount, seed, steps, tokensPerStep },
      },
      checkStart,
    },
    memoryRemedy,
  );
  await assertUnchanged(base, signal);
  const [asked] = contexts;
  if (asked === undefined) return;
  const design = gateDesign(rank);
  const baseModel = requireModel(values.model, command);
  await writeOutputFiles(out, makeAdapterFiles({ baseModel, design, context: asked, tensors: trained }));
  const { digest } = base;
  await tell(terminal, values, { type: "base", sha256: digest }, `base      unchanged, SHA-256 ${digest}`);
  await tellTrained(terminal, values, out, outcome);
}

async function run(context: CommandContext): Promise<void> {
  const { values: given, positionals } = parseArguments(command, options, context.argv);
  if (positionals.length > 0)
    throw usageError("an argument without an option", { got: positionals.join(" "), command });
  const values: GateValues = await addRecipe(options, given, given["recipe-file"]);
  const model = requireModel(values.model, command);
  const settings = toTrainingSettings(values, defaults, command);
  if (values.recipe === undefined)
    throw usageError("--recipe is missing", { expected: "lm or sft", command });
  makeSchedule(settings.schedule);
  const base = await openBase(context, model, values);
  const gate = toGateSettings(values, base.config.geometry.maxPositions);
  await trainGate(context, base, settings, gate, values);
}

/** Is `edgeinfinite train gate`. */
export const trainGateCommand: Command = {
  usage: "--model M --data PATH[,PATH…] --recipe lm|sft --out DIR [options]",
  description:
    "Trains the memory gates of a checkpoint and writes them as an adapter. The checkpoint is only read. Gates begin\n" +
    "shut, which must leave the model as it is; what is learned is the tokens behind the window. Ctrl-C saves a\n" +
    "checkpoint; --resume goes on from the last one to the same adapter, bit for bit.",
  options,
  run,
};
