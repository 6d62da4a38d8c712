/**
 * Several sources as one: each document comes from one of them, drawn by their shares.
 */

import { z } from "zod";
import { InvalidRequestError } from "../../errors.ts";
import { createDraws } from "../random-draws.ts";
import { type DataPosition, type DocumentSource, parsePosition, positionCount } from "./document-source.ts";

/** Is a source with its part in a mixture. */
export interface SourceShare {
  readonly source: DocumentSource;
  /** Positive; shares are relative to their sum. */
  readonly share: number;
}

const nested: z.ZodType<DataPosition> = z.lazy(() =>
  z.record(z.string(), z.union([z.number(), nested, z.array(nested)])),
);

const positionSchema = z.object({ drawn: positionCount, sources: z.array(nested) });

function chooseSource(shares: readonly SourceShare[], seed: number, drawn: number): number {
  const total = shares.reduce((sum, { share }) => sum + share, 0);
  let left = createDraws(seed, "source of a document", drawn).uniform() * total;
  const index = shares.findIndex(({ share }) => {
    left -= share;
    return left < 0;
  });
  return index < 0 ? shares.length - 1 : index;
}

/**
 * Mixes sources.
 * @param seed - draws which source each document comes from.
 * @throws {@link InvalidRequestError} when there is none, or a share is not positive.
 */
export function mixDocuments(shares: readonly SourceShare[], seed: number): DocumentSource {
  if (shares.length === 0) {
    throw new InvalidRequestError({
      where: "mixDocuments",
      what: "there are no sources",
      expected: "one or more",
    });
  }
  for (const { share } of shares) {
    if (share > 0 && Number.isFinite(share)) continue;
    throw new InvalidRequestError({
      where: "share",
      what: "out of range",
      got: share,
      expected: "a number > 0",
    });
  }
  return {
    identity: JSON.stringify({ seed, shares: shares.map(({ source, share }) => [share, source.identity]) }),
    start: { drawn: 0, sources: shares.map(({ source }) => source.start) },
    async read(from, lengthTokens, signal) {
      const { drawn, sources } = parsePosition(positionSchema, from);
      const index = chooseSource(shares, seed, drawn);
      const [chosen, own] = [shares[index]?.source, sources[index]];
      if (chosen === undefined || own === undefined || sources.length !== shares.length) {
        const what = "this is a position of other sources";
        const expected = `${shares.length} positions`;
        throw new InvalidRequestError({ where: "data position", what, got: sources.length, expected });
      }
      const { document, position } = await chosen.read(own, lengthTokens, signal);
      return { document, position: { drawn: drawn + 1, sources: sources.with(index, position) } };
    },
  };
}
