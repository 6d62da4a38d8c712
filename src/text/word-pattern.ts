/**
 * How a byte-level tokenizer of our own cuts text into words before merging: GPT-2's way, with marks kept on their
 * letters and numbers in groups of few digits, so that a number is read the same wherever it stands.
 */

/** Most digits that one token may hold. */
export type DigitsPerToken = 1 | 2 | 3;

/**
 * Returns the pattern, in what the syntaxes of JavaScript (with the `u` flag) and of Rust have in common. Every
 * character of a text belongs to one match.
 */
export function wordPattern(digitsPerToken: DigitsPerToken): string {
  return [
    "'(?:[sdmtSDMT]|ll|LL|ve|VE|re|RE)",
    " ?[\\p{L}\\p{M}]+",
    ` ?\\p{N}{1,${digitsPerToken}}`,
    " ?[^\\s\\p{L}\\p{M}\\p{N}]+",
    "\\s+(?!\\S)",
    "\\s+",
  ].join("|");
}
