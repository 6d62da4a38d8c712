/**
 * Scores of the candidates for slots: as tokens have them from a network, pooled over neighbours, or made of the attention
 * that they received.
 *
 * Pooled, so that the tokens of a name or a number stay or leave together:
 *
 *   s'_n = mean of s_m,   |n - m| <= (k - 1) / 2,   k odd: the kernel
 *
 * SnapKV (arXiv 2404.14469, section 4.2) pools the attention of a prompt for the same reason, once, and by the largest of
 * the neighbours. In a stream a token is pooled when it first becomes a candidate; from then on it keeps s'.
 * Neighbours are tokens that become candidates with it, or are still behind them: not the sinks, and not what became a
 * candidate before it. Commits come at fixed places of a stream, so that s' does not depend on how it is cut.
 */

import { InternalError } from "../errors.ts";
import type { AttentionScoring } from "./received-attention.ts";
import type { NumberArray, TokenNumbers } from "./token-numbers.ts";

/** Says which places of a cache are candidates, in stream order. */
export interface CandidateStretch {
  readonly from: number;
  /** The first place that was none before. */
  readonly newFrom: number;
  /** Behind the last candidate. */
  readonly to: number;
  /** Behind the last token read. */
  readonly end: number;
}

/** Gives the scores of the candidates, new ones pooled. @param row - scores by place, which stay as they are. */
export function poolScores(
  row: NumberArray,
  { from, newFrom, to, end }: CandidateStretch,
  kernelTokens: number,
): NumberArray {
  const scores = row.slice(from, to);
  const reach = (kernelTokens - 1) / 2;
  for (let place = newFrom; place < to; place++) {
    const [first, behind] = [Math.max(newFrom, place - reach), Math.min(end, place + reach + 1)];
    let sum = 0;
    for (let neighbour = first; neighbour < behind; neighbour++) sum += row[neighbour] ?? 0;
    scores[place - from] = sum / (behind - first);
  }
  return scores;
}

/** Says how candidates are scored: by their own number when it says nothing. */
export interface CandidateScoring {
  /** k: new ones by the mean of so many tokens around them. */
  readonly scoreKernel?: number | undefined;
  /** By the attention that they received, which is then their number. */
  readonly attention: AttentionScoring | undefined;
}

/** Gives the scores of the candidates of so many heads, those of a layer behind one another. */
export function scoreCandidates(
  numbers: TokenNumbers,
  { layerCount, headCount }: { readonly layerCount: number; readonly headCount: number },
  stretch: CandidateStretch,
  { scoreKernel, attention }: CandidateScoring,
): readonly NumberArray[] {
  return Array.from({ length: layerCount * headCount }, (_, index) => {
    const row = numbers.row("retention", Math.floor(index / headCount), index % headCount);
    if (row === undefined) throw new InternalError({ where: "commit", what: "tokens have no score" });
    if (scoreKernel !== undefined) return poolScores(row, stretch, scoreKernel);
    const candidates = row.subarray(stretch.from, stretch.to);
    return attention?.scoreCandidates(candidates) ?? candidates;
  });
}
