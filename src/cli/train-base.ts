/**
 * `edgeinfinite train base`: pre-trains a small model on the user's machine, its tokenizer first.
 */

import { totalmem } from "node:os";
import { dirname, extname } from "node:path";
import { z } from "zod";
import { nodePlatform } from "../engine/node.ts";
import { InvalidModelError, InvalidRequestError, OutOfMemoryError } from "../errors.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { diskModelFolder } from "../files/node-model-folder.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import type { ModelFamily } from "../models/family.ts";
import { loadModelFamily } from "../models/registry.ts";
import type { DigitsPerToken } from "../text/word-pattern.ts";
import { makeAdamW } from "../train/adamw.ts";
import {
  countInitialWeights,
  drawInitialWeights,
  planInitialWeights,
  shapeInitialWeights,
} from "../train/initial-weights.ts";
import { makeModelFiles } from "../train/model-files.ts";
import { createMuon } from "../train/muon.ts";
import {
  checkLengths,
  createNextTokenObjective,
  type LengthStage,
  lengthAt,
} from "../train/next-token-objective.ts";
import { prepareOutputFolder, writeOutputFiles } from "../train/node-output-folder.ts";
import { createParallelObjective } from "../train/node-parallel-objective.ts";
import type { Objective } from "../train/objective.ts";
import { type Optimizer, standardGroups } from "../train/optimizer.ts";
import { makeSchedule } from "../train/schedule.ts";
import type { WeightTensors } from "../train/weight-tensors.ts";
import { type OptionValues, parseArguments, parseChoice, parseNumber, usageError } from "./arguments.ts";
import type { BaseThreadSetup } from "./base-thread.ts";
import { findTokenizer, prepareTokenizer } from "./base-tokenizer.ts";
import type { Command, CommandContext } from "./command.ts";
import { formatBytes } from "./format.ts";
import { outputOptions } from "./model-options.ts";
import { nameModel, readModelWeights } from "./model-weights.ts";
import { createSource, openTrainingData } from "./training-data.ts";
import {
  addRecipe,
  parseShare,
  parseWhole,
  readUserJson,
  type TrainingSettings,
  toTrainingSettings,
  trainingOptions,
} from "./training-options.ts";
import { explainMemory, runTraining } from "./training-run.ts";
import { tellTrained, tellTrainingStart } from "./training-summary.ts";

const command = "train base";

const options = {
  config: { type: "string", value: "FILE", help: "config.json of the model: llama, mistral, qwen2 or qwen3" },
  tokenizer: {
    type: "string",
    value: "DIR",
    help: "a folder with tokenizer.json; default that of --init, else of --config; where there is none, one is trained",
  },
  "digits-per-token": {
    type: "string",
    value: "N",
    help: "most digits that a token of a new tokenizer holds, 1 to 3; default 2",
  },
  ...trainingOptions,
  lengths: {
    type: "string",
    value: "N[,N@X…]",
    help: "tokens of documents, each length from a share or a number of steps on: 256,1024@0.6; default 512 at most",
  },
  "repeated-share": {
    type: "string",
    value: "X",
    help: "share of documents of random tokens that come again, practice in copying; default 0",
  },
  init: {
    type: "string",
    value: "MODEL",
    help: "a model of the same configuration to begin with, instead of random weights; its tokenizer too",
  },
  workers: {
    type: "string",
    value: "N",
    help: "documents that are computed at once, each by --threads threads (default 1 then); default 1",
  },
  optimizer: {
    type: "string",
    value: "NAME",
    help: "adamw, or muon for the matrices of layers and adamw for the rest; default adamw",
  },
  "weight-decay": { type: "string", value: "X", help: "of matrices and embeddings; default 0.1" },
  beta2: {
    type: "string",
    value: "X",
    help: "how long squared gradients are remembered, the nearer to 1 the fewer tokens a step has; default 0.95",
  },
  ...outputOptions,
} as const;

