/**
 * Records of training data: a text, a prompt with its completion, or a conversation.
 *
 * One line of a JSONL file is one record; the names of the fields are those that other trainers use. A field too
 * many is ignored, two kinds in one line are refused.
 */

import { z } from "zod";
import { InvalidRequestError } from "../../errors.ts";
import type { ChatMessage } from "../../text/chat-message.ts";

/** Is one record. */
export type TrainingRecord =
  | {
      readonly kind: "text";
      readonly text: string;
      /** Whether the text ends where its author ended it, so that its end can be learned. */
      readonly isComplete: boolean;
    }
  | { readonly kind: "completion"; readonly prompt: string; readonly completion: string }
  | { readonly kind: "chat"; readonly messages: readonly ChatMessage[] };

const message = z.looseObject({ role: z.string().min(1), content: z.string().nullable() });

const schemas = {
  text: z.object({ text: z.string().min(1) }),
  completion: z.object({ prompt: z.string(), completion: z.string().min(1) }),
  chat: z.object({ messages: z.array(message).min(1) }),
} as const;

const fieldsOf = { text: ["text"], completion: ["prompt", "completion"], chat: ["messages"] } as const;

function refuse(where: string, what: string, got: unknown, expected: string, cause?: unknown): never {
  const remedy = "Correct or remove this line.";
  throw new InvalidRequestError({ where, what, got, expected, remedy, cause });
}

function parseLine(where: string, line: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    refuse(where, "the line is not JSON", line.slice(0, 40), "a JSON object", error);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  refuse(where, "the line is no JSON object", line.slice(0, 40), '{"text": ...}');
}

function check<T>(where: string, schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const what = `field ${issue?.path.join(".") ?? ""} does not fit`;
  refuse(where, what, issue?.message ?? "", "a text of its kind", parsed.error);
}

/**
 * Parses one line of a JSONL file.
 * @param where - names the file and the line.
 * @throws {@link InvalidRequestError} when it is malformed.
 */
export function parseTrainingRecord(where: string, line: string): TrainingRecord {
  const value = parseLine(where, line);
  const kinds = (["text", "completion", "chat"] as const).filter((kind) =>
    fieldsOf[kind].some((field) => value[field] !== undefined),
  );
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    const what = kind === undefined ? "the line has none of the known fields" : "the line is of two kinds";
    refuse(where, what, Object.keys(value), '"text", or "prompt" and "completion", or "messages"');
  }
  if (kind === "text") return { kind, ...check(where, schemas.text, value), isComplete: true };
  if (kind === "completion") return { kind, ...check(where, schemas.completion, value) };
  return { kind, ...check(where, schemas.chat, value) };
}
