/**
 * Aggregation tasks of RULER (arXiv 2404.06654, section 3): which words of a list come most often.
 *
 * `cwe`: ten common words stand among uncommon ones in a numbered list; the common ones come 30 times each and the
 * others 3 times, in documents under 4,096 tokens 6 times and once. Words are invented where RULER draws from
 * dictionaries, and its example in front of the list is left out.
 * `fwe`: coded words of six letters whose counts follow Zipf's law with exponent 2, as many kinds as a fiftieth of the
 * length; the most frequent kind is written `...` and not asked for, the three after it are.
 * The score of both is string_match_all.
 */

import type { Tokenizer } from "../text/tokenizer.ts";
import { createDraws, drawOrder, type RandomDraws } from "../train/random-draws.ts";
import { inventWord } from "../train/recall/new-words.ts";
import { drawLetters, drawNew } from "./drawn-texts.ts";
import { fitCount } from "./fit-count.ts";
import { scoreStringMatchAll } from "./string-match.ts";
import type { EvaluationTask } from "./task.ts";

/** Names a task of this file. */
export type WordFrequencyTaskName = "cwe" | "fwe";

interface WordList {
  readonly text: string;
  /** The words asked for. */
  readonly answers: readonly string[];
}

interface Kind {
  readonly head: string;
  readonly question: string;
  /** RULER's; more where a tokenizer needs more for the right answer. */
  readonly maxAnswerTokens: number;
  readonly leastItems: number;
  /** Writes a list; `items` says how long it is. */
  write(draws: RandomDraws, items: number, lengthTokens: number): WordList;
}

function shuffle(draws: RandomDraws, words: readonly string[]): string[] {
  return [...drawOrder(draws, words.length)].map((place) => words[place] ?? "");
}

const commonCount = 10;
/** Shorter words would be found within others when answers are scored. */
const leastLetters = 6;

function inventLongWord(draws: RandomDraws): string {
  for (;;) {
    const word = inventWord(draws);
    if (word.length >= leastLetters) return word;
  }
}

const shortDocument = 4096;

function writeNumberedList(draws: RandomDraws, uncommonCount: number, lengthTokens: number): WordList {
  const [commonTimes, uncommonTimes] = lengthTokens < shortDocument ? [6, 1] : [30, 3];
  const taken = new Set<string>();
  const drawWords = (count: number): string[] =>
    Array.from({ length: count }, () => drawNew(taken, () => inventLongWord(draws)));
  const answers = drawWords(commonCount);
  const all = [
    ...answers.flatMap((word) => new Array<string>(commonTimes).fill(word)),
    ...drawWords(uncommonCount).flatMap((word) => new Array<string>(uncommonTimes).fill(word)),
  ];
  const text = shuffle(draws, all)
    .map((word, place) => `${place + 1}. ${word}`)
    .join(" ");
  return { text, answers };
}

const zipfExponent = 2;
/** The sum of k^-2. */
const zeta = Math.PI ** 2 / 6;
const codedLetters = 6;
const askedCount = 3;

function writeCodedText(draws: RandomDraws, wordCount: number, lengthTokens: number): WordList {
  const taken = new Set<string>();
  const kindCount = Math.max(askedCount + 2, Math.floor(lengthTokens / 50));
  const kinds = Array.from({ length: kindCount }, (_, rank) =>
    rank === 0 ? "..." : drawNew(taken, () => drawLetters(draws, codedLetters)),
  );
  const all = kinds.flatMap((word, rank) => {
    const times = Math.round((wordCount * (rank + 1) ** -zipfExponent) / zeta);
    return new Array<string>(times).fill(word);
  });
  return { text: shuffle(draws, all).join(" "), answers: kinds.slice(1, 1 + askedCount) };
}

const kinds: Readonly<Record<WordFrequencyTaskName, Kind>> = {
  cwe: {
    head: "Below is a numbered list of words. In these words, some appear more often than others. Memorize the ones that appear most often.\n",
    question:
      "\nQuestion: What are the 10 most common words in the above list? Answer: The top 10 words that appear most often in the list are:",
    maxAnswerTokens: 120,
    leastItems: 10,
    write: writeNumberedList,
  },
  fwe: {
    head: "Read the following coded text and track the frequency of each coded word. Find the three most frequently appeared coded words. ",
    question:
      "\nQuestion: Do not provide any explanation. Please ignore the dots '....'. What are the three most frequently appeared words in the above coded text? Answer: According to the coded text above, the three most frequently appeared words are:",
    maxAnswerTokens: 50,
    leastItems: 60,
    write: writeCodedText,
  },
};

/** Lists the tasks of this file. */
export const wordFrequencyTaskNames: readonly WordFrequencyTaskName[] = ["cwe", "fwe"];

/** Creates a task of counting words. @param seed - draws words and their order. */
export function createWordFrequencyTask(
  tokenizer: Tokenizer,
  name: WordFrequencyTaskName,
  seed: number,
): EvaluationTask {
  const { head, question, maxAnswerTokens, leastItems, write } = kinds[name];
  const countTokens = (text: string): number => tokenizer.encode(text, { continuation: true }).length;
  return {
    name,
    settings: { seed },
    metric: "mean",
    async makeExample(lengthTokens, index) {
      const writeItems = (items: number): WordList =>
        write(createDraws(seed, `eval ${name}`, lengthTokens, index), items, lengthTokens);
      const answerTokens = (answers: readonly string[]): number =>
        Math.max(maxAnswerTokens, countTokens(` ${answers.join(", ")}`));
      const takenTokens = tokenizer.encode(head).length + countTokens(question);
      const items = fitCount({ lengthTokens, takenTokens }, leastItems, (count) => {
        const { text, answers } = writeItems(count);
        return countTokens(text) + answerTokens(answers);
      });
      const { text, answers } = writeItems(items);
      return {
        document: head + text,
        about: { items },
        questions: [
          {
            prompt: question,
            references: answers,
            maxNewTokens: answerTokens(answers),
            stop: [],
            about: {},
            score: (answer) => scoreStringMatchAll(answer, answers),
          },
        ],
      };
    },
  };
}
