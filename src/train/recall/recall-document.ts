/**
 * Recall documents: facts hidden in prose, at the ends of sentences, and questions about them further on.
 *
 * Some facts change, and the last value counts; some questions have no answer; the prose may be full of names and
 * numbers that nobody asks about. For training and for evaluation: the same draws give the same document.
 */

import { InvalidRequestError } from "../../errors.ts";
import { drawOrder, type RandomDraws } from "../random-draws.ts";
import { addDistractors, type DistractorOptions } from "./distractors.ts";
import { type FactKindName, factKindNames } from "./fact-kinds.ts";
import {
  drawAbsentTopic,
  drawFact,
  type Fact,
  type FactSplit,
  type FactTopic,
  wordQuestion,
  wordStatement,
} from "./facts.ts";
import { inventFact } from "./invented-words.ts";
import type { BorrowedWords } from "./new-words.ts";
import type { Prose } from "./prose.ts";
import type { QuestionFrame } from "./question-frames.ts";
import { drawRewording, type Rewording, sameWording } from "./rewording.ts";

/** Is the answer to what the document does not say. */
export const absentAnswer = "not said";

/** Says what a document holds. */
export interface RecallPlan {
  /** Of the whole document, at most; a sentence less at the least. */
  readonly lengthTokens: number;
  /** Of the length, what stands before the document, such as a beginning-of-text token; default 0. */
  readonly headTokens?: number;
  readonly factCount: number;
  /** How many of the facts change once. */
  readonly changedCount: number;
  /** Questions with an answer, each about another fact as long as there are facts. */
  readonly questionCount: number;
  /** Questions about what the document does not say. */
  readonly absentCount: number;
  /** Whether questions stand at the end, or anywhere behind their facts. */
  readonly placement: "end" | "anywhere";
  /** The fewest tokens between the last telling of a fact and a question about it. */
  readonly distanceTokens: number;
  readonly distractors: DistractorOptions;
  readonly split: FactSplit;
  /** The kinds of facts; default all. */
  readonly kinds?: readonly FactKindName[];
  /** Share of the facts whose names and values are words that no list has, in [0, 1]; default 0. */
  readonly inventedShare?: number;
  /** Share of those words that are taken from the prose instead, in [0, 1]; default 0. */
  readonly borrowedShare?: number;
  /** Share of the facts that are told and asked for in wordings with other words in them, in [0, 1]; default 0. */
  readonly rewordedShare?: number;
  /** Share of the facts that are told in wordings that name the value before its subject, in [0, 1]; default: as drawn. */
  readonly valueFirstShare?: number;
}

/** Is what documents are made with. */
export interface RecallMaterials {
  readonly prose: Prose;
  readonly frame: QuestionFrame;
  /** Counts the tokens of a part of a text. */
  readonly countTokens: (text: string) => number;
}

/** Is a part of a document. */
export type RecallPart =
  | { readonly kind: "text"; readonly text: string }
  | {
      readonly kind: "question";
      /** What is read before the answer. */
      readonly prompt: string;
      /** The answer with what ends it. */
      readonly reply: string;
      /** The answer alone. */
      readonly answer: string;
      readonly question: string;
      /** The kind of the fact that is asked for. */
      readonly factKind: FactKindName;
      /** About how many tokens lie between the telling of the fact and the question; undefined without a fact. */
      readonly distanceTokens: number | undefined;
    };

/** Is a generated document. */
export interface RecallDocument {
  readonly parts: readonly RecallPart[];
  readonly facts: readonly Fact[];
  /** About how many tokens it has. */
  readonly lengthTokens: number;
}

/** Is a telling of one value of a fact. */
export interface Telling {
  readonly fact: Fact;
  readonly version: number;
  readonly text: string;
}

/** Is a question as a part of a document. */
export type QuestionPart = Extract<RecallPart, { kind: "question" }>;

/** Is something with its place: how many sentences of prose stand before it. */
interface Placed<Item> {
  readonly item: Item;
  readonly gap: number;
}

/** Is prose with the number of tokens before each sentence, and in the end of all. */
interface MeasuredProse {
  readonly sentences: readonly string[];
  readonly starts: readonly number[];
}

function check(name: string, got: number, fits: boolean, expected: string): void {
  if (!fits)
    throw new InvalidRequestError({ where: `recall document: ${name}`, what: "out of range", got, expected });
}

function checkPlan(plan: RecallPlan): void {
  for (const name of [
    "factCount",
    "changedCount",
    "questionCount",
    "absentCount",
    "distanceTokens",
  ] as const) {
    check(name, plan[name], Number.isSafeInteger(plan[name]) && plan[name] >= 0, "a whole number from 0");
  }
  check("changedCount", plan.changedCount, plan.changedCount <= plan.factCount, "at most factCount");
  check(
    "questionCount",
    plan.questionCount,
    plan.questionCount === 0 || plan.factCount > 0,
    "0 without facts",
  );
  const { share } = plan.distractors;
  check("distractors.share", share, share >= 0 && share <= 0.5, "a number in [0, 0.5]");
}

