/**
 * Reads the fields of a `config.json`: checked, under the family's own names, and with its defaults.
 */

import { z } from "zod";
import { InvalidModelError } from "../errors.ts";

/** Checks a number of things. */
export const count: z.ZodNumber = z.number().int().positive().max(1_000_000_000);

/** Checks a number that results are multiplied or divided by. */
export const factor: z.ZodNumber = z.number().positive().max(1e9);

function isRecord(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/**
 * Gives fields the names that the common reader knows.
 * @param names the family's name of a field, by the common one.
 * @param defaults what Hugging Face takes for a field that is absent, by the common name.
 */
export function adaptFields(
  json: unknown,
  names: Readonly<Record<string, string>>,
  defaults: Readonly<Record<string, unknown>>,
): unknown {
  if (!isRecord(json)) return json;
  const renamed = Object.entries(names).flatMap(([common, own]) =>
    Object.hasOwn(json, own) ? [[common, json[own]] as const] : [],
  );
  return { ...defaults, ...json, ...Object.fromEntries(renamed) };
}

/**
 * Checks fields against a schema.
 * @param where names the file in messages.
 * @param names the family's name of a field, by the schema's.
 * @throws {@link InvalidModelError} naming the field.
 */
export function readFields<Fields>(
  where: string,
  schema: z.ZodType<Fields>,
  json: unknown,
  names: Readonly<Record<string, string>> = {},
): Fields {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const [first = "(root)", ...rest] = issue?.path.map(String) ?? [];
  const field = [names[first] ?? first, ...rest].join(".");
  throw new InvalidModelError({
    where,
    what: `field ${field}: ${issue?.message ?? "does not fit"}`,
    expected: "the configuration of a decoder-only checkpoint",
    cause: parsed.error,
  });
}
