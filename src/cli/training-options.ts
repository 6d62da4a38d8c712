/**
 * The options that both kinds of training share, from flags or from a recipe: a JSON file with the flags' names and
 * values, which flags override.
 */

import { readFile } from "node:fs/promises";
import { z } from "zod";
import { InvalidRequestError } from "../errors.ts";
import { systemFileError } from "../files/node-system-error.ts";
import type { ScheduleOptions } from "../train/schedule.ts";
import { type OptionTable, type OptionValues, parseChoice, parseNumber, usageError } from "./arguments.ts";

/** Choose how a training goes. */
export const trainingOptions = {
  data: {
    type: "string",
    value: "PATH[,PATH…]",
    help: "what to learn from: .jsonl files (text, prompt and completion, or messages), .txt and .md files, folders",
  },
  out: { type: "string", value: "DIR", help: "the folder to make; its folder training/ holds the run" },
  steps: { type: "string", value: "N", help: "steps of the optimizer" },
  "tokens-per-step": { type: "string", value: "N", help: "tokens a step learns from, in whole documents" },
  "learning-rate": { type: "string", value: "X", help: "the highest learning rate" },
  "min-learning-rate": {
    type: "string",
    value: "X",
    help: "where a cosine or a fall ends; default a tenth of the highest",
  },
  warmup: { type: "string", value: "N", help: "steps in which the rate rises; default 2% of all" },
  schedule: { type: "string", value: "S", help: "cosine (the default) or constant" },
  decay: { type: "string", value: "N", help: "last steps, in which a constant rate falls; default 0" },
  "recall-share": {
    type: "string",
    value: "X",
    help: "share of documents with facts hidden in the text of the data, and questions about them; default 0",
  },
  recall: {
    type: "string",
    value: "FILE",
    help: "JSON that says what facts, questions and weights these have",
  },
  seed: { type: "string", value: "N", help: "draws weights, order and facts; default 0" },
  threads: { type: "string", value: "N", help: "threads within an operator; default one a physical core" },
  "checkpoint-every": { type: "string", value: "N", help: "steps between checkpoints; default 100" },
  resume: { type: "boolean", help: "goes on from the last checkpoint, where there is one" },
  overwrite: { type: "boolean", help: "replaces an earlier outcome in the folder" },
  "recipe-file": { type: "string", value: "FILE", help: "JSON with values of these options by their names" },
} as const;

/** Holds what was given for the shared options. */
export type TrainingValues = OptionValues<typeof trainingOptions>;

/** Is what training takes for options that are not given. */
export interface TrainingDefaults {
  readonly steps: number;
  readonly tokensPerStep: number;
  readonly learningRate: number;
}

/** Says how a training goes. */
export interface TrainingSettings {
  readonly dataPaths: readonly string[];
  readonly out: string;
  readonly existing: "refuse" | "resume" | "overwrite";
  readonly steps: number;
  readonly tokensPerStep: number;
  readonly schedule: ScheduleOptions;
  readonly recallShare: number;
  readonly recallFile: string | undefined;
  readonly seed: number;
  readonly threads: number | undefined;
  readonly checkpointSteps: number;
}

/** Parses a whole number. @throws {@link InvalidRequestError} when it is none, or below `least`. */
export function parseWhole(
  name: string,
  text: string,
  least: number,
  most: number = Number.POSITIVE_INFINITY,
): number {
  const got = parseNumber(name, text);
  if (Number.isSafeInteger(got) && got >= least && got <= most) return got;
  const expected = `a whole number from ${least}${Number.isFinite(most) ? ` to ${most}` : ""}`;
  throw new InvalidRequestError({ where: `--${name}`, what: "out of range", got, expected });
}

/** Parses a number of a range, both ends included. @throws {@link InvalidRequestError} */
export function parseShare(name: string, text: string, low: number, high: number): number {
  const got = parseNumber(name, text);
  if (got >= low && got <= high) return got;
  const expected = `a number from ${low} to ${high}`;
  throw new InvalidRequestError({ where: `--${name}`, what: "out of range", got, expected });
}

const recipeSchema = z.record(
  z.string(),
  z.union([z.boolean(), z.number(), z.string(), z.array(z.union([z.number(), z.string()]))]),
);

async function readJsonFile(path: string, what: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw systemFileError(path, `${what} cannot be read`, error);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidRequestError({
      where: path,
      what: `${what} is not JSON`,
      got: text.slice(0, 40),
      cause,
    });
  }
}

