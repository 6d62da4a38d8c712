/**
 * Trains a byte-level BPE tokenizer on text and writes it in the formats of Hugging Face: `tokenizer.json` and
 * `tokenizer_config.json`, with special tokens and a chat template.
 *
 * Every byte has a token, so that any text can be read and written. Written here because no JavaScript library
 * trains one: `@huggingface/tokenizers` only reads them, the native `tokenizers` takes no vocabulary size.
 */

import { InvalidRequestError } from "../errors.ts";
import { type CountedWord, findMerges, type Merge } from "./bpe-merges.ts";
import { byteAlphabet } from "./byte-level.ts";
import { type DigitsPerToken, wordPattern } from "./word-pattern.ts";

/** Names the special tokens, in the order of their ids. */
const trainedSpecialTokens = {
  begin: "<|begin|>",
  end: "<|endoftext|>",
  system: "<|system|>",
  user: "<|user|>",
  assistant: "<|assistant|>",
} as const;

/** A message is its role's token, its text and the end-of-text token, which also ends an answer. */
const chatTemplate =
  "{% for message in messages %}" +
  "{% if message['role'] not in ['system', 'user', 'assistant'] %}" +
  "{{ raise_exception('Only the roles system, user and assistant are known.') }}{% endif %}" +
  "{{ '<|' + message['role'] + '|>' + message['content'] + eos_token }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/** Chooses a tokenizer to train. */
export interface BpeTrainingOptions {
  /** Tokens in all, special ones and the 256 bytes included. */
  readonly vocabularySize: number;
  /** Most digits of a number that one token may hold; default 2. */
  readonly digitsPerToken?: DigitsPerToken;
  /** The fewest occurrences of a pair that is merged; default 2. */
  readonly leastCount?: number;
  /** Is called now and then with the tokens found so far, of all that are wanted. */
  readonly onProgress?: (progress: { readonly tokens: number; readonly ofTokens: number }) => void;
  readonly signal?: AbortSignal;
}

/** Is a trained tokenizer, as the content of its files. */
export interface TrainedTokenizer {
  /** Tokens in all: fewer than asked for where the text has no more frequent pairs. */
  readonly vocabularySize: number;
  readonly bosTokenId: number;
  readonly eosTokenId: number;
  /** The content of `tokenizer.json`. */
  readonly tokenizerJson: Readonly<Record<string, unknown>>;
  /** The content of `tokenizer_config.json`. */
  readonly tokenizerConfig: Readonly<Record<string, unknown>>;
}

/** Bounds a word, in bytes: longer ones are no words, and are not learned from. */
const longestWordBytes = 256;
const specials: readonly string[] = Object.values(trainedSpecialTokens);
/** The bytes in the order of their characters. */
const alphabet: readonly string[] = byteAlphabet().sort((a, b) => a.charCodeAt(0) - b.charCodeAt(0));
const breathMs = 50;

function checkOptions({ vocabularySize, digitsPerToken = 2, leastCount = 2 }: BpeTrainingOptions): void {
  const check = (where: string, got: number, fits: boolean, expected: string): void => {
    if (!fits) throw new InvalidRequestError({ where, what: "out of range", got, expected });
  };
  const least = specials.length + alphabet.length;
  const sizeFits =
    Number.isSafeInteger(vocabularySize) && vocabularySize >= least && vocabularySize <= 2 ** 20;
  check("vocabularySize", vocabularySize, sizeFits, `a whole number from ${least} to 2^20`);
  check("digitsPerToken", digitsPerToken, [1, 2, 3].includes(digitsPerToken), "1, 2 or 3");
  check(
    "leastCount",
    leastCount,
    Number.isSafeInteger(leastCount) && leastCount >= 1,
    "a whole number from 1",
  );
}

/** Makes a function that lets timers, signals among them, have their turn when a while has passed. */
function makeBreather(signal: AbortSignal | undefined): () => Promise<void> {
  let last = performance.now();
  return async () => {
    signal?.throwIfAborted();
    if (performance.now() - last < breathMs) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    signal?.throwIfAborted();
    last = performance.now();
  };
}

