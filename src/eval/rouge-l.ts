/**
 * ROUGE-L at the level of summaries, as the Python package `rouge` 1.0.1 computes it, which LongBench scores with.
 *
 * Its ways are kept: sentences end at full stops, words are counted as sets (a repeated word counts once), and 1e-8
 * in the denominator keeps the best score just below 1.
 */

function splitSentences(text: string): string[][] {
  return text
    .split(".")
    .filter((sentence) => sentence !== "")
    .map((sentence) => sentence.trim().split(/\s+/));
}

/** Adds the words of a longest common subsequence of two sentences; of several the package's. */
function addCommonWords(reference: readonly string[], given: readonly string[], into: Set<string>): void {
  const width = given.length + 1;
  const table = new Uint32Array((reference.length + 1) * width);
  const at = (i: number, j: number): number => table[i * width + j] ?? 0;
  for (let i = 1; i <= reference.length; i++) {
    for (let j = 1; j <= given.length; j++) {
      const isSame = reference[i - 1] === given[j - 1];
      table[i * width + j] = isSame ? at(i - 1, j - 1) + 1 : Math.max(at(i - 1, j), at(i, j - 1));
    }
  }
  for (let [i, j] = [reference.length, given.length]; i > 0 && j > 0; ) {
    const word = reference[i - 1];
    if (word !== undefined && word === given[j - 1]) {
      into.add(word);
      i--;
      j--;
    } else if (at(i - 1, j) > at(i, j - 1)) i--;
    else j--;
  }
}

/** Returns the F measure of an answer and a reference, in [0, 1); 0 when one of them is empty. */
export function rougeL(answer: string, reference: string): number {
  const [given, wanted] = [splitSentences(answer), splitSentences(reference)];
  if (given.length === 0 || wanted.length === 0) return 0;
  const common = new Set<string>();
  for (const sentence of wanted) for (const other of given) addCommonWords(sentence, other, common);
  const recall = common.size / new Set(wanted.flat()).size;
  const precision = common.size / new Set(given.flat()).size;
  return (2 * precision * recall) / (precision + recall + 1e-8);
}
