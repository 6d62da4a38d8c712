/**
 * Documents of random tokens that come again: practice in copying.
 *
 * A document has a few runs of random tokens, one after the other in any order, again and again. Only what was there
 * before is learned, behind the token that tells which run it is. Small models learn to find something again much
 * sooner with a share of these (induction heads: arXiv 2209.11895).
 */

import { z } from "zod";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { createDraws } from "../random-draws.ts";
import {
  checkLength,
  type DocumentSource,
  fillDocument,
  parsePosition,
  positionCount,
} from "./document-source.ts";

const positionSchema = z.object({ document: positionCount });
const [fewestTokens, mostTokens] = [4, 24];
const mostRuns = 8;

/** Creates documents of repeated runs: the n-th depends on the seed and on n alone. */
export function createRepeatedDocuments(tokenizer: Tokenizer, seed: number): DocumentSource {
  const head = tokenizer
    .encode("")
    .filter((id) => id !== tokenizer.eosTokenId || id === tokenizer.bosTokenId);
  const isText = (id: number): boolean => tokenizer.decode([id], { skipSpecialTokens: true }) !== "";
  const ids = Array.from({ length: tokenizer.vocabSize }, (_, id) => id).filter(isText);
  return {
    identity: JSON.stringify({ repeated: seed, vocabSize: ids.length }),
    start: { document: 0 },
    async read(from, lengthTokens) {
      checkLength(lengthTokens, head.length + 2 * mostTokens);
      const { document: index } = parsePosition(positionSchema, from);
      const draws = createDraws(seed, "repeated document", index);
      const room = lengthTokens - head.length;
      const runCount = draws.whole(1, Math.min(mostRuns, Math.floor(room / (2 * mostTokens))));
      const runs = Array.from({ length: runCount }, () =>
        Array.from({ length: draws.whole(fewestTokens, mostTokens) }, () => draws.pick(ids)),
      );
      const tokens = [...head];
      const weights = head.map(() => 0);
      const seen = new Set<readonly number[]>();
      while (tokens.length < lengthTokens) {
        const run = draws.pick(runs);
        tokens.push(...run);
        weights.push(...run.map((_, place) => (seen.has(run) && place > 0 ? 1 : 0)));
        seen.add(run);
      }
      return {
        document: fillDocument(tokens, weights, lengthTokens, 0),
        position: { document: index + 1 },
      };
    },
  };
}