/** Counts the words of texts; a special token's text is none. */
async function countWords(
  texts: Iterable<string> | AsyncIterable<string>,
  digitsPerToken: DigitsPerToken,
  breathe: () => Promise<void>,
): Promise<Map<string, number>> {
  const pattern = new RegExp(wordPattern(digitsPerToken), "gu");
  const special = new RegExp(specials.map((token) => token.replaceAll("|", "\\|")).join("|"));
  const counts = new Map<string, number>();
  for await (const text of texts) {
    for (const part of text.split(special)) {
      for (const [word] of part.matchAll(pattern)) counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    await breathe();
  }
  return counts;
}

/** Writes words as symbols: the places of their bytes in the alphabet. */
function toSymbols(counts: ReadonlyMap<string, number>): CountedWord[] {
  const places = byteAlphabet().map((character) => alphabet.indexOf(character));
  const utf8 = new TextEncoder();
  const words: CountedWord[] = [];
  for (const [word, count] of counts) {
    const bytes = utf8.encode(word);
    if (bytes.length < 2 || bytes.length > longestWordBytes) continue;
    words.push({ symbols: Array.from(bytes, (byte) => places[byte] ?? 0), count });
  }
  return words;
}

/** Collects tokens and the merges that make them. */
class Vocabulary {
  readonly tokens: string[] = [...alphabet];
  readonly merges: (readonly [string, string])[] = [];
  readonly #places = new Map(alphabet.map((token, place) => [token, place]));
  readonly #merged = new Set<string>();

  /** Returns the place of the token that two others become; two ways of merging may lead to one. */
  add([first, second]: Merge): number {
    const pair = [this.tokens[first] ?? "", this.tokens[second] ?? ""] as const;
    // No token has a space: the alphabet writes it in another way.
    const name = pair.join(" ");
    if (!this.#merged.has(name)) this.merges.push(pair);
    this.#merged.add(name);
    const token = pair.join("");
    const place = this.#places.get(token) ?? this.tokens.push(token) - 1;
    this.#places.set(token, place);
    return place;
  }
}

function describeAddedToken(content: string, id: number): object {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

function writeTokenizerJson(
  tokens: readonly string[],
  merges: readonly (readonly [string, string])[],
  digitsPerToken: DigitsPerToken,
): TrainedTokenizer["tokenizerJson"] {
  const [begin] = specials;
  const id = String(begin);
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  const words = { Regex: wordPattern(digitsPerToken) };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specials.map(describeAddedToken),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [{ type: "Split", pattern: words, behavior: "Isolated", invert: false }, byteLevel],
    },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
      special_tokens: { [id]: { id, ids: [0], tokens: [id] } },
    },
    decoder: { ...byteLevel, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, index) => [token, index])),
      merges,
    },
  };
}

/**
 * Trains a tokenizer; the same texts, in any order, give the same one.
 * @param texts - a word never goes from one text on into the next.
 * @throws {@link InvalidRequestError} when an option is out of range, or the texts are empty; the signal's reason on
 * abort.
 */
export async function trainByteLevelBpe(
  texts: Iterable<string> | AsyncIterable<string>,
  options: BpeTrainingOptions,
): Promise<TrainedTokenizer> {
  checkOptions(options);
  const { vocabularySize, digitsPerToken = 2, leastCount = 2, onProgress, signal } = options;
  const breathe = makeBreather(signal);
  const counts = await countWords(texts, digitsPerToken, breathe);
  if (counts.size === 0) {
    throw new InvalidRequestError({ where: "trainByteLevelBpe", what: "there is no text to learn from" });
  }
  const vocabulary = new Vocabulary();
  const found = findMerges(toSymbols(counts), leastCount, (merge) => vocabulary.add(merge));
  while (specials.length + vocabulary.tokens.length < vocabularySize && found.next().done !== true) {
    onProgress?.({ tokens: specials.length + vocabulary.tokens.length, ofTokens: vocabularySize });
    await breathe();
  }
  const tokens = [...specials, ...vocabulary.tokens];
  return {
    vocabularySize: tokens.length,
    bosTokenId: specials.indexOf(trainedSpecialTokens.begin),
    eosTokenId: specials.indexOf(trainedSpecialTokens.end),
    tokenizerJson: writeTokenizerJson(tokens, vocabulary.merges, digitsPerToken),
    tokenizerConfig: {
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: trainedSpecialTokens.begin,
      eos_token: trainedSpecialTokens.end,
      pad_token: trainedSpecialTokens.end,
      additional_special_tokens: [
        trainedSpecialTokens.system,
        trainedSpecialTokens.user,
        trainedSpecialTokens.assistant,
      ],
      clean_up_tokenization_spaces: false,
      chat_template: chatTemplate,
    },
  };
}
