/**
 * What a run of training is made of between two steps, and how it is laid out in files: `parameters.safetensors`,
 * `optimizer.safetensors` and `state.json`. Refuses to know where the files lie.
 */

import { z } from "zod";
import { InvalidModelError, InvalidRequestError, UnsupportedError } from "../errors.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { parseSafetensorsHeader, readTensor } from "../files/safetensors.ts";
import { planSafetensors } from "../files/safetensors-writer.ts";
import { hasDType } from "../tensor/host-tensor.ts";
import type { DataPosition } from "./data/document-source.ts";
import type { SkippedSteps } from "./loss-guard.ts";
import type { OptimizerState } from "./optimizer.ts";
import { assertAlike, type NamedArrays } from "./parameters.ts";

/** Is plain data as JSON has it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [field: string]: Json };

/** Is the state of a run between two steps. */
export interface TrainingState {
  /** Steps done, skipped ones included. */
  readonly step: number;
  readonly parameters: NamedArrays;
  readonly optimizer: OptimizerState;
  readonly position: DataPosition;
  readonly skipped: SkippedSteps;
  /** Sums over the run for its reports, such as tokens read. */
  readonly counters: Readonly<Record<string, number>>;
  /**
   * Everything else that the continuation depends on: seeds, options, the identities of data and base. A run is resumed
   * only with an equal one. Random draws depend on it and on the step, so that no generator has a state.
   */
  readonly config: Json;
}

const format = "edgeinfinite-training";
const version = 1;
const stateFile = "state.json";
const parametersFile = "parameters.safetensors";
const optimizerFile = "optimizer.safetensors";

const count = z.number().int().nonnegative();
const json: z.ZodType<Json> = z.lazy(() =>
  z.union([z.null(), z.boolean(), z.number(), z.string(), z.array(json), z.record(z.string(), json)]),
);
const position: z.ZodType<DataPosition> = z.lazy(() =>
  z.record(z.string(), z.union([z.number(), position, z.array(position)])),
);

const stateSchema = z.object({
  format: z.literal(format),
  version: z.number(),
  step: count,
  updates: count,
  position,
  skipped: z.object({ inARow: count, total: count }),
  counters: z.record(z.string(), z.number()),
  config: json,
});

