/**
 * The options that commands share: which model, how it remembers, how it draws, what is printed.
 */

import type { GenerateOptions } from "../engine/generate.ts";
import type { LoadOptions } from "../engine/load-model.ts";
import { type WeightDType, weightDTypes } from "../engine/memory-estimate.ts";
import type { MemoryOptions } from "../engine/model-parts.ts";
import { makeSampler } from "../engine/sampler.ts";
import { InvalidRequestError } from "../errors.ts";
import { policyNames } from "../memory/policies.ts";
import type { PolicyName } from "../memory/policy.ts";
import { type OptionValues, parseChoice, parseNumber, usageError } from "./arguments.ts";

/** Choose how a model remembers. */
export const memoryOptions = {
  adapter: { type: "string", value: "A", help: "a trained memory: a folder or a hub name" },
  sinks: { type: "string", value: "S", help: "first tokens of the stream that are kept for ever" },
  slots: { type: "string", value: "B", help: "older tokens a layer and head that are chosen to stay exact" },
  window: { type: "string", value: "W", help: "tokens before the current segment that stay exact" },
  segment: { type: "string", value: "T", help: "tokens that move into memory at a time" },
  policy: {
    type: "string",
    value: "P",
    help: "auto (the default), paper, plus, infini, keydiff, h2o, snapkv, pyramidkv, streaming, or full: an ordinary cache, up to the trained length",
  },
  dtype: {
    type: "string",
    value: "D",
    help: "how weights are held: auto (as the file has them), f32, f16 (on webgpu), q8 or q4",
  },
  revision: { type: "string", value: "R", help: "a branch, tag or commit of a hub model" },
} as const;

/** Choose a model and where it runs. */
export const modelOptions = {
  model: {
    type: "string",
    value: "M",
    help: "a folder, a .gguf file, or a hub name like org/name; left out, the small model of the package",
  },
  device: { type: "string", value: "D", help: "cpu (the default) or webgpu" },
  threads: { type: "string", value: "N", help: "threads within an operator; default one a physical core" },
} as const;

/** Choose what is generated. */
export const generateOptions = {
  "max-new-tokens": { type: "string", value: "N", help: "most tokens to write; default 512" },
  temperature: { type: "string", value: "X", help: "0 (the default) takes the likeliest token" },
  "top-k": { type: "string", value: "K", help: "draws from the K likeliest tokens" },
  "top-p": { type: "string", value: "P", help: "draws from the likeliest tokens that make up this share" },
  "min-p": {
    type: "string",
    value: "P",
    help: "draws from tokens of at least this share of the best one's probability",
  },
  "repetition-penalty": { type: "string", value: "X", help: "above 1 makes recent tokens less likely" },
  seed: { type: "string", value: "N", help: "makes draws repeatable" },
  stop: { type: "string", multiple: true, value: "TEXT", help: "ends the writing; may be repeated" },
} as const;

/** Choose what is printed. */
export const outputOptions = {
  json: { type: "boolean", help: "prints JSON, an object a line, for machines" },
  quiet: { type: "boolean", help: "prints no notices, progress or summary" },
} as const;

/** Returns the model that was asked for. @throws {@link InvalidRequestError} when none was. */
export function requireModel(model: string | undefined, command: string): string {
  if (model !== undefined && model !== "") return model;
  throw usageError("--model is missing", { expected: "a folder, a .gguf file or a hub name", command });
}

/** Turns options into those that say how a model remembers. @throws {@link InvalidRequestError} */
export function toMemoryOptions(values: OptionValues<typeof memoryOptions>): MemoryOptions {
  const { sinks, slots, window, segment, policy } = values;
  const context = {
    ...(sinks !== undefined && { sinkTokens: parseNumber("sinks", sinks) }),
    ...(slots !== undefined && { slotTokens: parseNumber("slots", slots) }),
    ...(window !== undefined && { windowTokens: parseNumber("window", window) }),
    ...(segment !== undefined && { segmentTokens: parseNumber("segment", segment) }),
  };
  const words: readonly (PolicyName | "auto")[] = ["auto", ...policyNames];
  return { context, ...(policy !== undefined && { policy: parseChoice("policy", policy, words) }) };
}

/** Reads how weights are to be held. @throws {@link InvalidRequestError} */
export function toDType(dtype: string | undefined): WeightDType | "auto" {
  return dtype === undefined ? "auto" : parseChoice("dtype", dtype, weightDTypes);
}

/** Turns options into those of `loadModel`. @throws {@link InvalidRequestError} */
export function toLoadOptions(
  values: OptionValues<typeof modelOptions> & OptionValues<typeof memoryOptions>,
): LoadOptions {
  const { adapter, revision, device, dtype, threads } = values;
  return {
    ...toMemoryOptions(values),
    ...(adapter !== undefined && { adapter }),
    ...(revision !== undefined && { revision }),
    ...(device !== undefined && { device }),
    ...(dtype !== undefined && { dtype: toDType(dtype) }),
    ...(threads !== undefined && { threads: parseNumber("threads", threads) }),
  };
}

/** Turns options into those of `generate`, checked before anything long begins. @throws {@link InvalidRequestError} */
export function toGenerateOptions(values: OptionValues<typeof generateOptions>): GenerateOptions {
  const number = (name: Exclude<keyof typeof generateOptions, "stop">): number | undefined => {
    const text = values[name];
    return text === undefined ? undefined : parseNumber(name, text);
  };
  const given: Record<string, number | undefined> = {
    maxNewTokens: number("max-new-tokens"),
    temperature: number("temperature"),
    topK: number("top-k"),
    topP: number("top-p"),
    minP: number("min-p"),
    repetitionPenalty: number("repetition-penalty"),
    seed: number("seed"),
  };
  const options: GenerateOptions = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  );
  makeSampler(options);
  const { maxNewTokens = 1 } = options;
  if (!(maxNewTokens >= 1 && (Number.isSafeInteger(maxNewTokens) || maxNewTokens === Infinity))) {
    throw new InvalidRequestError({
      where: "--max-new-tokens",
      what: "out of range",
      got: maxNewTokens,
      expected: "a whole number >= 1, or Infinity",
    });
  }
  return values.stop === undefined ? options : { ...options, stop: values.stop };
}
