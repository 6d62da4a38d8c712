/**
 * Documents from records: shuffled by a seed, anew each epoch, encoded when they are needed, packed.
 *
 * Packing `join` puts records one behind the other until a document is full; what is left of a record begins
 * the next. `single` gives a record documents of its own and pads the last.
 */

import { z } from "zod";
import { InvalidRequestError } from "../../errors.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { createDraws, drawOrder } from "../random-draws.ts";
import {
  checkLength,
  type DocumentSource,
  fillDocument,
  parsePosition,
  positionCount,
} from "./document-source.ts";
import { encodeRecord, type WeightedTokens } from "./encode-record.ts";
import type { TrainingRecords } from "./training-records.ts";

/** Chooses how records become documents. */
export interface RecordDocumentsOptions {
  /** Draws the order of each epoch. */
  readonly seed: number;
  readonly packing: "join" | "single";
  /**
   * The fewest tokens that a record, and in packing `single` the rest of one, must have: others are skipped and
   * counted. Default 1. Where only what lies past the window is learned, the window and one more.
   */
  readonly minTokens?: number;
}

const positionSchema = z.object({
  epoch: positionCount,
  /** The next record, as a place in the epoch's order. */
  place: positionCount,
  /** Its first token that was not read yet. */
  token: positionCount,
  /** Records, and rests of records, that were too short. */
  skipped: positionCount,
});

type Position = z.infer<typeof positionSchema>;

/** Reads and encodes records in the order of their epochs, keeping the last of each. */
class ShuffledRecords {
  readonly #records: TrainingRecords;
  readonly #tokenizer: Tokenizer;
  readonly #seed: number;
  #order: { readonly epoch: number; readonly indices: Uint32Array } | undefined;
  #encoded: { readonly index: number; readonly tokens: WeightedTokens } | undefined;

  constructor(records: TrainingRecords, tokenizer: Tokenizer, seed: number) {
    this.#records = records;
    this.#tokenizer = tokenizer;
    this.#seed = seed;
  }

  get count(): number {
    return this.#records.count;
  }

  async read({ epoch, place }: Position, signal?: AbortSignal): Promise<WeightedTokens> {
    if (this.#order?.epoch !== epoch) {
      const draws = createDraws(this.#seed, "record order", epoch);
      this.#order = { epoch, indices: drawOrder(draws, this.count) };
    }
    const index = this.#order.indices[place];
    if (index === undefined) {
      const what = "this is no position of these data";
      throw new InvalidRequestError({
        where: "data position",
        what,
        got: place,
        expected: `below ${this.count}`,
      });
    }
    if (this.#encoded?.index !== index) {
      const record = await this.#records.read(index, signal);
      const tokens = await encodeRecord(this.#records.place(index), record, this.#tokenizer, signal);
      this.#encoded = { index, tokens };
    }
    return this.#encoded.tokens;
  }
}

function nextRecord(position: Position, count: number, skipped = 0): Position {
  const isEnd = position.place + 1 >= count;
  const { epoch, place } = position;
  return {
    epoch: isEnd ? epoch + 1 : epoch,
    place: isEnd ? 0 : place + 1,
    token: 0,
    skipped: position.skipped + skipped,
  };
}

function refuseShort(count: number, minTokens: number): never {
  throw new InvalidRequestError({
    where: "training data",
    what: "no record is long enough",
    got: `${count} records, all shorter`,
    expected: `one of ${minTokens} tokens or more`,
    remedy: "Use longer texts or a smaller window, or join short ones.",
  });
}

/** Finds the next record, or rest of one, that is long enough. */
async function findRecord(
  records: ShuffledRecords,
  from: Position,
  minTokens: number,
  signal: AbortSignal | undefined,
): Promise<{ position: Position; tokens: WeightedTokens }> {
  let position = from;
  // One more than there are: the first may be the rest of a record that is long enough as a whole.
  for (let tried = 0; tried <= records.count; tried++) {
    const tokens = await records.read(position, signal);
    if (tokens.tokens.length - position.token >= minTokens) return { position, tokens };
    position = nextRecord(position, records.count, tokens.tokens.length > position.token ? 1 : 0);
  }
  return refuseShort(records.count, minTokens);
}

function checkOptions({ seed, minTokens = 1 }: RecordDocumentsOptions): void {
  const check = (where: string, got: number, fits: boolean, expected: string): void => {
    if (!fits) throw new InvalidRequestError({ where, what: "out of range", got, expected });
  };
  check("seed", seed, Number.isSafeInteger(seed), "a whole number");
  check("minTokens", minTokens, Number.isSafeInteger(minTokens) && minTokens > 0, "a whole number from 1");
}

/**
 * Creates documents from records. Each begins with what the tokenizer puts before a text, whose loss is left out.
 * @throws {@link InvalidRequestError} when an option is out of range.
 */
export function createRecordDocuments(
  records: TrainingRecords,
  tokenizer: Tokenizer,
  options: RecordDocumentsOptions,
): DocumentSource {
  checkOptions(options);
  const { seed, packing, minTokens = 1 } = options;
  const shuffled = new ShuffledRecords(records, tokenizer, seed);
  const head = tokenizer
    .encode("")
    .filter((id) => id !== tokenizer.eosTokenId || id === tokenizer.bosTokenId);
  const paddingId = tokenizer.eosTokenId ?? 0;
  return {
    identity: JSON.stringify({ records: records.identity, seed, packing, minTokens }),
    start: { epoch: 0, place: 0, token: 0, skipped: 0 },
    async read(from, lengthTokens, signal) {
      checkLength(lengthTokens, head.length + 2);
      let position = parsePosition(positionSchema, from);
      const tokens = [...head];
      const weights = head.map(() => 0);
      do {
        // Only the rest of a record that was begun may be shorter when records are joined.
        const isRest = packing === "join" && position.token > 0;
        const found = await findRecord(shuffled, position, isRest ? 1 : minTokens, signal);
        const start = found.position.token;
        const stop = Math.min(found.tokens.tokens.length, start + lengthTokens - tokens.length);
        for (let index = start; index < stop; index++) {
          tokens.push(found.tokens.tokens[index] ?? 0);
          weights.push(found.tokens.weights[index] ?? 0);
        }
        const isDone = stop === found.tokens.tokens.length;
        position = isDone ? nextRecord(found.position, records.count) : { ...found.position, token: stop };
      } while (packing === "join" && tokens.length < lengthTokens);
      return { document: fillDocument(tokens, weights, lengthTokens, paddingId), position };
    },
  };
}