/** Streams arrays as one safetensors file, without a second copy of them. */
async function* streamArrays(
  sets: Readonly<Record<string, NamedArrays>>,
): AsyncGenerator<Uint8Array, void, void> {
  const entries = Object.entries(sets).flatMap(([prefix, arrays]) =>
    [...arrays].map(([name, data]) => ({ name: prefix + name, data })),
  );
  const plans = entries.map(({ name, data }) => ({ name, dtype: "float32" as const, shape: [data.length] }));
  yield planSafetensors(plans).head;
  for (const { data } of entries) yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Lays a state out as files, by their names. The state may not change until they are written. */
export function writeTrainingState(
  state: TrainingState,
): ReadonlyMap<string, Uint8Array | AsyncIterable<Uint8Array>> {
  const { parameters, optimizer, ...rest } = state;
  const plain: z.infer<typeof stateSchema> = { ...rest, format, version, updates: optimizer.step };
  return new Map<string, Uint8Array | AsyncIterable<Uint8Array>>([
    [parametersFile, streamArrays({ "": parameters })],
    [optimizerFile, streamArrays({ "first.": optimizer.first, "second.": optimizer.second })],
    [stateFile, new TextEncoder().encode(`${JSON.stringify(plain, null, 2)}\n`)],
  ]);
}

/** Returns the path of the first difference between two plain data, undefined when they are equal. */
function findDifference(one: Json | undefined, other: Json | undefined, path: string): string | undefined {
  if (one === other) return undefined;
  const isObject = (value: Json | undefined): value is { readonly [field: string]: Json } =>
    typeof value === "object" && value !== null;
  if (!isObject(one) || !isObject(other) || Array.isArray(one) !== Array.isArray(other)) return path;
  for (const field of new Set([...Object.keys(one), ...Object.keys(other)])) {
    const found = findDifference(one[field], other[field], path === "" ? field : `${path}.${field}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function at(value: Json, path: string): unknown {
  return path.split(".").reduce<unknown>((inner, field) => {
    const isObject = typeof inner === "object" && inner !== null;
    return isObject ? new Map(Object.entries(inner)).get(field) : inner;
  }, value);
}

/** Unfolds strings that hold a JSON object or array, such as the identities of data that are made of others. */
function unfold(value: Json): Json {
  if (typeof value === "string") {
    if (!/^[{[]/.test(value)) return value;
    try {
      return unfold(JSON.parse(value));
    } catch {
      return value;
    }
  }
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(unfold);
  return Object.fromEntries(Object.entries(value).map(([field, inner]) => [field, unfold(inner)]));
}

/**
 * Checks that a run is resumed as it began.
 * @throws {@link InvalidRequestError} naming the first setting that differs.
 */
export function assertSameRun(where: string, began: Json, now: Json): void {
  const whole = findDifference(began, now, "");
  if (whole === undefined) return;
  const [asBegan, asNow] = [unfold(began), unfold(now)];
  // Where nothing but the writing of an inner JSON differs, that text is what is named.
  const inner = findDifference(asBegan, asNow, "");
  const [path, one, other] = inner === undefined ? [whole, began, now] : [inner, asBegan, asNow];
  throw new InvalidRequestError({
    where,
    what: `the run cannot be resumed: ${path || "its configuration"} differs`,
    got: JSON.stringify(at(other, path)) ?? "nothing",
    expected: `${JSON.stringify(at(one, path)) ?? "nothing"}, as it began`,
    remedy:
      "Resume with the settings, the data and the base that it began with, or begin anew in another folder.",
  });
}

async function readArrays(
  folder: ModelFolder,
  file: string,
  signal: AbortSignal | undefined,
): Promise<Map<string, Float32Array>> {
  const source = await folder.open(file, signal);
  try {
    const arrays = new Map<string, Float32Array>();
    for (const [name, entry] of (await parseSafetensorsHeader(source, signal)).tensors) {
      const tensor = await readTensor(entry, signal);
      if (!hasDType(tensor, "float32")) {
        const where = `${source.name}: ${name}`;
        throw new InvalidModelError({ where, what: "the array is not float32", got: tensor.dtype });
      }
      // Training writes into it, and a source in memory shares its bytes.
      arrays.set(name, tensor.data.slice());
    }
    return arrays;
  } finally {
    await source.close();
  }
}

function splitMoments(arrays: NamedArrays): { first: NamedArrays; second: NamedArrays } {
  const part = (prefix: string): NamedArrays =>
    new Map(
      [...arrays].flatMap(([name, array]) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), array]] : [],
      ),
    );
  return { first: part("first."), second: part("second.") };
}

function parseState(where: string, value: unknown): z.infer<typeof stateSchema> {
  const parsed = stateSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new InvalidModelError({
      where,
      what: `field ${issue?.path.join(".") || "(root)"}: ${issue?.message ?? "does not fit"}`,
      remedy: "The checkpoint is damaged: remove its folder to resume from the one before.",
      cause: parsed.error,
    });
  }
  if (parsed.data.version === version) return parsed.data;
  throw new UnsupportedError({
    where,
    what: "the checkpoint is of another version",
    got: parsed.data.version,
    expected: String(version),
    remedy: "Resume with the version of this package that began the run.",
  });
}

/**
 * Reads a state from its files.
 * @param expected - the parameters and the configuration of the run that goes on; their content does not matter.
 * @throws {@link InvalidRequestError} when the state is of another run, naming the difference;
 * {@link InvalidModelError} when a file is damaged; {@link FileError} when one cannot be read.
 */
export async function readTrainingState(
  folder: ModelFolder,
  expected: Pick<TrainingState, "parameters" | "config">,
  signal?: AbortSignal,
): Promise<TrainingState> {
  const state = parseState(`${folder.name}/${stateFile}`, await folder.readJson(stateFile, signal));
  assertSameRun(folder.name, state.config, expected.config);
  const parameters = await readArrays(folder, parametersFile, signal);
  const moments = splitMoments(await readArrays(folder, optimizerFile, signal));
  for (const arrays of [parameters, moments.first, moments.second])
    assertAlike(folder.name, expected.parameters, arrays);
  // In the order of the run's parameters: sums over all of them depend on it.
  const order = (arrays: NamedArrays): NamedArrays =>
    new Map([...expected.parameters].map(([name, array]) => [name, arrays.get(name) ?? array]));
  const { step, position: at, skipped, counters, config, updates } = state;
  const optimizer = { step: updates, first: order(moments.first), second: order(moments.second) };
  return { step, parameters: order(parameters), optimizer, position: at, skipped, counters, config };
}
