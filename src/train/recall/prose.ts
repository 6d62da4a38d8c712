/**
 * Prose, sentence by sentence: what facts are hidden in.
 *
 * A sentence comes with the white space before it, so that sentences put together are the text. What ends one is
 * decided by simple rules and not by the platform's, so that documents are the same everywhere.
 */

import { InvalidRequestError } from "../../errors.ts";
import type { TrainingRecords } from "../data/training-records.ts";
import type { RandomDraws } from "../random-draws.ts";

/** Gives prose. */
export interface Prose {
  /** Digest of the text. */
  readonly identity: string;
  /** Reads sentences from a place that is drawn, without end: behind the text's end it begins again. */
  read(draws: RandomDraws, signal?: AbortSignal): AsyncIterable<string>;
}

/** Bounds a sentence, in UTF-16 units: text without full stops is cut. */
const longestSentence = 600;

/** Ends a sentence: a full stop with what closes behind it before a capital, an ideographic one, a blank line. */
const sentenceEnd = /[.!?…]+["'”’»)\]]*(?=\s+["'“‘«([]*[\p{Lu}\p{N}])|[。！？]["”」』]?|(?=\s*\n\s*\n)/gu;

/** Matches what only looks like the end of a sentence. */
const abbreviation =
  /(^|[\s("“‘])(\p{Lu}|Mr|Mrs|Ms|Dr|St|Mme|Mlle|Messrs|Prof|Capt|Col|Gen|Lt|Rev|Hon|Esq|No|vol|pp?)\.$/u;

/** Cuts a text into sentences. */
export function splitSentences(text: string): string[] {
  const sentences: string[] = [];
  let start = 0;
  const cut = (end: number): void => {
    while (end - start > longestSentence) {
      const space = text.lastIndexOf(" ", start + longestSentence);
      let stop = space > start ? space : start + longestSentence;
      // A character of two units is not cut.
      if (/[\udc00-\udfff]/.test(text.charAt(stop))) stop++;
      sentences.push(text.slice(start, stop));
      start = stop;
    }
    if (end > start) sentences.push(text.slice(start, end));
    start = end;
  };
  for (const { 0: found, index } of text.matchAll(sentenceEnd)) {
    const end = index + found.length;
    if (end <= start || /^\s*$/.test(text.slice(start, end))) continue;
    if (!abbreviation.test(text.slice(Math.max(start, end - 12), end))) cut(end);
  }
  cut(text.length);
  return sentences;
}

/**
 * Takes prose from a text in memory.
 * @throws {@link InvalidRequestError} when there is nothing but white space.
 */
export function proseOfText(text: string, identity: string): Prose {
  const sentences = splitSentences(text.trim());
  if (sentences.length === 0) {
    throw new InvalidRequestError({ where: "prose", what: "the text is empty", expected: "some sentences" });
  }
  return {
    identity,
    async *read(draws, signal) {
      for (let index = draws.whole(0, sentences.length - 1); ; index = (index + 1) % sentences.length) {
        signal?.throwIfAborted();
        const sentence = sentences[index] ?? "";
        // The first sentence follows the last one when the text begins again.
        yield /^\s/.test(sentence) ? sentence : `\n\n${sentence}`;
      }
    },
  };
}

/** Takes prose from the texts of training records; prompts, completions and conversations are left out. */
export function proseOfRecords(records: TrainingRecords): Prose {
  return {
    identity: records.identity,
    async *read(draws, signal) {
      let index = draws.whole(0, records.count - 1);
      const share = draws.uniform();
      for (let read = 0, textless = 0; textless < records.count; read++) {
        const record = await records.read(index, signal);
        index = (index + 1) % records.count;
        const sentences = record.kind === "text" ? splitSentences(record.text) : [];
        textless = sentences.length === 0 ? textless + 1 : 0;
        const start = read === 0 ? Math.floor(share * sentences.length) : 0;
        for (const sentence of sentences.slice(start)) {
          signal?.throwIfAborted();
          yield /^\s/.test(sentence) ? sentence : `\n\n${sentence}`;
        }
      }
      throw new InvalidRequestError({
        where: "prose",
        what: "no record is a text",
        got: `${records.count} records`,
        expected: 'plain text, or lines with "text"',
      });
    },
  };
}
