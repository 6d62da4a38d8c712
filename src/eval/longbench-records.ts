/**
 * Records of LongBench: prompts with their right answers, as files have them.
 *
 * A file holds JSON, an array or an object of records, or JSONL. A record has `origin_prompt` and `gold`: a text, a
 * list of texts, or `{answers, all_classes}`. Predictions that stand beside them are not read.
 */

import { z } from "zod";
import { InvalidRequestError } from "../errors.ts";

/** Is a prompt with the answers that are right. */
export interface LongBenchRecord {
  readonly prompt: string;
  /** At least one. */
  readonly references: readonly string[];
  /** The classes that the data set knows; none in most. */
  readonly classes: readonly string[];
}

const texts = z.array(z.string()).min(1);
const recordSchema = z.object({
  origin_prompt: z.string().min(1),
  gold: z.union([z.string(), texts, z.object({ answers: texts, all_classes: z.array(z.string()) })]),
});

function parseRecord(where: string, value: unknown): LongBenchRecord {
  const parsed = recordSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new InvalidRequestError({
      where,
      what: `this is no record of LongBench: ${issue?.path.join(".") || "its root"}`,
      got: issue?.message,
      expected: 'an object with "origin_prompt" and "gold"',
      cause: parsed.error,
    });
  }
  const { origin_prompt: prompt, gold } = parsed.data;
  if (typeof gold === "string") return { prompt, references: [gold], classes: [] };
  if (Array.isArray(gold)) return { prompt, references: gold, classes: [] };
  return { prompt, references: gold.answers, classes: gold.all_classes };
}

function parseLines(where: string, text: string): LongBenchRecord[] {
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
    return parseRecord(place, value);
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
 * @throws {@link InvalidRequestError} naming the line or the record that does not fit, or when there is none.
 */
export function parseLongBenchRecords(where: string, text: string): readonly LongBenchRecord[] {
  const whole = tryParse(text);
  const isOne = typeof whole === "object" && whole !== null && !("origin_prompt" in whole);
  const records = isOne
    ? Object.entries(whole).map(([key, value]) => parseRecord(`${where}, record ${key}`, value))
    : parseLines(where, text);
  if (records.length > 0) return records;
  throw new InvalidRequestError({ where, what: "the file holds no records", expected: "one or more" });
}