/**
 * Reads a JSON file of the user's and checks it.
 * @param what - the file, in a few words: "the recipe".
 * @throws {@link FileError} when it cannot be read; {@link InvalidRequestError} naming the field that does not fit.
 */
export async function readUserJson<Content>(
  path: string,
  what: string,
  schema: z.ZodType<Content>,
): Promise<Content> {
  const parsed = schema.safeParse(await readJsonFile(path, what));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new InvalidRequestError({
    where: path,
    what: `${what} does not fit at ${issue?.path.join(".") || "its root"}`,
    got: issue?.message,
    cause: parsed.error,
  });
}

/**
 * Adds the values of a recipe to those of flags, which take precedence.
 * @throws {@link InvalidRequestError} for a name or a kind of value that no option has; {@link FileError} when the
 * recipe cannot be read.
 */
export async function addRecipe<Table extends OptionTable>(
  table: Table,
  values: OptionValues<Table>,
  path: string | undefined,
): Promise<OptionValues<Table>> {
  if (path === undefined) return values;
  const recipe = await readUserJson(path, "the recipe", recipeSchema);
  const known = new Map<string, string | boolean>();
  for (const [name, value] of Object.entries(recipe)) {
    const type = Object.hasOwn(table, name) && name !== "recipe-file" ? table[name]?.type : undefined;
    if (type === undefined) {
      const expected = Object.keys(table).join(", ");
      throw new InvalidRequestError({
        where: path,
        what: "the recipe has an unknown option",
        got: name,
        expected,
      });
    }
    if ((type === "boolean") !== (typeof value === "boolean")) {
      const expected = type === "boolean" ? "true or false" : "a text or a number";
      throw new InvalidRequestError({
        where: `${path}: ${name}`,
        what: "the value does not fit",
        got: value,
        expected,
      });
    }
    known.set(name, typeof value === "boolean" ? value : String(value));
  }
  return { ...Object.fromEntries(known), ...values };
}

function chooseExisting(
  { resume, overwrite }: TrainingValues,
  command: string,
): TrainingSettings["existing"] {
  if (resume && overwrite) throw usageError("--resume and --overwrite exclude each other", { command });
  if (resume) return "resume";
  return overwrite ? "overwrite" : "refuse";
}

function toSchedule(values: TrainingValues, steps: number, defaults: TrainingDefaults): ScheduleOptions {
  const kind = parseChoice("schedule", values.schedule ?? "cosine", ["cosine", "constant"]);
  const given = values["learning-rate"];
  const peakRate = given === undefined ? defaults.learningRate : parseNumber("learning-rate", given);
  const least = values["min-learning-rate"];
  const { warmup, decay } = values;
  return {
    kind,
    peakRate,
    totalSteps: steps,
    warmupSteps: warmup === undefined ? Math.round(steps / 50) : parseWhole("warmup", warmup, 0),
    ...(decay !== undefined && { decaySteps: parseWhole("decay", decay, 0) }),
    floorShare: least === undefined ? 0.1 : parseShare("min-learning-rate", least, 0, peakRate) / peakRate,
  };
}

/** Turns the shared options into settings. @throws {@link InvalidRequestError} */
export function toTrainingSettings(
  values: TrainingValues,
  defaults: TrainingDefaults,
  command: string,
): TrainingSettings {
  const { data = "", out = "", recall, seed, threads } = values;
  const dataPaths = data.split(",").filter((path) => path !== "");
  if (dataPaths.length === 0)
    throw usageError("--data is missing", { expected: "files or folders", command });
  if (out === "") throw usageError("--out is missing", { expected: "a folder to make", command });
  const whole = (name: "steps" | "tokens-per-step" | "checkpoint-every", otherwise: number): number => {
    const text = values[name];
    return text === undefined ? otherwise : parseWhole(name, text, 1);
  };
  const steps = whole("steps", defaults.steps);
  return {
    dataPaths,
    out,
    existing: chooseExisting(values, command),
    steps,
    tokensPerStep: whole("tokens-per-step", defaults.tokensPerStep),
    schedule: toSchedule(values, steps, defaults),
    recallShare: parseShare("recall-share", values["recall-share"] ?? "0", 0, 1),
    recallFile: recall,
    seed: seed === undefined ? 0 : parseWhole("seed", seed, 0),
    threads: threads === undefined ? undefined : parseWhole("threads", threads, 1),
    checkpointSteps: whole("checkpoint-every", 100),
  };
}
