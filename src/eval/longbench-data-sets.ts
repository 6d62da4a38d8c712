/**
 * The English and code data sets of LongBench v1: how each is scored, and how long its answers may be.
 */

import { InvalidRequestError } from "../errors.ts";
import { type LongBenchMetricName, longBenchMetrics } from "./longbench-metrics.ts";
import type { LongBenchName } from "./longbench-prompts.ts";

/** Is how answers of a data set are scored. */
export interface LongBenchDataSet {
  readonly metric: LongBenchMetricName;
  readonly maxNewTokens: number;
  /** Whether the first line alone is the answer. */
  readonly isFirstLineOnly: boolean;
}

const answered = (
  metric: LongBenchDataSet["metric"],
  maxNewTokens: number,
  isFirstLineOnly = false,
): LongBenchDataSet => ({
  metric,
  maxNewTokens,
  isFirstLineOnly,
});

/** Holds the data sets by name. */
export const longBenchDataSets: Readonly<Record<LongBenchName, LongBenchDataSet>> = {
  narrativeqa: answered("qa_f1", 128),
  qasper: answered("qa_f1", 128),
  multifieldqa_en: answered("qa_f1", 64),
  hotpotqa: answered("qa_f1", 32),
  "2wikimqa": answered("qa_f1", 32),
  musique: answered("qa_f1", 32),
  gov_report: answered("rouge", 512),
  qmsum: answered("rouge", 512),
  multi_news: answered("rouge", 512),
  trec: answered("classification", 64, true),
  triviaqa: answered("qa_f1", 32, true),
  samsum: answered("rouge", 128, true),
  passage_count: answered("count", 32),
  passage_retrieval_en: answered("retrieval", 32),
  lcc: answered("code_sim", 64),
  "repobench-p": answered("code_sim", 64),
};

/** Lists the names of data sets. */
export const longBenchNames: readonly LongBenchName[] = Object.keys(longBenchDataSets) as LongBenchName[];

/** Checks the name of a data set. @throws {@link InvalidRequestError} listing those that are known. */
export function parseLongBenchName(name: string): LongBenchName {
  const known = longBenchNames.find((one) => one === name);
  if (known !== undefined) return known;
  const expected = longBenchNames.join(", ");
  throw new InvalidRequestError({ where: "longbench", what: "unknown data set", got: name, expected });
}

/**
 * Scores an answer as LongBench does: by the reference that suits it best.
 * @returns a number in [0, 1].
 */
export function scoreLongBench(
  { metric, isFirstLineOnly }: LongBenchDataSet,
  answer: string,
  references: readonly string[],
  classes: readonly string[],
): number {
  const given = isFirstLineOnly ? (answer.replace(/^\n+/, "").split("\n")[0] ?? "") : answer;
  return Math.max(0, ...references.map((reference) => longBenchMetrics[metric](given, reference, classes)));
}
