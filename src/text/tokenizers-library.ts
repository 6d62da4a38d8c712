/**
 * Types the part of `@huggingface/tokenizers` that this library uses.
 *
 * The package's own declarations import each other without file extensions, which TypeScript does not
 * resolve for an ES module: its classes arrive there as `any`. This file is the one place that says what
 * they are; it refuses to add behaviour.
 */

import * as library from "@huggingface/tokenizers";

/** Is a normalizer or pre-tokenizer; only the tokenizer that owns it calls it. */
export type LibraryComponent = (text: string, options?: object) => unknown;

/** Is a tokenizer of the library; its two components may be replaced between calls. */
export interface LibraryTokenizer {
  normalizer: LibraryComponent | null;
  pre_tokenizer: LibraryComponent | null;
  /** `vocab` holds the tokens by id, with holes where no token has the id. */
  readonly model: { readonly vocab: readonly (string | undefined)[] };
  /** An id is undefined where the vocabulary has neither the token nor an unknown token. */
  encode(text: string, options: { add_special_tokens: boolean }): { readonly ids: (number | undefined)[] };
  decode(ids: readonly number[], options: { clean_up_tokenization_spaces: boolean }): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
}

interface TokenizersLibrary {
  readonly Tokenizer: new (tokenizerJson: object, tokenizerConfig: object) => LibraryTokenizer;
  readonly SequenceNormalizer: new (config: object) => LibraryComponent;
  readonly SequencePreTokenizer: new (config: object) => LibraryComponent;
}

const typed = library as unknown as TokenizersLibrary;

/** Creates a tokenizer from the objects of `tokenizer.json` and `tokenizer_config.json`. */
export function createLibraryTokenizer(tokenizerJson: object, tokenizerConfig: object): LibraryTokenizer {
  return new typed.Tokenizer(tokenizerJson, tokenizerConfig);
}

/** Creates a normalizer that applies the given ones in order. */
export function createSequenceNormalizer(normalizers: readonly object[]): LibraryComponent {
  return new typed.SequenceNormalizer({ type: "Sequence", normalizers });
}

/** Creates a pre-tokenizer that applies the given ones in order. */
export function createSequencePreTokenizer(pretokenizers: readonly object[]): LibraryComponent {
  return new typed.SequencePreTokenizer({ type: "Sequence", pretokenizers });
}
