/**
 * Chat messages: their shape, and the check of foreign ones before a template sees them.
 *
 * The shape is OpenAI's. Content given in parts is joined when it is all text; other parts are refused by
 * their name. Refuses to know templates.
 */

import { InvalidRequestError, UnsupportedError } from "../errors.ts";

/** Is one part of a message's content. Only text is supported. */
export interface ChatContentPart {
  readonly type: string;
  readonly text?: string;
}

/** Is one message of a conversation. Further fields, such as `tool_calls`, reach the template as they are. */
export interface ChatMessage {
  /** Who speaks: `system`, `user`, `assistant`, `tool`, or what else the template knows. */
  readonly role: string;
  /** What is said; null only where the message carries `tool_calls` instead. */
  readonly content: string | readonly ChatContentPart[] | null;
  readonly name?: string;
  readonly [field: string]: unknown;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refuse(where: string, what: string, got: unknown, expected: string): never {
  throw new InvalidRequestError({
    where,
    what,
    got,
    expected,
    remedy: 'A message is { role: "user", content: "text" }.',
  });
}

function describe(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : typeof value;
}

function joinParts(parts: readonly unknown[], where: string): string {
  return parts
    .map((part, index) => {
      const place = `${where}[${index}]`;
      if (!isRecord(part) || typeof part.type !== "string") {
        refuse(place, "a content part is not valid", describe(part), '{ type: "text", text }');
      }
      if (part.type !== "text") {
        throw new UnsupportedError({
          where: place,
          what: "this kind of content is not supported",
          got: part.type,
          expected: '"text"',
          remedy: "Send the message without it.",
        });
      }
      if (typeof part.text !== "string")
        refuse(`${place}.text`, "is not valid", describe(part.text), "a string");
      return part.text;
    })
    .join("");
}

function parseContent(message: Readonly<Record<string, unknown>>, where: string): string | null {
  const { content } = message;
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return joinParts(content, where);
  const carriesCalls = Array.isArray(message.tool_calls) && message.tool_calls.length > 0;
  if ((content === null || content === undefined) && carriesCalls) return null;
  refuse(where, "is not valid", describe(content), "a string or an array of text parts");
}

/**
 * Validates the messages of a conversation and joins their text parts.
 * @throws {@link InvalidRequestError} naming the message and field that is wrong.
 * @throws {@link UnsupportedError} when a content part is no text, naming its type.
 */
export function parseChatMessages(messages: unknown): (ChatMessage & { content: string | null })[] {
  if (!Array.isArray(messages) || messages.length === 0) {
    const got = Array.isArray(messages) ? "an empty array" : describe(messages);
    refuse("messages", "is not valid", got, "an array of at least one message");
  }
  return messages.map((message: unknown, index) => {
    const where = `messages[${index}]`;
    if (!isRecord(message)) refuse(where, "is not valid", describe(message), "an object");
    const { role, name } = message;
    if (typeof role !== "string" || role === "") {
      refuse(`${where}.role`, "is not valid", role, "a non-empty string");
    }
    if (name !== undefined && typeof name !== "string") {
      refuse(`${where}.name`, "is not valid", describe(name), "a string");
    }
    const content = parseContent(message, `${where}.content`);
    return { ...message, role, content };
  });
}
