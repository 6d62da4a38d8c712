/**
 * Tokenizers: text to token ids and back, over `@huggingface/tokenizers`.
 *
 * Adds to the library what a stream of text needs: encoding that continues earlier text, decoding that
 * never rewrites spaces, any string accepted (lone surrogates become U+FFFD, as in TextEncoder).
 * Refuses to know where the files lie (load-tokenizer.ts) and what is done with the ids.
 */

import { InvalidModelError, InvalidRequestError, UnsupportedError } from "../errors.ts";
import { insertsLeadingSpace, withoutLeadingSpace } from "./leading-space.ts";
import {
  type AddedToken,
  parseTokenizerConfigFile,
  parseTokenizerFile,
  type TokenizerComponent,
  type TokenizerConfigFile,
  type TokenizerFile,
} from "./tokenizer-json.ts";
import {
  createLibraryTokenizer,
  createSequenceNormalizer,
  createSequencePreTokenizer,
  type LibraryTokenizer,
} from "./tokenizers-library.ts";

/** Chooses how a text is encoded. */
export interface EncodeOptions {
  /** Adds what the tokenizer puts around a text, such as a beginning-of-text token. Default true. */
  readonly addSpecialTokens?: boolean;
  /** Says that the text continues earlier text: no special tokens and no leading space are added. */
  readonly continuation?: boolean;
}

/** Chooses how token ids are decoded. */
export interface DecodeOptions {
  /** Leaves special tokens out of the text. Default false. */
  readonly skipSpecialTokens?: boolean;
}

/** Turns text into token ids and back. */
export interface Tokenizer {
  /** One more than the highest token id. A model's embedding may have more rows. */
  readonly vocabSize: number;
  /** The id of the token that begins a text, where the configuration names one of the vocabulary. */
  readonly bosTokenId: number | undefined;
  /** The id of the token that ends a text, where the configuration names one of the vocabulary. */
  readonly eosTokenId: number | undefined;
  /** The source of the model's chat template, for {@link renderChat}. */
  readonly chatTemplate: string | undefined;
  /** The named special tokens (`bos_token`, `eos_token`, ...), as chat templates use them. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** Encodes a text; a special token's text in it becomes that token. */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * Decodes token ids; ids beyond the vocabulary (rows that pad an embedding) give no text.
   * @throws {@link InvalidRequestError} when an id is not a whole number from 0.
   */
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** Tells whether an id is of a special token. */
  isSpecial(id: number): boolean;
  /** Returns a token as it stands in the vocabulary, undefined beyond it. */
  idToToken(id: number): string | undefined;
  /** Returns the id of a token as it stands in the vocabulary. */
  tokenToId(token: string): number | undefined;
}

/** Gives the parts of a tokenizer, as parsed JSON. */
export interface TokenizerParts {
  /** The content of `tokenizer.json`. */
  readonly tokenizerJson: unknown;
  /** The content of `tokenizer_config.json`. */
  readonly tokenizerConfig?: unknown;
  /** The source of a chat template; it takes precedence over the one in the configuration. */
  readonly chatTemplate?: string;
  /** Names the folder in messages. */
  readonly folderName?: string;
}

type Encode = (text: string) => number[];

function buildLibraryTokenizer(
  file: TokenizerFile,
  config: TokenizerConfigFile,
  where: string,
): LibraryTokenizer {
  const settings = {
    eos_token: config.specialTokens.eos_token,
    additional_special_tokens: config.additionalSpecialTokens,
    clean_up_tokenization_spaces: false,
  };
  const json = {
    added_tokens: file.addedTokens,
    normalizer: file.normalizer,
    pre_tokenizer: file.preTokenizer,
    post_processor: file.postProcessor,
    decoder: file.decoder,
    model: file.model,
  };
  try {
    return createLibraryTokenizer(json, settings);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const Failure = /^(Unknown|Unsupported)/.test(message) ? UnsupportedError : InvalidModelError;
    throw new Failure({
      where,
      what: `the tokenizer cannot be built (${message})`,
      expected: "components that @huggingface/tokenizers knows",
      remedy: "Pass token ids instead of text, or use a model with another tokenizer.",
      cause,
    });
  }
}

