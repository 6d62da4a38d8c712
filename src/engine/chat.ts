/**
 * Chat: messages in, an answer out, reading only what is new since the last turn.
 */

import { InvalidRequestError } from "../errors.ts";
import { type ChatMessage, parseChatMessages } from "../text/chat-message.ts";
import { renderChat } from "../text/chat-template.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import {
  type GenerateEvent,
  type GenerateOptions,
  type GenerationModel,
  generate,
  prepareGeneration,
} from "./generate.ts";
import { type AppendProgress, prefill } from "./prefill.ts";
import type { SessionCore } from "./session-core.ts";
import { beginTranscript, endTranscript, findNewText } from "./transcript.ts";

/** Chooses how a conversation goes on. */
export interface ChatOptions extends GenerateOptions {
  /** Tools that the template may describe to the model. */
  readonly tools?: readonly unknown[];
  /** Further variables of the template, such as `enable_thinking`. */
  readonly templateVariables?: Readonly<Record<string, unknown>>;
  readonly onProgress?: (progress: AppendProgress) => void;
}

/** Tells that the prompt has been read, before the first token. */
export interface PrefillEvent {
  readonly type: "prefill-finish";
  /** Tokens read for this turn. */
  readonly newTokens: number;
  /** Tokens of earlier turns that did not have to be read again; 0 when the history had changed. */
  readonly reusedTokens: number;
}

/** Is an event of a chat turn. */
export type ChatEvent = PrefillEvent | GenerateEvent;

/** Is what chat needs of a model. */
export type ChatModel = GenerationModel;

function requireTokenizer(tokenizer: Tokenizer | undefined): Tokenizer {
  if (tokenizer !== undefined) return tokenizer;
  throw new InvalidRequestError({
    where: "chat",
    what: "chat needs a tokenizer, and the checkpoint has none",
    remedy: "Add tokenizer.json to the checkpoint's folder.",
  });
}

/** Finds what must be read, and starts the session over when its history is not that of the messages. */
function prepare(core: SessionCore, prompt: string, messages: readonly ChatMessage[]): string {
  const { transcript } = core;
  if (transcript === undefined) return prompt;
  const newText = findNewText(transcript, prompt, messages);
  if (newText !== undefined) return newText;
  if (transcript.baseTokens > 0) {
    throw new InvalidRequestError({
      where: "chat",
      what: "the messages do not continue this session's conversation, and what was read before it cannot be read again",
      got: `${messages.length} messages`,
      expected: "the earlier messages and answers unchanged, and new ones after them",
      remedy: "Clone the session before a conversation to be able to start another one from there.",
    });
  }
  core.reset();
  return prompt;
}

/**
 * Takes one turn of a conversation.
 * @throws {@link InvalidRequestError} on messages or options that do not fit; {@link InvalidModelError} without a
 * chat template; the signal's reason on abort, with what was read and generated kept.
 */
export async function* chat(
  core: SessionCore,
  messages: readonly ChatMessage[],
  options: ChatOptions,
  model: ChatModel,
): AsyncGenerator<ChatEvent, void, void> {
  const tokenizer = requireTokenizer(model.tokenizer);
  const prompt = renderChat(tokenizer.chatTemplate, messages, {
    addGenerationPrompt: true,
    specialTokens: tokenizer.specialTokens,
    ...(options.tools !== undefined && { tools: options.tools }),
    ...(options.templateVariables !== undefined && { extra: options.templateVariables }),
  });
  const generation = prepareGeneration(options, model);
  const { signal, onProgress } = options;
  const newText = prepare(core, prompt, parseChatMessages(messages));
  const reusedTokens = core.state.lengthTokens;
  const baseTokens = core.transcript?.baseTokens ?? reusedTokens;
  core.transcript = beginTranscript(baseTokens, messages.length, prompt);
  const { tokenCount: newTokens } = await prefill(
    core,
    newText,
    {
      addSpecialTokens: false,
      ...(signal !== undefined && { signal }),
      ...(onProgress !== undefined && { onProgress }),
    },
    { tokenizer, vocabularySize: model.vocabularySize, addSpecialTokens: false },
  );
  yield { type: "prefill-finish", newTokens, reusedTokens };
  const transcript = core.transcript;
  let reply = "";
  try {
    for await (const event of generate(core, generation, model)) {
      // What the caller sees is what comes back as the assistant's message: without a stop string, say.
      if (event.type === "token") reply += event.text;
      yield event;
    }
  } finally {
    core.transcript = endTranscript(transcript, reply);
  }
}
