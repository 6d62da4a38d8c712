/**
 * Sources of training documents: token runs of the length that is asked for, one after the other, without end.
 *
 * A source has no state: reading takes a position and gives the next one. So a position that was saved is all that
 * a resumed run needs, and the continuation is the same to the bit.
 */

import { z } from "zod";
import { InvalidRequestError } from "../../errors.ts";

/** Is a document to train on. */
export interface TrainingDocument {
  /** Token ids, int32, as many as were asked for. */
  readonly tokens: Int32Array;
  /** The weight of the loss of predicting each token from those before it, float32, as many; 0 at index 0. */
  readonly lossWeights: Float32Array;
  /** How many tokens are real; the others pad, with weight 0. */
  readonly usedTokens: number;
}

/** Says how far a source was read: plain data for JSON. */
export type DataPosition = { readonly [field: string]: number | DataPosition | readonly DataPosition[] };

/** Is a document with the position behind it. */
export interface ReadDocument {
  readonly document: TrainingDocument;
  readonly position: DataPosition;
}

/** Gives documents. */
export interface DocumentSource {
  /** Digest of everything that documents depend on besides the position: positions of another are worth nothing. */
  readonly identity: string;
  /** The position before the first document. */
  readonly start: DataPosition;
  /**
   * Reads the next document.
   * @param position - of this source: its start, or what an earlier read gave.
   * @param lengthTokens - of the document; need not be the same each time.
   * @throws {@link InvalidRequestError} when the position is none of this source, or there is no document to be had;
   * {@link FileError} when data cannot be read; the signal's reason on abort.
   */
  read(position: DataPosition, lengthTokens: number, signal?: AbortSignal): Promise<ReadDocument>;
}

/** Is a schema of whole numbers from 0. */
export const positionCount: z.ZodNumber = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

/** Checks a position, which may come from a file. @throws {@link InvalidRequestError} */
export function parsePosition<T>(schema: z.ZodType<T>, position: unknown): T {
  const parsed = schema.safeParse(position);
  if (parsed.success) return parsed.data;
  throw new InvalidRequestError({
    where: "data position",
    what: `this is no position of these data (${parsed.error.issues[0]?.path.join(".") ?? ""})`,
    got: JSON.stringify(position),
    remedy: "Resume with the data that the run began with.",
    cause: parsed.error,
  });
}

/**
 * Checks the length of a document.
 * @param least - the shortest that makes sense; default 2, since one token predicts nothing.
 * @throws {@link InvalidRequestError}
 */
export function checkLength(lengthTokens: number, least = 2): void {
  if (Number.isSafeInteger(lengthTokens) && lengthTokens >= least && lengthTokens <= 2 ** 28) return;
  throw new InvalidRequestError({
    where: "lengthTokens",
    what: "out of range",
    got: lengthTokens,
    expected: `a whole number from ${least} to 2^28`,
  });
}

/** Builds a document from tokens and weights; fewer than `lengthTokens` are padded. */
export function fillDocument(
  tokens: readonly number[],
  weights: readonly number[],
  lengthTokens: number,
  paddingId: number,
): TrainingDocument {
  const usedTokens = Math.min(tokens.length, lengthTokens);
  const padded = new Int32Array(lengthTokens).fill(paddingId);
  const lossWeights = new Float32Array(lengthTokens);
  for (let index = 0; index < usedTokens; index++) {
    padded[index] = tokens[index] ?? paddingId;
    // Nothing is before the first token to predict it from.
    if (index > 0) lossWeights[index] = weights[index] ?? 0;
  }
  return { tokens: padded, lossWeights, usedTokens };
}