type BaseValues = OptionValues<typeof options>;

const defaults = { steps: 1000, tokensPerStep: 8192, learningRate: 1e-3 };
const defaultBeta2 = 0.95;
const optimizers = ["adamw", "muon"] as const;
const memoryRemedy =
  "Choose a smaller --lengths, or a configuration with fewer layers or a smaller vocabulary.";
/** Weights, the sum of their gradients, one document's, and the optimizer's two moments: float32 all. */
const bytesPerWeight = 4 * 5;

/** What transformers calls the models that are trained here. */
const architectures: Readonly<Record<string, string>> = {
  llama: "LlamaForCausalLM",
  mistral: "MistralForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM",
};

/** Is the model that will be trained, before it has weights. */
interface PlannedModel {
  readonly json: Readonly<Record<string, unknown>>;
  readonly family: ModelFamily;
  readonly config: DecoderConfig;
  readonly folder: string;
}

async function planModel(path: string | undefined): Promise<PlannedModel> {
  if (path === undefined || path === "")
    throw usageError("--config is missing", { expected: "a config.json", command });
  const fields = await readUserJson(path, "the configuration", z.record(z.string(), z.unknown()));
  const family = await loadModelFamily(path, fields);
  const config = family.readConfig(path, fields);
  const bytes = countInitialWeights(config) * bytesPerWeight;
  if (bytes > totalmem()) {
    throw new OutOfMemoryError({
      where: path,
      what: "the model is too large to train here",
      got: `${formatBytes(bytes)} for weights, gradients and the optimizer`,
      expected: `less than the ${formatBytes(totalmem())} of this machine`,
      remedy: "Choose a configuration with fewer layers or a smaller vocabulary.",
    });
  }
  const architecture = architectures[config.modelType];
  const json = {
    ...(architecture !== undefined && { architectures: [architecture] }),
    ...fields,
    torch_dtype: "float32",
  };
  return { json, family, config, folder: dirname(path) };
}

/** Parses lengths of documents. @throws {@link InvalidRequestError} */
export function parseLengths(text: string, steps: number): readonly LengthStage[] {
  return text.split(",").map((part) => {
    const [length = "", share = "0", ...more] = part.split("@");
    const from = parseNumber("lengths", share);
    if (more.length === 0 && from >= 0 && (from < 1 || Number.isSafeInteger(from))) {
      const fromStep = from < 1 ? Math.round(from * steps) : from;
      return { fromStep, lengthTokens: parseWhole("lengths", length, 2) };
    }
    const expected =
      "lengths, each behind the first with the share or the number of steps from which it holds";
    throw new InvalidRequestError({ where: "--lengths", what: "not understood", got: part, expected });
  });
}

function chooseLengths(values: BaseValues, steps: number, maxPositions: number): readonly LengthStage[] {
  const { lengths } = values;
  if (lengths !== undefined) return parseLengths(lengths, steps);
  return [{ fromStep: 0, lengthTokens: Math.min(512, maxPositions) }];
}

function chooseDecay(text: string | undefined): number {
  return text === undefined ? 0.1 : parseNumber("weight-decay", text);
}

function chooseDigits(text: string | undefined): DigitsPerToken | undefined {
  if (text === undefined) return undefined;
  const digits = { "1": 1, "2": 2, "3": 3 } as const;
  return digits[parseChoice("digits-per-token", text, ["1", "2", "3"])];
}

function drawWeights({ config }: PlannedModel, seed: number): WeightTensors {
  try {
    return drawInitialWeights(config, seed);
  } catch (error) {
    throw explainMemory(error, memoryRemedy);
  }
}

