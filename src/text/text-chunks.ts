/**
 * Cuts long text into pieces whose tokens, put together, are the tokens of the whole.
 *
 * A cut is made where no token can reach across: before white space or an ideographic comma or full stop
 * that follows a letter. There the pre-tokenizers of GPT-2, Llama 3, Qwen and DeepSeek begin a new word;
 * SentencePiece has none, so the vocabulary itself is asked whether any token joins the two characters.
 * Refuses to know files and models. Memory is one piece, whatever the length of the stream.
 */

import { InvalidRequestError } from "../errors.ts";
import { byteAlphabet } from "./byte-level.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Is the default length of a piece, in UTF-16 units: some tens of milliseconds of tokenizing. */
const defaultMaxChars = 8192;

/** Chooses how a text is encoded piece by piece. */
export interface EncodeChunksOptions {
  /** Puts the tokenizer's beginning-of-text token before the first piece. Default true. */
  readonly addSpecialTokens?: boolean;
  /** Says that the text continues earlier text. Default false. */
  readonly continuation?: boolean;
  /** The greatest length of a piece, in UTF-16 units. */
  readonly maxChars?: number;
  /** Ends the encoding; the generator throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Says what a vocabulary allows at a cut. */
interface Seams {
  /** Two-character strings inside tokens whose second character may follow a cut. */
  readonly joined: ReadonlySet<string>;
  /** The texts of special tokens: no cut may fall inside one. */
  readonly specialTexts: readonly string[];
  /** The length of the longest of them, at least 1. */
  readonly longestSpecial: number;
}

const spaces = " \t\n\r";
const ideographicStops = "，。、！？；：";

const byteCharacters = byteAlphabet();

const utf8 = new TextEncoder();

/** Returns the three ways in which a vocabulary may write the two characters at a cut. */
function writeSeam(before: string, after: string): string[] {
  const unit = before.slice(-1);
  const lastByte = utf8.encode(before).at(-1) ?? 0;
  const firstByte = utf8.encode(after)[0] ?? 0;
  const plain = [unit + after, `${byteCharacters[lastByte]}${byteCharacters[firstByte]}`];
  return after === " " ? [...plain, `${unit}\u2581`] : plain;
}

/** Holds the characters that may follow a cut, in each way of writing. */
const followers: ReadonlySet<string> = new Set(
  [...spaces, ...ideographicStops].flatMap((after) => writeSeam("a", after).map((seam) => seam.slice(1))),
);

const noSeams: Seams = { joined: new Set(), specialTexts: [], longestSpecial: 1 };
const seamsByTokenizer = new WeakMap<Tokenizer, Seams>();

function findSeams(tokenizer: Tokenizer): Seams {
  const known = seamsByTokenizer.get(tokenizer);
  if (known !== undefined) return known;
  const joined = new Set<string>();
  const specialTexts: string[] = [];
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const token = tokenizer.idToToken(id) ?? "";
    if (token.length > 1 && tokenizer.isSpecial(id)) specialTexts.push(token);
    for (let index = 1; index < token.length; index++) {
      if (followers.has(token.charAt(index))) joined.add(token.slice(index - 1, index + 1));
    }
  }
  const longestSpecial = specialTexts.reduce((longest, text) => Math.max(longest, text.length), 1);
  const seams = { joined, specialTexts, longestSpecial };
  seamsByTokenizer.set(tokenizer, seams);
  return seams;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

/** Tells whether no token can reach across `cut`, by what stands on its two sides. */
function isSafeCut(text: string, cut: number, seams: Seams): boolean {
  const after = text.charAt(cut);
  const stop = ideographicStops.includes(after);
  if (!stop && !spaces.includes(after)) return false;
  const from = cut > 1 && isLowSurrogate(text.charCodeAt(cut - 1)) ? cut - 2 : cut - 1;
  const before = text.slice(from, cut);
  // Punctuation keeps a line break to itself (Llama 3, Qwen), and never a space.
  const allowed = after === " " ? /^[\p{L}\p{M}\p{N}.,;:!?]$/u : stop ? /^\p{L}$/u : /^[\p{L}\p{N}]$/u;
  return allowed.test(before) && !writeSeam(before, after).some((seam) => seams.joined.has(seam));
}

/** Returns a cut at a code point border, outside of special tokens, near `wanted` and after `start`. */
function findHardCut(text: string, start: number, wanted: number, seams: Seams): number {
  let cut = wanted;
  for (const special of seams.specialTexts) {
    const from = Math.max(start, cut - special.length + 1);
    const found = text.slice(from, cut + special.length - 1).indexOf(special);
    if (found < 0) continue;
    cut = from + found > start ? from + found : start + special.length;
  }
  if (!isLowSurrogate(text.charCodeAt(cut))) return cut;
  return cut - 1 > start ? cut - 1 : cut + 1;
}

/** Returns where the piece that begins at `start` ends, when more than `maxChars` units follow. */
function findCut(text: string, start: number, maxChars: number, seams: Seams): number {
  for (let cut = start + maxChars; cut > start; cut--) {
    if (isSafeCut(text, cut, seams)) return cut;
  }
  return findHardCut(text, start, start + maxChars, seams);
}

function checkMaxChars(maxChars: number, where: string): void {
  if (Number.isInteger(maxChars) && maxChars >= 2) return;
  throw new InvalidRequestError({
    where,
    what: "maxChars is not valid",
    got: maxChars,
    expected: "a whole number from 2",
  });
}

/**
 * Cuts a text into pieces of at most `maxChars` UTF-16 units. Encoding the first piece as a text and the others as
 * its continuation gives the tokens of the whole, unless a piece has no safe place at all (such as a very
 * long run of one kind of character): that piece is cut at a code point border.
 * @param tokenizer Sharpens the cuts by what its vocabulary joins; special tokens are then never cut. Without
 * it, spaces and line breaks are taken to begin words, as the usual vocabularies have it.
 * @throws {@link InvalidRequestError} when `maxChars` is not a whole number from 2.
 */
export function splitForEncoding(text: string, maxChars: number, tokenizer?: Tokenizer): string[] {
  checkMaxChars(maxChars, "splitForEncoding");
  const seams = tokenizer === undefined ? noSeams : findSeams(tokenizer);
  const pieces: string[] = [];
  let start = 0;
  while (text.length - start > maxChars) {
    const cut = findCut(text, start, maxChars, seams);
    pieces.push(text.slice(start, cut));
    start = cut;
  }
  if (start < text.length) pieces.push(text.slice(start));
  return pieces;
}

async function* splitStream(
  chunks: AsyncIterable<string>,
  maxChars: number,
  seams: Seams,
): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of chunks) {
    rest += chunk;
    let start = 0;
    // A special token may begin before the cut and end in the next chunk: look that far ahead.
    while (rest.length - start > maxChars + seams.longestSpecial) {
      const cut = findCut(rest, start, maxChars, seams);
      yield rest.slice(start, cut);
      start = cut;
    }
    rest = rest.slice(start);
  }
  let start = 0;
  while (rest.length - start > maxChars) {
    const cut = findCut(rest, start, maxChars, seams);
    yield rest.slice(start, cut);
    start = cut;
  }
  if (start < rest.length) yield rest.slice(start);
}

/**
 * Encodes a long text, or a stream of text, piece by piece: the ids put together are those of the whole text,
 * however the stream was cut, under the conditions of {@link splitForEncoding}. An empty text gives the
 * special tokens alone, or nothing.
 * @throws {@link InvalidRequestError} when `maxChars` is not a whole number from 2.
 */
export async function* encodeChunks(
  tokenizer: Tokenizer,
  text: string | AsyncIterable<string>,
  options: EncodeChunksOptions = {},
): AsyncGenerator<number[]> {
  const { addSpecialTokens = true, continuation = false, maxChars = defaultMaxChars, signal } = options;
  checkMaxChars(maxChars, "encodeChunks");
  const pieces =
    typeof text === "string"
      ? splitForEncoding(text, maxChars, tokenizer)
      : splitStream(text, maxChars, findSeams(tokenizer));
  let first = true;
  for await (const piece of pieces) {
    signal?.throwIfAborted();
    const ids = tokenizer.encode(piece, { addSpecialTokens, continuation: continuation || !first });
    first = false;
    if (ids.length > 0) yield ids;
  }
  if (!first) return;
  const ids = tokenizer.encode("", { addSpecialTokens, continuation });
  if (ids.length > 0) yield ids;
}
