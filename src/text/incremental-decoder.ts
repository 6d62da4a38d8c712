/**
 * Decodes a stream of token ids into text as they come, never half a character.
 *
 * Decodes a short window of ids again at each token and emits what is new. Only the end of a decoded text
 * can still change: an incomplete UTF-8 sequence of at most three bytes, which decodes to one U+FFFD. So
 * everything but a last U+FFFD is final. The window keeps the space that SentencePiece drops at the
 * start of a text out of what is emitted. Refuses to know sampling and stop strings.
 */

import type { Tokenizer } from "./tokenizer.ts";

/** Is the number of ids kept when the window is shortened: more than the longest incomplete sequence. */
const keptIdCount = 8;
/** Is the number of ids at which the window is shortened. */
const maxWindowIds = 16;

/** Decodes a stream of token ids. */
export interface IncrementalDecoder {
  /** Takes the next id and returns the text that has become final, often of this id. */
  push(id: number): string;
  /** Returns what was held back, at the end of the stream: U+FFFD for an incomplete character. */
  flush(): string;
}

/** Chooses how a stream of token ids is decoded. */
export interface IncrementalDecoderOptions {
  /** Leaves special tokens out of the text. Default true. */
  readonly skipSpecialTokens?: boolean;
}

const replacement = "\ufffd";

function finalLength(text: string): number {
  return text.endsWith(replacement) ? text.length - 1 : text.length;
}

/**
 * Creates a decoder of the ids that follow `contextIds`. All that it returns, put together, is the decoded text of
 * context and ids together without that of the context. Work per id is bounded.
 * @param contextIds The ids before the first one pushed, such as the prompt's; only the last few are used.
 */
export function createIncrementalDecoder(
  tokenizer: Tokenizer,
  contextIds: readonly number[] = [],
  { skipSpecialTokens = true }: IncrementalDecoderOptions = {},
): IncrementalDecoder {
  const hasText = (id: number) =>
    tokenizer.idToToken(id) !== undefined && !(skipSpecialTokens && tokenizer.isSpecial(id));
  const context: number[] = [];
  for (let index = contextIds.length - 1; index >= 0 && context.length < keptIdCount; index--) {
    const id = contextIds[index];
    if (id !== undefined && hasText(id)) context.push(id);
  }

  let window = context.reverse();
  let text = tokenizer.decode(window);
  let emitted = finalLength(text);
  /** Whether the next character is the context's own unfinished one, unless it is completed. */
  let ownedByContext = emitted < text.length;

  const emitUpTo = (end: number): string => {
    let out = text.slice(emitted, Math.max(emitted, end));
    emitted = Math.max(emitted, end);
    if (ownedByContext && out !== "") {
      ownedByContext = false;
      if (out.startsWith(replacement)) out = out.slice(1);
    }
    return out;
  };

  const shortenWindow = (): void => {
    const kept = window.slice(-keptIdCount);
    const keptText = tokenizer.decode(kept);
    const heldLength = text.length - emitted;
    // The two texts differ at most in their first three bytes and first space: keep clear of those.
    if (keptText.length < heldLength + 3) return;
    window = kept;
    text = keptText;
    emitted = keptText.length - heldLength;
  };

  return {
    push(id) {
      if (!hasText(id)) {
        // Lets the tokenizer refuse what is not an id at all.
        if (!Number.isInteger(id) || id < 0) tokenizer.decode([id]);
        return "";
      }
      window.push(id);
      text = tokenizer.decode(window);
      const out = emitUpTo(finalLength(text));
      if (window.length >= maxWindowIds) shortenWindow();
      return out;
    },
    flush: () => emitUpTo(text.length),
  };
}