/** Reads the weights that a training begins with. @throws {@link InvalidModelError} when they do not fit. */
async function readStart(
  { config }: PlannedModel,
  init: ModelFolder | undefined,
  signal: AbortSignal,
): Promise<{ readonly weights: WeightTensors; readonly digest: string } | undefined> {
  if (init === undefined) return undefined;
  const { weights: given, digest } = await readModelWeights(init, signal);
  for (const { name, shape } of planInitialWeights(config)) {
    const got = given.get(name)?.shape;
    if (String(got) === String(shape)) continue;
    throw new InvalidModelError({
      where: `${nameModel(init)}, ${name}`,
      what: "the model to begin with has another configuration",
      got: got ? `[${got.join(", ")}]` : "no such weight",
      expected: `[${shape.join(", ")}]`,
      remedy: "Begin with a model that was trained with the same --config.",
    });
  }
  const arrays = new Map([...given].map(([name, { data }]) => [name, data]));
  const weights = shapeInitialWeights(config, arrays);
  return { weights, digest };
}

/** Creates what computes losses and gradients: in this thread, or in several. */
async function createObjective(
  { json, family, config, folder }: PlannedModel,
  weights: WeightTensors,
  { lengths, workerCount, settings: { threads } }: BaseRequest,
): Promise<Objective> {
  if (workerCount > 1) {
    const parameters = new Map([...weights].map(([name, { data }]) => [name, data]));
    const setup: BaseThreadSetup = { name: folder, json, lengths, threads: threads ?? 1 };
    // The module of the thread lies beside this one, as source or built.
    const module = new URL(`./base-thread${extname(import.meta.url)}`, import.meta.url);
    const lengthTokens = (step: number): number => lengthAt(lengths, step);
    checkLengths(lengths, config.geometry.maxPositions);
    return createParallelObjective({ parameters, lengthTokens, threadCount: workerCount, module, setup });
  }
  const runtime = await nodePlatform.createRuntime({ device: "cpu", threads, plansMemory: false });
  return createNextTokenObjective({ family, config, weights, runtime, lengths });
}

/** Creates what moves the weights. */
async function createOptimizer({
  model: { config },
  optimizer: name,
  weightDecay,
  beta2,
  workerCount,
  settings,
}: BaseRequest): Promise<Optimizer & AsyncDisposable> {
  const groups = standardGroups(weightDecay);
  const adamw = makeAdamW({ beta2, groups });
  if (name === "adamw") return { ...adamw, async [Symbol.asyncDispose]() {} };
  const matrices = planInitialWeights(config).flatMap(
    ({ name: matrix, shape: [rows = 0, columns = 0], role }) =>
      role === "projection" && matrix.includes(".layers.")
        ? [[matrix, [rows, columns] as const] as const]
        : [],
  );
  // What computes documents waits meanwhile: its threads are free.
  const threads = workerCount > 1 ? workerCount * (settings.threads ?? 1) : settings.threads;
  const runtime = await nodePlatform.createRuntime({ device: "cpu", threads });
  return createMuon({ matrices: new Map(matrices), others: adamw, runtime, groups });
}

interface BaseRequest {
  readonly model: PlannedModel;
  readonly settings: TrainingSettings;
  readonly lengths: readonly LengthStage[];
  readonly optimizer: (typeof optimizers)[number];
  readonly weightDecay: number;
  readonly beta2: number;
  readonly digitsPerToken: DigitsPerToken | undefined;
  /** Documents that are computed at once. */
  readonly workerCount: number;
  readonly repeatedShare: number;
  readonly values: BaseValues;
}

