/**
 * RULER's string_match_all (arXiv 2404.06654).
 */

/** Returns the share of the references that stand in an answer, whatever their case. */
export function scoreStringMatchAll(answer: string, references: readonly string[]): number {
  const text = answer.toLowerCase();
  return references.filter((one) => text.includes(one.toLowerCase())).length / references.length;
}