/** Draws the facts that are asked for: each once before one is asked for again. */
function drawAsked(draws: RandomDraws, facts: readonly Fact[], count: number): Fact[] {
  const asked: Fact[] = [];
  let left: Fact[] = [];
  while (asked.length < count) {
    if (left.length === 0) left = [...facts];
    asked.push(...left.splice(draws.whole(0, left.length - 1), 1));
  }
  return asked;
}

/** Is all that is to be put into the prose. */
export interface RecallContent {
  readonly facts: readonly Fact[];
  readonly tellings: readonly (readonly Telling[])[];
  /** Questions with their facts, none for those that have no answer. */
  readonly questions: readonly { readonly part: QuestionPart; readonly fact: Fact | undefined }[];
  /** Names and values that no distractor may be. */
  readonly kept: ReadonlySet<string>;
}

/** How many sentences words are borrowed from. */
const lendingSentences = 40;

/** Reads words of the prose, each once. */
async function borrowWords(
  draws: RandomDraws,
  { borrowedShare: share = 0, rewordedShare = 0 }: RecallPlan,
  { prose }: RecallMaterials,
  signal: AbortSignal | undefined,
): Promise<BorrowedWords | undefined> {
  if (share === 0 && rewordedShare === 0) return undefined;
  const words = new Set<string>();
  let read = 0;
  for await (const sentence of prose.read(draws, signal)) {
    for (const word of sentence.match(/\p{L}{3,12}/gu) ?? []) words.add(word.toLowerCase());
    if (++read === lendingSentences) break;
  }
  return { words: [...words], share };
}

/** Says what a document tells and asks, wherever that stands. */
export type RecallContentPlan = Pick<
  RecallPlan,
  | "factCount"
  | "changedCount"
  | "questionCount"
  | "absentCount"
  | "split"
  | "kinds"
  | "inventedShare"
  | "rewordedShare"
  | "valueFirstShare"
>;

/** Draws facts, how they are told, and questions about them. */
export function drawRecallContent(
  draws: RandomDraws,
  plan: RecallContentPlan,
  frame: QuestionFrame,
  borrowed?: BorrowedWords,
): RecallContent {
  const { split, kinds = factKindNames } = plan;
  const kept = new Set<string>();
  const { inventedShare = 0, rewordedShare = 0, valueFirstShare = 0 } = plan;
  const facts = Array.from({ length: plan.factCount }, (_, index) => {
    const fact = drawFact(draws, kinds, split.words, index < plan.changedCount ? 2 : 1, kept);
    // Without a draw where none are wanted: documents without invented names are what they were.
    const invents = inventedShare > 0 && draws.uniform() < inventedShare;
    return invents ? inventFact(draws, fact, kept, borrowed) : fact;
  });
  const drawWay = (): Rewording =>
    rewordedShare > 0 && draws.uniform() < rewordedShare ? drawRewording(draws, borrowed) : sameWording;
  const ways = new Map(facts.map((fact) => [fact, drawWay()]));
  const tellings = facts.map((fact) => {
    const valueFirst = valueFirstShare > 0 && draws.uniform() < valueFirstShare;
    return fact.values.map((_, version) => ({
      fact,
      version,
      text: wordStatement(draws, fact, version, split.wordings, ways.get(fact), valueFirst),
    }));
  });
  const ask = (topic: FactTopic, answer: string, way?: Rewording): QuestionPart => {
    const question = wordQuestion(draws, topic, split.wordings, way);
    const [prompt, reply] = [frame.ask(question), frame.reply(answer)];
    return {
      kind: "question",
      prompt,
      reply,
      answer,
      question,
      factKind: topic.kind,
      distanceTokens: undefined,
    };
  };
  const answered = drawAsked(draws, facts, plan.questionCount).map((fact) => ({
    fact,
    part: ask(fact, fact.values.at(-1) ?? absentAnswer, ways.get(fact)),
  }));
  const unanswered = Array.from({ length: plan.absentCount }, () => ({
    fact: undefined,
    part: ask(drawAbsentTopic(draws, facts, kinds, split.words, kept), absentAnswer, drawWay()),
  }));
  return { facts, tellings, questions: [...answered, ...unanswered], kept };
}

/** Reads as many sentences as have room. */
async function readProse(
  draws: RandomDraws,
  plan: RecallPlan,
  { prose, countTokens }: RecallMaterials,
  roomTokens: number,
  kept: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): Promise<MeasuredProse> {
  const sentences: string[] = [];
  const starts = [0];
  let sum = 0;
  for await (const plain of prose.read(draws, signal)) {
    const sentence = addDistractors(plain, plan.distractors, draws, plan.split.words, kept);
    sum += countTokens(sentence);
    if (sum > roomTokens) break;
    sentences.push(sentence);
    starts.push(sum);
  }
  return { sentences, starts };
}

