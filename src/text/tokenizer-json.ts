/**
 * Parses the two files that describe a tokenizer: `tokenizer.json` and `tokenizer_config.json`.
 *
 * Checks what the tokenizer library reads without checking (the vocabulary, the merges, the component
 * types), so that a damaged file is refused by its field instead of failing inside the library.
 * Refuses to know how text is tokenized: see tokenizer.ts.
 */

import { z } from "zod";
import { InvalidModelError } from "../errors.ts";

/** Limits the token ids of a vocabulary: a larger one is damaged, not large. */
const maxVocabularySize = 2 ** 22;
/** Limits the length of a chat template, in UTF-16 units. */
const maxTemplateChars = 2 ** 20;

/** Describes a normalizer, pre-tokenizer, post-processor or decoder of `tokenizer.json`. */
export interface TokenizerComponent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** Describes a token that is matched in the text before anything else. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Whether the token takes the white space before it along. */
  readonly lstrip: boolean;
  /** Whether the token is matched in the normalized text instead of the original. */
  readonly normalized: boolean;
}

/** Holds a checked `tokenizer.json`. */
export interface TokenizerFile {
  readonly normalizer: TokenizerComponent | null;
  readonly preTokenizer: TokenizerComponent | null;
  readonly postProcessor: TokenizerComponent | null;
  readonly decoder: TokenizerComponent | null;
  readonly addedTokens: readonly AddedToken[];
  readonly model: Readonly<Record<string, unknown>>;
  /** Returns the id of a token of the model's vocabulary, which may lack the added tokens. */
  idOf(token: string): number | undefined;
}

/** Holds a checked `tokenizer_config.json`. */
export interface TokenizerConfigFile {
  /** The named special tokens: `bos_token`, `eos_token`, `pad_token` and so on. */
  readonly specialTokens: Readonly<Record<string, string>>;
  readonly additionalSpecialTokens: readonly string[];
  readonly chatTemplate: string | undefined;
}

/** Names the special tokens that a configuration may define, as templates know them. */
const specialTokenNames = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;

const componentSchema = z.looseObject({ type: z.string() }).nullish();
const tokenId = z
  .number()
  .int()
  .min(0)
  .max(maxVocabularySize - 1);

const tokenizerSchema = z.looseObject({
  added_tokens: z
    .array(
      z.looseObject({
        id: tokenId,
        content: z.string().min(1),
        special: z.boolean().default(false),
        lstrip: z.boolean().default(false),
        normalized: z.boolean().optional(),
      }),
    )
    .nullish(),
  normalizer: componentSchema,
  pre_tokenizer: componentSchema,
  post_processor: componentSchema,
  decoder: componentSchema,
  model: z.looseObject({ type: z.string().optional(), vocab: z.unknown() }),
});

const tokenText = z.union([z.string(), z.looseObject({ content: z.string() })]);
const namedTemplate = z.looseObject({ name: z.string(), template: z.string().max(maxTemplateChars) });

const configSchema = z.looseObject({
  ...Object.fromEntries(specialTokenNames.map((name) => [name, tokenText.nullish()])),
  additional_special_tokens: z.array(tokenText).nullish(),
  chat_template: z.union([z.string().max(maxTemplateChars), z.array(namedTemplate)]).nullish(),
});

function refuse(file: string, field: string, what: string, got: unknown, expected: string): never {
  throw new InvalidModelError({
    where: file,
    what: `field ${field} ${what}`,
    got,
    expected,
    remedy: "The file is damaged or of another kind: fetch it again from the model's repository.",
  });
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : typeof value;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined,
    root,
  );
}

function parseWith<T>(schema: z.ZodType<T>, value: unknown, file: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue?.path ?? [];
  const got = valueAt(value, path);
  throw new InvalidModelError({
    where: file,
    what: path.length === 0 ? "the file is not as it should be" : `field ${path.join(".")} is not valid`,
    got: typeof got === "string" || typeof got === "number" ? got : kindOf(got),
    expected: issue?.message ?? "the format of Hugging Face tokenizers",
    remedy: "The file is damaged or of another kind: fetch it again from the model's repository.",
    cause: result.error,
  });
}

function isTokenId(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < maxVocabularySize;
}

