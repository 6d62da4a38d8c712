/**
 * Slices of texts, in a model's own tokens: none of them spans two texts, and none shares a token with another.
 *
 * The first slice of each text comes before the second of any, so that a few slices are of many texts. Texts are
 * encoded as far as they are needed, once.
 */

import { encodeChunks } from "../text/text-chunks.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { TrainingRecords } from "../train/data/training-records.ts";

/** Is where a text's records lie. */
interface TextPlace {
  readonly first: number;
  readonly end: number;
}

/** Is a text that is encoded piece by piece. */
class EncodedText {
  readonly #pieces: AsyncGenerator<readonly number[]>;
  readonly #ids: number[] = [];
  #isWhole = false;

  constructor(tokenizer: Tokenizer, text: AsyncIterable<string>) {
    this.#pieces = encodeChunks(tokenizer, text, { addSpecialTokens: false });
  }

  /** Tells whether the text has so many tokens. */
  async reaches(end: number): Promise<boolean> {
    while (this.#ids.length < end && !this.#isWhole) {
      const { value, done } = await this.#pieces.next();
      if (done === true) this.#isWhole = true;
      else for (const id of value) this.#ids.push(id);
    }
    return this.#ids.length >= end;
  }

  /** Returns tokens that the text has been found to have. */
  slice(start: number, end: number): readonly number[] {
    return this.#ids.slice(start, end);
  }
}

/** Is a slice of a text. */
export interface TextSlice {
  readonly readIds: () => readonly number[];
}

/** Gives the slices of texts. */
export class TextSlices {
  readonly #records: TrainingRecords;
  readonly #tokenizer: Tokenizer;
  #texts: readonly EncodedText[] | undefined;

  constructor(records: TrainingRecords, tokenizer: Tokenizer) {
    this.#records = records;
    this.#tokenizer = tokenizer;
  }

  async *#readText({ first, end }: TextPlace): AsyncGenerator<string> {
    for (let index = first; index < end; index++) {
      const record = await this.#records.read(index);
      if (record.kind === "text") yield record.text;
    }
  }

  async #findTexts(signal: AbortSignal | undefined): Promise<readonly EncodedText[]> {
    const places: TextPlace[] = [];
    let first = 0;
    for (let index = 0; index < this.#records.count; index++) {
      const record = await this.#records.read(index, signal);
      if (record.kind === "text" && !record.isComplete) continue;
      if (record.kind === "text") places.push({ first, end: index + 1 });
      first = index + 1;
    }
    return places.map((place) => new EncodedText(this.#tokenizer, this.#readText(place)));
  }

  /** Finds the first `wanted` slices of that many tokens, or as many as there are. @throws {@link FileError} */
  async find(lengthTokens: number, wanted: number, signal?: AbortSignal): Promise<TextSlice[]> {
    this.#texts ??= await this.#findTexts(signal);
    let texts = this.#texts;
    const slices: TextSlice[] = [];
    for (let start = 0; texts.length > 0; start += lengthTokens) {
      const end = start + lengthTokens;
      const longer: EncodedText[] = [];
      for (const text of texts) {
        if (slices.length === wanted) return slices;
        signal?.throwIfAborted();
        if (!(await text.reaches(end))) continue;
        slices.push({ readIds: () => text.slice(start, end) });
        longer.push(text);
      }
      texts = longer;
    }
    return slices;
  }
}