async function trainBase(context: CommandContext, request: BaseRequest): Promise<void> {
  const { terminal, signal } = context;
  const { model, settings, lengths, weightDecay, beta2, digitsPerToken, workerCount, values } = request;
  // Everything that may be out of range is looked at before anything long begins.
  await using optimizer = await createOptimizer(request);
  const rates = makeSchedule(settings.schedule);
  const { out, seed, steps, tokensPerStep, schedule, checkpointSteps } = settings;
  const records = await openTrainingData(settings.dataPaths, signal);
  const init = values.init === undefined ? undefined : await nodePlatform.openFolder(values.init, { signal });
  // The weights that a training begins with know their own tokens.
  const given = values.tokenizer === undefined ? init : diskModelFolder(values.tokenizer);
  const found = await findTokenizer(given, model.folder);
  const start = await readStart(model, init, signal);
  const weights = start?.weights ?? drawWeights(model, seed);
  await using objective = await createObjective(model, weights, request);
  const folder = await prepareOutputFolder(out, settings.existing);
  const { vocabularySize } = model.config;
  const from = { found, out, vocabularySize, digitsPerToken, records };
  const { tokenizer, files, identity } = await prepareTokenizer(
    from,
    terminal,
    signal,
    values.quiet ?? false,
  );
  // What cannot be saved in the end is told now.
  makeModelFiles({ config: model.json, tensors: new Map(), tokenizer: files });
  const packing = { packing: "join", weighsAll: true, recallWeights: { answer: 5 } } as const;
  const { repeatedShare } = request;
  const source = await createSource({ records, tokenizer, settings, repeatedShare, ...packing });
  const plan = {
    objective,
    source,
    optimizer,
    schedule: rates,
    totalSteps: steps,
    tokensPerStep,
    checkpointSteps,
  };
  await tellTrainingStart(terminal, values, {
    trained: countInitialWeights(model.config),
    frozen: 0,
    data: records,
  });
  const outcome = await runTraining(
    {
      context,
      mode: values,
      plan,
      folder,
      identity: {
        command,
        config: JSON.stringify(model.json),
        tokenizer: identity,
        data: source.identity,
        lengths: lengths.map(({ fromStep, lengthTokens }) => [fromStep, lengthTokens]),
        schedule: { ...schedule },
        ...{ seed, steps, tokensPerStep, weightDecay },
        // Runs from before it could be chosen go on.
        ...(beta2 !== defaultBeta2 && { beta2 }),
        ...(request.optimizer !== "adamw" && { optimizer: request.optimizer }),
        // Sums in another order are other sums.
        ...(workerCount > 1 && { workerCount }),
        ...(start && { init: start.digest }),
      },
    },
    memoryRemedy,
  );
  await writeOutputFiles(out, makeModelFiles({ config: model.json, tensors: weights, tokenizer: files }));
  await tellTrained(terminal, values, out, outcome);
}

async function run(context: CommandContext): Promise<void> {
  const { values: given, positionals } = parseArguments(command, options, context.argv);
  if (positionals.length > 0)
    throw usageError("an argument without an option", { got: positionals.join(" "), command });
  const values: BaseValues = await addRecipe(options, given, given["recipe-file"]);
  const settings = toTrainingSettings(values, defaults, command);
  const model = await planModel(values.config);
  const lengths = chooseLengths(values, settings.steps, model.config.geometry.maxPositions);
  await trainBase(context, {
    model,
    settings,
    lengths,
    optimizer: parseChoice("optimizer", values.optimizer ?? "adamw", optimizers),
    weightDecay: chooseDecay(values["weight-decay"]),
    beta2: values.beta2 === undefined ? defaultBeta2 : parseShare("beta2", values.beta2, 0, 0.99999),
    digitsPerToken: chooseDigits(values["digits-per-token"]),
    repeatedShare: parseShare("repeated-share", values["repeated-share"] ?? "0", 0, 0.99),
    workerCount: values.workers === undefined ? 1 : parseWhole("workers", values.workers, 1),
    values,
  });
}

/** Is `edgeinfinite train base`. */
export const trainBaseCommand: Command = {
  usage: "--config FILE --data PATH[,PATH…] --out DIR [options]",
  description:
    "Pre-trains a small model from nothing and writes it as a Hugging Face folder. Without a tokenizer, a byte-level\n" +
    "BPE of vocab_size tokens is trained on the data first. Ctrl-C saves a checkpoint; --resume goes on from the\n" +
    "last one to the same model, bit for bit.",
  options,
  run,
};
