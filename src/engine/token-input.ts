/**
 * What can be appended to a session, as a stream of checked token ids.
 */

import { InvalidRequestError } from "../errors.ts";
import { encodeChunks } from "../text/text-chunks.ts";
import type { Tokenizer } from "../text/tokenizer.ts";

/** Is text, a stream of text, or token ids. */
export type SessionInput = string | AsyncIterable<string> | readonly number[] | Int32Array | Uint32Array;

/** Says how the input is taken. */
export interface TokenInputOptions {
  readonly tokenizer: Tokenizer | undefined;
  /** V: ids are below it. */
  readonly vocabularySize: number;
  /** Whether tokens came before, so that nothing is put in front. */
  readonly continuation: boolean;
  /** Whether a beginning-of-text token is put before the first text. Default true. */
  readonly addSpecialTokens?: boolean;
  readonly signal?: AbortSignal | undefined;
}

const idsPerPiece = 8192;

function isTokenIds(input: SessionInput): input is readonly number[] | Int32Array | Uint32Array {
  return Array.isArray(input) || input instanceof Int32Array || input instanceof Uint32Array;
}

/** Returns the number of tokens, where it is known without encoding. */
export function knownTokenCount(input: SessionInput): number | undefined {
  return isTokenIds(input) ? input.length : undefined;
}

/**
 * Refuses ids that the model has no embedding for.
 * @throws {@link InvalidRequestError} naming the index.
 */
export function checkTokenIds(ids: ArrayLike<number>, vocabularySize: number): void {
  for (let index = 0; index < ids.length; index++) {
    const id: unknown = ids[index];
    if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id < vocabularySize) continue;
    throw new InvalidRequestError({
      where: `token id ${index}`,
      what: "out of range",
      got: id,
      expected: `a whole number from 0 to ${vocabularySize - 1}`,
    });
  }
}

function refuseInput(input: unknown): never {
  throw new InvalidRequestError({
    where: "append",
    what: "the input is neither text nor token ids",
    got: input === null ? "null" : typeof input,
    expected: "a string, an async iterable of strings, or an array of token ids",
  });
}

/**
 * Streams the token ids of an input, piece by piece.
 * @throws {@link InvalidRequestError} for an id out of range, text without a tokenizer, or another kind of input.
 */
export async function* streamTokenIds(
  input: SessionInput,
  options: TokenInputOptions,
): AsyncGenerator<readonly number[]> {
  const { tokenizer, vocabularySize, continuation, addSpecialTokens = true, signal } = options;
  if (isTokenIds(input)) {
    checkTokenIds(input, vocabularySize);
    for (let start = 0; start < input.length; start += idsPerPiece)
      yield Array.from(input.slice(start, start + idsPerPiece));
    return;
  }
  const isText =
    typeof input === "string" ||
    (typeof input === "object" && input !== null && Symbol.asyncIterator in input);
  if (!isText) refuseInput(input);
  if (tokenizer === undefined) {
    throw new InvalidRequestError({
      where: "append",
      what: "the checkpoint has no tokenizer.json, so text cannot be read",
      got: "text",
      expected: "token ids",
      remedy: "Add tokenizer.json to the checkpoint's folder, or pass an array of token ids.",
    });
  }
  const pieces = encodeChunks(tokenizer, input, {
    addSpecialTokens: addSpecialTokens && !continuation,
    continuation,
    ...(signal !== undefined && { signal }),
  });
  for await (const ids of pieces) {
    checkTokenIds(ids, vocabularySize);
    yield ids;
  }
}
