/**
 * Records of LongBench: prompts with their right answers, as files have them.
 *
 * A file holds JSONL, or JSON: an array or an object of records. A record is the data set's own (`context`, `input`,
 * `answers`, `all_classes`), whose prompt is written in the official format; or it has a prompt, `origin_prompt`, and
 * `gold`: a text, a list of texts, or `{answers, all_classes}`. What stands beside is not read.
 */

import { z } from "zod";
import { InvalidRequestError } from "../errors.ts";
import { type LongBenchName, writeLongBenchPrompt } from "./longbench-prompts.ts";

/** Is a prompt with the answers that are right. */
export interface LongBenchRecord {
  readonly prompt: string;
  /** At least one. */
  readonly references: readonly string[];
  /** The classes that the data set knows; none in most. */
  readonly classes: readonly string[];
}

const texts = z.array(z.string()).min(1);
const promptSchema = z.object({
  origin_prompt: z.string().min(1),
  gold: z.union([z.string(), texts, z.object({ answers: texts, all_classes: z.array(z.string()) })]),
});
const ownSchema = z.object({
  context: z.string().min(1),
  input: z.string(),
  answers: texts,
  all_classes: z.array(z.string()).nullish(),
  dataset: z.string().nullish(),
});

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
const hasPrompt = (value: unknown): boolean => isObject(value) && "origin_prompt" in value;
const isRecord = (value: unknown): boolean => hasPrompt(value) || (isObject(value) && "context" in value);

function validate<Fields>(where: string, schema: z.ZodType<Fields>, value: unknown): Fields {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new InvalidRequestError({
    where,
    what: `this is no record of LongBench: ${issue?.path.join(".") || "its root"}`,
    got: issue?.message,
    expected: 'an object with "context", "input" and "answers", or with "origin_prompt" and "gold"',
    cause: parsed.error,
  });
}

function parsePromptRecord(where: string, value: unknown): LongBenchRecord {
  const { origin_prompt: prompt, gold } = validate(where, promptSchema, value);
  if (typeof gold === "string") return { prompt, references: [gold], classes: [] };
  if (Array.isArray(gold)) return { prompt, references: gold, classes: [] };
  return { prompt, references: gold.answers, classes: gold.all_classes };
}

function parseOwnRecord(where: string, name: LongBenchName, value: unknown): LongBenchRecord {
  const { dataset, answers, all_classes: classes, ...fields } = validate(where, ownSchema, value);
  if (dataset && dataset !== name) {
    const what = "the record is of another data set than the file";
    throw new InvalidRequestError({ where, what, got: dataset, expected: name });
  }
  return { prompt: writeLongBenchPrompt(name, fields), references: answers, classes: classes ?? [] };
}

const parseRecord = (where: string, name: LongBenchName, value: unknown): LongBenchRecord =>
  hasPrompt(value) ? parsePromptRecord(where, value) : parseOwnRecord(where, name, value);

function parseLines(where: string, name: LongBenchName, text: string): LongBenchRecord[] {
  return text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    const place = `${where}, line ${index + 1}`;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      throw new InvalidRequestError({
        where: place,
        what: "the line is not JSON",
        got: line.slice(0, 80),
        cause,
      });
    }
    return parseRecord(place, name, value);
  });
}

/** Parses a text as one value of JSON; undefined when it is none, such as JSONL. */
function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Parses a file of records.
 * @param where - names the file in messages.
 * @param name - of the data set, which decides how prompts are written.
 * @throws {@link InvalidRequestError} naming the line or the record that does not fit, or when there is none.
 */
export function parseLongBenchRecords(
  where: string,
  name: LongBenchName,
  text: string,
): readonly LongBenchRecord[] {
  const whole = tryParse(text);
  // Of JSONL a single line is one value of JSON too.
  const records =
    isObject(whole) && !isRecord(whole)
      ? Object.entries(whole).map(([key, value]) => parseRecord(`${where}, record ${key}`, name, value))
      : parseLines(where, name, text);
  if (records.length > 0) return records;
  throw new InvalidRequestError({ where, what: "the file holds no records", expected: "one or more" });
}