function parseVocabulary(vocab: unknown, file: string): (token: string) => number | undefined {
  if (Array.isArray(vocab)) {
    const ids = new Map<string, number>();
    vocab.forEach((entry: unknown, id) => {
      const valid = Array.isArray(entry) && typeof entry[0] === "string" && typeof entry[1] === "number";
      if (!valid) refuse(file, `model.vocab.${id}`, "is not valid", kindOf(entry), "a pair [token, score]");
      ids.set(entry[0], id);
    });
    if (ids.size === 0) refuse(file, "model.vocab", "is empty", 0, "at least one token");
    return (token) => ids.get(token);
  }
  if (typeof vocab !== "object" || vocab === null) {
    refuse(file, "model.vocab", "is not valid", kindOf(vocab), "an object from tokens to ids");
  }
  const ids = vocab as Record<string, unknown>;
  let count = 0;
  for (const token of Object.keys(ids)) {
    const id = ids[token];
    if (!isTokenId(id)) {
      refuse(
        file,
        `model.vocab[${JSON.stringify(token)}]`,
        "is no token id",
        id,
        "a whole number below 2^22",
      );
    }
    count++;
  }
  if (count === 0) refuse(file, "model.vocab", "is empty", 0, "at least one token");
  return (token) => {
    const id = Object.hasOwn(ids, token) ? ids[token] : undefined;
    return isTokenId(id) ? id : undefined;
  };
}

function checkMerges(merges: unknown, file: string): void {
  if (!Array.isArray(merges)) {
    refuse(file, "model.merges", "is not valid", kindOf(merges), "an array of pairs of tokens");
  }
  merges.forEach((merge: unknown, rank) => {
    const valid = Array.isArray(merge)
      ? merge.length === 2 && typeof merge[0] === "string" && typeof merge[1] === "string"
      : typeof merge === "string" && merge.indexOf(" ") > 0;
    if (!valid) refuse(file, `model.merges.${rank}`, "is not valid", merge, "a pair of tokens");
  });
}

/**
 * Validates the content of a `tokenizer.json`.
 * @param file Names the file in messages.
 * @throws {@link InvalidModelError} naming the field that is broken.
 */
export function parseTokenizerFile(value: unknown, file: string): TokenizerFile {
  const parsed = parseWith(tokenizerSchema, value, file);
  const idOf = parseVocabulary(parsed.model.vocab, file);
  if (parsed.model.type === "BPE" || parsed.model.merges !== undefined) {
    checkMerges(parsed.model.merges, file);
  }
  return {
    normalizer: parsed.normalizer ?? null,
    preTokenizer: parsed.pre_tokenizer ?? null,
    postProcessor: parsed.post_processor ?? null,
    decoder: parsed.decoder ?? null,
    addedTokens: (parsed.added_tokens ?? []).map((token) => ({
      ...token,
      normalized: token.normalized ?? !token.special,
    })),
    model: parsed.model,
    idOf,
  };
}

function contentOf(token: z.infer<typeof tokenText>): string {
  return typeof token === "string" ? token : token.content;
}

function chooseTemplate(template: z.infer<typeof configSchema>["chat_template"]): string | undefined {
  if (typeof template === "string") return template;
  const templates = template ?? [];
  return (templates.find(({ name }) => name === "default") ?? templates[0])?.template;
}

/**
 * Validates the content of a `tokenizer_config.json` (or of a `special_tokens_map.json`, its subset).
 * Of several named chat templates the one named `default` is taken.
 * @param file Names the file in messages.
 * @throws {@link InvalidModelError} naming the field that is broken.
 */
export function parseTokenizerConfigFile(value: unknown, file: string): TokenizerConfigFile {
  const parsed = parseWith(configSchema, value, file);
  const specialTokens: Record<string, string> = {};
  for (const name of specialTokenNames) {
    const token = tokenText.nullish().parse(parsed[name]);
    if (token !== undefined && token !== null) specialTokens[name] = contentOf(token);
  }
  return {
    specialTokens,
    additionalSpecialTokens: (parsed.additional_special_tokens ?? []).map(contentOf),
    chatTemplate: chooseTemplate(parsed.chat_template),
  };
}
