/**
 * Turns a record into tokens, each with the weight of its loss: a text is learned whole, of a prompt with completion
 * the completion, of a conversation what the assistant says.
 *
 * Parts are encoded one by one where learning begins and ends, as they are when a model runs: the prompt is
 * read, the answer is its continuation.
 */

import { InvalidRequestError, isEdgeInfiniteError, UnsupportedError } from "../../errors.ts";
import type { ChatMessage } from "../../text/chat-message.ts";
import { renderChat } from "../../text/chat-template.ts";
import { encodeChunks } from "../../text/text-chunks.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { TrainingRecord } from "./training-record.ts";

/** Is a run of tokens with the weights of their losses. */
export interface WeightedTokens {
  readonly tokens: readonly number[];
  /** As many; 0 leaves a token's loss out. */
  readonly weights: readonly number[];
}

/** Is a part of a text, or tokens that have none, with the weight of their losses. */
export type WeightedPart =
  | { readonly text: string; readonly weight: number }
  | { readonly ids: readonly number[]; readonly weight: number };

/** Collects weighted tokens. */
class TokenCollector {
  readonly tokens: number[] = [];
  readonly weights: number[] = [];

  push(ids: readonly number[], weight: number): void {
    for (const id of ids) {
      this.tokens.push(id);
      this.weights.push(weight);
    }
  }
}

/**
 * Encodes parts of one text, each the continuation of those before it; special tokens are added nowhere.
 * @throws the signal's reason on abort.
 */
export async function encodeParts(
  parts: readonly WeightedPart[],
  tokenizer: Tokenizer,
  signal?: AbortSignal,
): Promise<WeightedTokens> {
  const all = new TokenCollector();
  for (const part of parts) {
    if ("ids" in part) {
      all.push(part.ids, part.weight);
      continue;
    }
    const isFirst = all.tokens.length === 0;
    const options = { addSpecialTokens: false, continuation: !isFirst, ...(signal && { signal }) };
    for await (const ids of encodeChunks(tokenizer, part.text, options)) all.push(ids, part.weight);
  }
  return all;
}

/** Cuts a conversation's text into what the assistant says and all else. */
function splitChat(where: string, messages: readonly ChatMessage[], tokenizer: Tokenizer): WeightedPart[] {
  const render = (count: number, addGenerationPrompt: boolean): string => {
    const { chatTemplate, specialTokens } = tokenizer;
    try {
      return renderChat(chatTemplate, messages.slice(0, count), { addGenerationPrompt, specialTokens });
    } catch (cause) {
      if (!isEdgeInfiniteError(cause) || cause.code === "invalid-model") throw cause;
      const remedy = "Correct or remove this line.";
      throw new InvalidRequestError({
        where,
        what: `this is no conversation (${cause.message})`,
        remedy,
        cause,
      });
    }
  };
  const parts: WeightedPart[] = [];
  let done = "";
  const extend = (text: string, weight: number): void => {
    if (!text.startsWith(done)) {
      throw new UnsupportedError({
        where,
        what: "the chat template rewrites earlier messages, so that answers cannot be told from what is read",
        expected: "a template that only adds text",
        remedy: 'Use records of "prompt" and "completion", with the template applied.',
      });
    }
    if (text.length > done.length) parts.push({ text: text.slice(done.length), weight });
    done = text;
  };
  messages.forEach(({ role }, index) => {
    if (role !== "assistant") return;
    // A template renders no conversation of nothing: there the opening of the message is learned with it.
    if (index > 0) extend(render(index, true), 0);
    extend(render(index + 1, false), 1);
  });
  extend(render(messages.length, false), 0);
  return parts;
}

/**
 * Encodes one record, without what a tokenizer puts before a text. A text and a completion are followed by the
 * end-of-text token, where there is one, which is learned unless the text was cut; a conversation ends as its
 * template has it.
 * @param where - names the record in messages.
 * @throws {@link InvalidModelError} when there is no chat template; {@link InvalidRequestError} when it refuses the
 * messages; {@link UnsupportedError} when it rewrites earlier messages; the signal's reason on abort.
 */
export async function encodeRecord(
  where: string,
  record: TrainingRecord,
  tokenizer: Tokenizer,
  signal?: AbortSignal,
): Promise<WeightedTokens> {
  const end = tokenizer.eosTokenId === undefined ? [] : [tokenizer.eosTokenId];
  switch (record.kind) {
    case "text": {
      const { text, isComplete } = record;
      return encodeParts(
        [
          { text, weight: 1 },
          { ids: end, weight: isComplete ? 1 : 0 },
        ],
        tokenizer,
        signal,
      );
    }
    case "completion": {
      const { prompt, completion } = record;
      const parts = [
        { text: prompt, weight: 0 },
        { text: completion, weight: 1 },
        { ids: end, weight: 1 },
      ];
      return encodeParts(parts, tokenizer, signal);
    }
    case "chat":
      return encodeParts(splitChat(where, record.messages, tokenizer), tokenizer, signal);
  }
}
