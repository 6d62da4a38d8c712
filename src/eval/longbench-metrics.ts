/**
 * The metrics of LongBench v1 (arXiv 2308.14508), as its `metrics.py` has them for English and code.
 *
 * Scores are in [0, 1]. What looks odd is the official way, kept so that figures can be compared.
 */

import { rougeL } from "./rouge-l.ts";
import { sequenceSimilarity } from "./sequence-similarity.ts";

/** Scores an answer by one reference; `classes` are those that the data set knows. */
export type AnswerMetric = (answer: string, reference: string, classes?: readonly string[]) => number;

/** Names a metric as LongBench does. */
export type LongBenchMetricName = "qa_f1" | "rouge" | "classification" | "retrieval" | "count" | "code_sim";

const punctuation = /[!"#$%&'()*+,\-./:;<=>?@[\\\]^_`{|}~]/g;
const articles = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;

/** Lists the words of a text in lower case, without punctuation and articles. */
function normalizedWords(text: string): string[] {
  const plain = text.toLowerCase().replaceAll(punctuation, "").replaceAll(articles, " ").trim();
  return plain === "" ? [] : plain.split(/\s+/);
}

/** Scores the words that both have, as often as both have them, by their F measure. */
export function wordF1(answer: string, reference: string): number {
  const [given, wanted] = [normalizedWords(answer), normalizedWords(reference)];
  const left = new Map<string, number>();
  for (const word of wanted) left.set(word, (left.get(word) ?? 0) + 1);
  let same = 0;
  for (const word of given) {
    const count = left.get(word) ?? 0;
    if (count === 0) continue;
    left.set(word, count - 1);
    same++;
  }
  // 2PR / (P + R), in counts.
  return same === 0 ? 0 : (2 * same) / (given.length + wanted.length);
}

/**
 * Scores by the classes that the answer names: the right one alone gives 1, among n it gives 1/n. A class whose name
 * is a part of the right one does not count, except behind one that was just taken out: the official loop takes out
 * of the list that it walks along.
 */
function scoreClass(answer: string, reference: string, classes: readonly string[] = []): number {
  const named = classes.filter((name) => answer.includes(name));
  for (let index = 0; index < named.length; index++) {
    const name = named[index] ?? "";
    if (reference.includes(name) && name !== reference) named.splice(named.indexOf(name), 1);
  }
  return named.includes(reference) ? 1 / named.length : 0;
}

/** Returns the share of the numbers of an answer that equal a number, digit by digit. */
function shareOfNumbers(answer: string, wanted: string): number {
  const numbers = answer.match(/\p{Nd}+/gu) ?? [];
  if (numbers.length === 0) return 0;
  return numbers.filter((number) => number === wanted).length / numbers.length;
}

function scoreParagraph(answer: string, reference: string): number {
  const wanted = /Paragraph (\p{Nd}+)/u.exec(reference)?.[1];
  return wanted === undefined ? 0 : shareOfNumbers(answer, wanted);
}

/** Rounds as Python does: halves to the even neighbour. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Scores the first line that is code by its similarity, in whole hundredths. */
function scoreCode(answer: string, reference: string): number {
  const lines = answer.replace(/^\n+/, "").split("\n");
  const line = lines.find((text) => !/[`#]|\/\//.test(text)) ?? "";
  return roundHalfEven(100 * sequenceSimilarity(line, reference)) / 100;
}

/** Holds the metrics by the names that LongBench gives them. */
export const longBenchMetrics: Readonly<Record<LongBenchMetricName, AnswerMetric>> = {
  qa_f1: wordF1,
  rouge: rougeL,
  classification: scoreClass,
  retrieval: scoreParagraph,
  count: shareOfNumbers,
  code_sim: scoreCode,
};
