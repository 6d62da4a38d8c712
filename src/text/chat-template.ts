/**
 * Renders a conversation with a model's chat template, a Jinja source that comes with the tokenizer.
 *
 * Gives the template what Transformers' `apply_chat_template` gives it, dates in English whatever the
 * locale. Compiled templates are kept, so that a turn costs no parsing. The text already holds the
 * special tokens: encode it with `addSpecialTokens: false`. Refuses to know tokens.
 */

import { Environment, Interpreter, Template } from "@huggingface/jinja";
import { EdgeInfiniteError, InvalidModelError, InvalidRequestError } from "../errors.ts";
import { type ChatMessage, parseChatMessages } from "./chat-message.ts";
import { strftime } from "./strftime.ts";

/** Is the number of compiled templates kept: a process serves a few models. */
const maxCompiledTemplates = 8;
/** Limits the numbers that one `range` of a template makes, as Jinja's sandbox does. */
const maxRangeCount = 100_000;

/** Says how a conversation is rendered. */
export interface RenderChatOptions {
  /** Ends the text with the beginning of the assistant's next message. */
  readonly addGenerationPrompt: boolean;
  /** The named special tokens of the tokenizer. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** Descriptions of tools that the model may call, in the form that the template expects. */
  readonly tools?: readonly unknown[];
  /** Further variables of the template, such as `enable_thinking`. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /** The date that a template may state. Default: now. */
  readonly now?: Date;
}

const compiledTemplates = new Map<string, Template>();

function compile(source: string): Template {
  const known = compiledTemplates.get(source);
  const template = known ?? parse(source);
  // Insertion order is the order of use: the oldest goes first.
  compiledTemplates.delete(source);
  compiledTemplates.set(source, template);
  if (compiledTemplates.size > maxCompiledTemplates) {
    const oldest = compiledTemplates.keys().next().value;
    if (oldest !== undefined) compiledTemplates.delete(oldest);
  }
  return template;
}

function parse(source: string): Template {
  try {
    return new Template(source);
  } catch (cause) {
    throw new InvalidModelError({
      where: "chat template",
      what: `the template cannot be parsed (${messageOf(cause)})`,
      got: source,
      expected: "a Jinja template",
      remedy: "Use the chat_template of the model's own tokenizer_config.json or chat_template.jinja.",
      cause,
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function raiseException(message: unknown): never {
  throw new InvalidRequestError({
    where: "messages",
    what: `the model's chat template refuses the conversation (${String(message)})`,
    expected: "roles in the order that the model was trained on",
    remedy: "Change the messages as the template's own words say.",
  });
}

function range(...bounds: readonly unknown[]): number[] {
  const numbers = bounds.filter((bound) => typeof bound === "number");
  const [first = 0, second, step = 1] = numbers;
  const start = second === undefined ? 0 : first;
  const stop = second === undefined ? first : second;
  const count = step === 0 ? Number.NaN : Math.max(0, Math.ceil((stop - start) / step));
  if (!(count <= maxRangeCount)) {
    throw new InvalidModelError({
      where: "chat template",
      what: "a range is not valid",
      got: numbers,
      expected: `at most ${maxRangeCount} numbers and a step other than 0`,
      remedy: "Use another template.",
    });
  }
  return Array.from({ length: count }, (_, index) => start + index * step);
}

function createVariables(messages: readonly unknown[], options: RenderChatOptions): Map<string, unknown> {
  const now = options.now ?? new Date();
  return new Map<string, unknown>([
    ...Object.entries(options.specialTokens),
    ["tools", options.tools ?? null],
    ["documents", null],
    ...Object.entries(options.extra ?? {}),
    ["messages", messages],
    ["add_generation_prompt", options.addGenerationPrompt],
    ["raise_exception", raiseException],
    ["strftime_now", (format: unknown) => strftime(now, String(format))],
    ["range", range],
    ...["true", "True"].map((name): [string, unknown] => [name, true]),
    ...["false", "False"].map((name): [string, unknown] => [name, false]),
    ...["none", "None"].map((name): [string, unknown] => [name, null]),
  ]);
}

/**
 * Renders a conversation as the text that the model was trained on.
 * @param template The template's source: {@link Tokenizer.chatTemplate}.
 * @throws {@link InvalidModelError} when there is no template, or it is broken.
 * @throws {@link InvalidRequestError} when a message is not valid, or the template refuses the conversation.
 * @throws {@link UnsupportedError} when a message holds something other than text.
 */
export function renderChat(
  template: string | undefined,
  messages: readonly ChatMessage[],
  options: RenderChatOptions,
): string {
  const parsed = parseChatMessages(messages);
  if (template === undefined) {
    throw new InvalidModelError({
      where: "chat template",
      what: "this model has none",
      expected: "chat_template.jinja, or a chat_template in tokenizer_config.json",
      remedy: "Append plain text and generate instead, or use an instruction-tuned model.",
    });
  }
  const { parsed: program } = compile(template);
  const environment = new Environment();
  try {
    for (const [name, value] of createVariables(parsed, options)) environment.set(name, value);
    return String(new Interpreter(environment).run(program).value);
  } catch (cause) {
    if (cause instanceof EdgeInfiniteError) throw cause;
    throw new InvalidModelError({
      where: "chat template",
      what: `the template fails on this conversation (${messageOf(cause)})`,
      expected: "a template that renders these messages",
      remedy: "Check the roles and fields of the messages, or use another template.",
      cause,
    });
  }
}