/** Makes every special token that the configuration names one that is matched in text and is special. */
function completeAddedTokens(file: TokenizerFile, config: TokenizerConfigFile): TokenizerFile {
  const named = new Set([...Object.values(config.specialTokens), ...config.additionalSpecialTokens]);
  const addedTokens: AddedToken[] = file.addedTokens.map((token) =>
    named.has(token.content) ? { ...token, special: true } : token,
  );
  for (const { content } of addedTokens) named.delete(content);
  for (const content of named) {
    const id = content === "" ? undefined : file.idOf(content);
    if (id !== undefined) addedTokens.push({ id, content, special: true, lstrip: false, normalized: false });
  }
  return { ...file, addedTokens };
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Returns a function that finds the first added token of a text. */
function createAddedTokenFinder(
  file: TokenizerFile,
): (text: string) => { index: number; lstrip: boolean } | undefined {
  const tokens = file.addedTokens
    .filter(({ normalized }) => !normalized || file.normalizer === null)
    .toSorted((a, b) => b.content.length - a.content.length);
  if (tokens.length === 0) return () => undefined;
  const stripping = new Set(tokens.filter(({ lstrip }) => lstrip).map(({ content }) => content));
  const pattern = new RegExp(tokens.map(({ content }) => escapeRegExp(content)).join("|"));
  return (text) => {
    const match = pattern.exec(text);
    return match === null ? undefined : { index: match.index, lstrip: stripping.has(match[0]) };
  };
}

/**
 * Returns the encoding of text that continues earlier text. A leading space is inserted per section between
 * added tokens, and only the first section continues something: it alone is encoded without.
 */
function createContinuationEncoder(
  library: LibraryTokenizer,
  file: TokenizerFile,
  encodePlain: Encode,
): Encode {
  if (!insertsLeadingSpace(file.normalizer) && !insertsLeadingSpace(file.preTokenizer)) return encodePlain;
  const parts = (component: TokenizerComponent | null) => (component === null ? [] : [component]);
  const bareNormalizer = createSequenceNormalizer(parts(withoutLeadingSpace(file.normalizer)));
  const barePreTokenizer =
    file.preTokenizer === null
      ? null
      : createSequencePreTokenizer(parts(withoutLeadingSpace(file.preTokenizer)));
  const { normalizer, pre_tokenizer } = library;
  const encodeBare: Encode = (text) => {
    // Swapping two parts of the one tokenizer avoids a second copy of its vocabulary and merges.
    library.normalizer = bareNormalizer;
    library.pre_tokenizer = barePreTokenizer;
    try {
      return encodePlain(text);
    } finally {
      library.normalizer = normalizer;
      library.pre_tokenizer = pre_tokenizer;
    }
  };
  const findAddedToken = createAddedTokenFinder(file);
  return (text) => {
    const added = findAddedToken(text);
    if (added === undefined) return encodeBare(text);
    const head = text.slice(0, added.index);
    return [...encodeBare(added.lstrip ? head.trimEnd() : head), ...encodePlain(text.slice(added.index))];
  };
}

function createDecode(library: LibraryTokenizer, isSpecial: (id: number) => boolean): Tokenizer["decode"] {
  return (ids, { skipSpecialTokens = false } = {}) => {
    const kept: number[] = [];
    for (const id of ids) {
      if (!Number.isInteger(id) || id < 0) {
        throw new InvalidRequestError({
          where: "Tokenizer.decode",
          what: "a token id is not valid",
          got: id,
          expected: "a whole number from 0",
        });
      }
      if (library.id_to_token(id) === undefined || (skipSpecialTokens && isSpecial(id))) continue;
      kept.push(id);
    }
    return kept.length === 0 ? "" : library.decode(kept, { clean_up_tokenization_spaces: false });
  };
}

/**
 * Creates a tokenizer from the parsed content of its files.
 *
 * Decoding leaves spaces as the tokens have them: the `clean_up_tokenization_spaces` of some configurations
 * would make a text depend on how its tokens were cut.
 * @throws {@link InvalidModelError} when a file is damaged, naming the field.
 * @throws {@link UnsupportedError} when the tokenizer has a component that the library does not know.
 */
export function createTokenizer(parts: TokenizerParts): Tokenizer {
  const folder = parts.folderName === undefined ? "" : `${parts.folderName}/`;
  const where = `${folder}tokenizer.json`;
  const config = parseTokenizerConfigFile(parts.tokenizerConfig ?? {}, `${folder}tokenizer_config.json`);
  const file = completeAddedTokens(parseTokenizerFile(parts.tokenizerJson, where), config);
  const library = buildLibraryTokenizer(file, config, where);
  const tokenToId = (token: string) => library.token_to_id(token);
  const idOf = (name: string) => {
    const token = config.specialTokens[name];
    return token === undefined ? undefined : tokenToId(token);
  };
  const specialIds = new Set(file.addedTokens.filter(({ special }) => special).map(({ id }) => id));
  const isSpecial = (id: number) => specialIds.has(id);

  const encodeWith = (text: string, addSpecialTokens: boolean): number[] =>
    // A vocabulary without an unknown token leaves holes where it has no token.
    library.encode(text, { add_special_tokens: addSpecialTokens }).ids.filter((id) => id !== undefined);
  const encodeContinuation = createContinuationEncoder(library, file, (text) => encodeWith(text, false));

  return {
    vocabSize: library.model.vocab.length,
    bosTokenId: idOf("bos_token"),
    eosTokenId: idOf("eos_token"),
    chatTemplate: parts.chatTemplate ?? config.chatTemplate,
    specialTokens: config.specialTokens,
    encode(text, { addSpecialTokens = true, continuation = false } = {}) {
      // With the u flag a surrogate matches only where it stands alone.
      const wellFormed = text.replace(/[\ud800-\udfff]/gu, "\ufffd");
      return continuation ? encodeContinuation(wellFormed) : encodeWith(wellFormed, addSpecialTokens);
    },
    decode: createDecode(library, isSpecial),
    isSpecial,
    idToToken: (id) => library.id_to_token(id),
    tokenToId,
  };
}
