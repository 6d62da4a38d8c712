/**
 * The demo's document and its questions: facts of held-out names and values hidden in prose, asked for at its end.
 */

import type { Model } from "../engine/model.ts";
import type { Session } from "../engine/session.ts";
import { InvalidRequestError } from "../errors.ts";
import { localCapacityTokens } from "../memory/geometry.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { createDraws } from "../train/random-draws.ts";
import { plainFrame } from "../train/recall/question-frames.ts";
import { makeRecallDocument } from "../train/recall/recall-document.ts";
import { demoProse } from "./demo-prose.ts";
import type { TextSource } from "./input-text.ts";

/** Is a question with its right answer. */
export interface DemoQuestion {
  readonly question: string;
  readonly truth: string;
  /** About how many tokens lie between the telling of the fact and the question. */
  readonly distanceTokens: number;
}

/** Is a document to be read, and what is asked about it. */
export interface DemoDocument {
  readonly text: string;
  readonly lengthTokens: number;
  readonly questions: readonly DemoQuestion[];
}

/** Chooses a document. */
export interface DemoDocumentOptions {
  readonly lengthTokens: number;
  readonly factCount: number;
  readonly seed: number;
  readonly signal: AbortSignal;
}

/** The most tokens of an answer: the longest true one has half as many. */
const longestAnswerTokens = 40;

/** Returns the model's tokenizer. @throws {@link InvalidRequestError} when it has none. */
function requireTokenizer({ tokenizer, name }: Model): Tokenizer {
  if (tokenizer !== undefined) return tokenizer;
  const what = "the model has no tokenizer, so nothing can be read to it";
  throw new InvalidRequestError({ where: name, what, expected: "tokenizer.json" });
}

/**
 * Makes a document: every fact is told so far before the end that it has left what the model holds exactly.
 * @throws {@link InvalidRequestError} when the length has no room for that.
 */
export async function makeDemoDocument(model: Model, options: DemoDocumentOptions): Promise<DemoDocument> {
  const { lengthTokens, factCount, seed, signal } = options;
  const tokenizer = requireTokenizer(model);
  const countTokens = (text: string): number => tokenizer.encode(text, { continuation: true }).length;
  const plan = {
    lengthTokens,
    factCount,
    changedCount: 0,
    questionCount: factCount,
    absentCount: 0,
    placement: "end",
    distanceTokens: 2 * localCapacityTokens(model.context),
    distractors: { share: 0, style: "words" },
    // What no model of ours was trained on.
    split: { words: "held-out", wordings: "training" },
  } as const;
  const materials = { prose: demoProse, frame: plainFrame, countTokens };
  const document = await makeRecallDocument(createDraws(seed, "demo"), plan, materials, signal);
  const questions = document.parts.flatMap((part) =>
    part.kind === "question"
      ? [{ question: part.question, truth: part.answer, distanceTokens: part.distanceTokens ?? 0 }]
      : [],
  );
  const text = document.parts.map((part) => (part.kind === "text" ? part.text : "")).join("");
  return { text, lengthTokens: countTokens(text), questions };
}

/** Gives a document as something to read. */
export function toTextSource({ text }: DemoDocument): TextSource {
  const bytes = new TextEncoder().encode(text);
  const pieceBytes = 4096;
  return {
    name: "the made-up document",
    sizeBytes: bytes.length,
    async *open() {
      for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
    },
  };
}

/** Is what a session said. */
export interface DemoAnswer {
  readonly text: string;
  /** From the question to the first token of the answer, in milliseconds. */
  readonly firstTokenMs: number | undefined;
}

/** Asks a copy of a session, which stays as it is: greedily, as a turn of a chat where the model takes turns. */
export async function ask(
  session: Session,
  { tokenizer }: Model,
  question: string,
  signal: AbortSignal,
): Promise<DemoAnswer> {
  using twin = session.clone();
  const generate = { maxNewTokens: longestAnswerTokens, signal };
  let text = "";
  if (tokenizer?.chatTemplate === undefined) {
    await twin.append(plainFrame.ask(question), { signal });
    for await (const event of twin.generate({ ...generate, stop: ["\n"] }))
      if (event.type === "token") text += event.text;
  } else {
    for await (const event of twin.chat([{ role: "user", content: question }], generate))
      if (event.type === "token") text += event.text;
  }
  return { text: text.trim(), firstTokenMs: twin.stats.timeToFirstTokenMs };
}