/** Returns the last gap that leaves a distance to the end of the prose. */
function findLastGap({ starts }: MeasuredProse, distanceTokens: number): number {
  const end = starts.at(-1) ?? 0;
  const gap = starts.findLastIndex((start) => end - start >= distanceTokens);
  check("distanceTokens", distanceTokens, gap >= 0, `at most the ${end} tokens of prose that have room`);
  return gap;
}

/** Draws where the values of facts are told: anywhere, a later value behind the earlier one. */
function placeTellings(
  draws: RandomDraws,
  tellings: RecallContent["tellings"],
  lastGap: number,
): Placed<Telling>[] {
  return tellings.flatMap((ofFact) => {
    const gaps = ofFact.map(() => draws.whole(0, lastGap)).sort((a, b) => a - b);
    return ofFact.map((item, index) => ({ item, gap: gaps[index] ?? lastGap }));
  });
}

function placeQuestions(
  draws: RandomDraws,
  plan: RecallPlan,
  { questions }: RecallContent,
  tellings: readonly Placed<Telling>[],
  { starts }: MeasuredProse,
): Placed<QuestionPart>[] {
  const end = starts.length - 1;
  const placed = questions.map(({ part, fact }) => {
    const told = fact === undefined ? undefined : tellings.findLast(({ item }) => item.fact === fact)?.gap;
    const toldTokens = starts[told ?? 0] ?? 0;
    const first = starts.findIndex((start) => start - toldTokens >= plan.distanceTokens);
    const gap =
      plan.placement === "end" ? end : draws.whole(first < 0 ? end : Math.max(first, told ?? 0), end);
    const distanceTokens = told === undefined ? undefined : (starts[gap] ?? 0) - toldTokens;
    return { gap, item: { ...part, distanceTokens } };
  });
  // In no order of their facts, and those without an answer among the others.
  return drawOrderOf(draws, placed);
}

function drawOrderOf<Item>(draws: RandomDraws, items: readonly Item[]): Item[] {
  return Array.from(drawOrder(draws, items.length), (index) => items.slice(index, index + 1)).flat();
}

function groupByGap<Item>(placed: readonly Placed<Item>[]): ReadonlyMap<number, Item[]> {
  const groups = new Map<number, Item[]>();
  for (const { gap, item } of placed) groups.set(gap, [...(groups.get(gap) ?? []), item]);
  return groups;
}

/** Puts everything in its place and joins what is text. */
function assemble(
  sentences: readonly string[],
  tellings: readonly Placed<Telling>[],
  questions: readonly Placed<QuestionPart>[],
): RecallPart[] {
  const [tellingsAt, questionsAt] = [groupByGap(tellings), groupByGap(questions)];
  const parts: RecallPart[] = [];
  let pieces: string[] = [];
  const add = (text: string): void => {
    // Behind an answer, a paragraph begins; the document begins without white space.
    if (pieces.length === 0) pieces.push(parts.length > 0 ? "\n" : "", text.trimStart());
    else pieces.push(text);
  };
  const flush = (): void => {
    if (pieces.length > 0) parts.push({ kind: "text", text: pieces.join("") });
    pieces = [];
  };
  for (let gap = 0; gap <= sentences.length; gap++) {
    for (const { text } of tellingsAt.get(gap) ?? []) add(` ${text}`);
    for (const question of questionsAt.get(gap) ?? []) {
      flush();
      parts.push(question);
    }
    const sentence = sentences[gap];
    if (sentence !== undefined) add(sentence);
  }
  flush();
  return parts;
}

/**
 * Makes a recall document.
 * @param draws - decide about everything; the same draws, plan and materials give the same document.
 * @throws {@link InvalidRequestError} when the plan is out of range, or what it asks for has no room.
 */
export async function makeRecallDocument(
  draws: RandomDraws,
  plan: RecallPlan,
  materials: RecallMaterials,
  signal?: AbortSignal,
): Promise<RecallDocument> {
  checkPlan(plan);
  const borrowed = await borrowWords(draws, plan, materials, signal);
  const content = drawRecallContent(draws, plan, materials.frame, borrowed);
  const { countTokens } = materials;
  const told = content.tellings.flat().reduce((sum, { text }) => sum + countTokens(` ${text}`), 0);
  // A line break may stand behind each reply.
  const asked = content.questions.reduce(
    (sum, { part: { prompt, reply } }) => sum + countTokens(prompt) + countTokens(reply) + 1,
    0,
  );
  const { headTokens = 0 } = plan;
  const roomTokens = plan.lengthTokens - headTokens - told - asked;
  check(
    "lengthTokens",
    plan.lengthTokens,
    roomTokens >= 0,
    `at least ${headTokens + told + asked} for the facts and questions`,
  );
  const prose = await readProse(draws, plan, materials, roomTokens, content.kept, signal);
  const tellings = placeTellings(draws, content.tellings, findLastGap(prose, plan.distanceTokens));
  const questions = placeQuestions(draws, plan, content, tellings, prose);
  return {
    parts: assemble(prose.sentences, tellings, questions),
    facts: content.facts,
    lengthTokens: told + asked + (prose.starts.at(-1) ?? 0),
  };
}
