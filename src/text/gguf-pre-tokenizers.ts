/**
 * The pre-tokenizers that GGUF files name (`tokenizer.ggml.pre`), as components of a `tokenizer.json`.
 *
 * The names are llama.cpp's; many models share a way of splitting. Each way is a list of patterns, applied one
 * after the other: what a pattern matches stays in one piece, and so does what lies between. Patterns are those
 * of the models' own tokenizer.json files.
 */

import type { TokenizerComponent } from "./tokenizer-json.ts";

const contractions = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
const gpt2Pattern = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** Llama 3's way and its kin; they differ in how many digits stay together. */
const llama3Pattern = (digits: string): string =>
  `${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** Words in which capitals come first, as of GPT-4o; `suffix` may follow a word. */
function casedPattern(suffix: string, digits: string): string {
  const upper = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
  const lower = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
  const lead = "[^\\r\\n\\p{L}\\p{N}]?";
  return (
    `${lead}${upper}*${lower}+${suffix}|${lead}${upper}+${lower}*${suffix}|${digits}` +
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
  );
}

/** Says how a way of splitting differs besides its patterns. */
export interface PreTokenizer {
  readonly patterns: readonly string[];
  /** Whether a word that is a token is not put together from merges. */
  readonly ignoreMerges: boolean;
  /** Whether a beginning-of-text token is put before a text, when the file does not say. */
  readonly addsBos: boolean;
}

const plain = (...patterns: string[]): PreTokenizer => ({ patterns, ignoreMerges: false, addsBos: false });

const gpt2 = plain(gpt2Pattern);
const digitsApart = plain("\\p{N}", gpt2Pattern);
const qwen2 = plain(llama3Pattern("\\p{N}"));
const llama3 = { ...plain(llama3Pattern("\\p{N}{1,3}")), ignoreMerges: true, addsBos: true };
const dbrx = plain(llama3Pattern("\\p{N}{1,3}"));

const byName: Readonly<Record<string, PreTokenizer>> = {
  default: plain("[\\p{P}\\$\\+<=>\\^~\\|]+", gpt2Pattern, "\\p{N}+", "[0-9][0-9][0-9]"),
  "gpt-2": gpt2,
  "phi-2": gpt2,
  olmo: gpt2,
  mpt: gpt2,
  jais: gpt2,
  "roberta-bpe": gpt2,
  gigachat: gpt2,
  exaone4: gpt2,
  trillion: gpt2,
  "granite-docling": gpt2,
  "a.x-4.0": gpt2,
  mellum: gpt2,
  smollm: digitsApart,
  starcoder: digitsApart,
  refact: digitsApart,
  "command-r": digitsApart,
  codeshell: digitsApart,
  exaone: digitsApart,
  "minerva-7b": digitsApart,
  qwen2,
  "deepseek-r1-qwen": qwen2,
  stablelm2: qwen2,
  hunyuan: qwen2,
  megrez: qwen2,
  "llama-bpe": llama3,
  llama3,
  "llama-v3": llama3,
  falcon3: llama3,
  lfm2: llama3,
  dbrx,
  "smaug-bpe": dbrx,
  glm4: dbrx,
  "chatglm-bpe": dbrx,
  tekken: { ...plain(casedPattern("", "\\p{N}")), ignoreMerges: true, addsBos: true },
  "gpt-4o": plain(casedPattern(`${contractions}?`, "\\p{N}{1,3}")),
  llama4: plain(casedPattern(`${contractions}?`, "\\p{N}{1,3}")),
};

/** Lists the names that are known. */
export const preTokenizerNames: readonly string[] = Object.keys(byName);

/** Returns the pre-tokenizer of a name; undefined when it is not known. */
export function findPreTokenizer(name: string): PreTokenizer | undefined {
  return Object.hasOwn(byName, name) ? byName[name] : undefined;
}

/** Returns the component of a `tokenizer.json`: the patterns in turn, and bytes written as characters. */
export function preTokenizerComponent({ patterns }: PreTokenizer): TokenizerComponent {
  const splits = patterns.map((Regex) => ({
    type: "Split",
    pattern: { Regex },
    behavior: "Isolated",
    invert: false,
  }));
  const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  return { type: "Sequence", pretokenizers: [...splits, bytes] };
}
