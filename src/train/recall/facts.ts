/**
 * Draws facts and words them: statements, statements that a value has changed, questions.
 */

import { InvalidRequestError } from "../../errors.ts";
import type { RandomDraws } from "../random-draws.ts";
import { type FactKindName, factKinds, leadIns } from "./fact-kinds.ts";
import { type Rewording, sameWording } from "./rewording.ts";
import type { Split } from "./word-lists.ts";

/** Chooses the half of what facts are made of. */
export interface FactSplit {
  /** Of names and values. */
  readonly words: Split;
  /** Of statements and questions. */
  readonly wordings: Split;
}

/** Is a fact with all values that it has in turn; the last one counts. */
export interface Fact {
  readonly kind: FactKindName;
  readonly subject: string;
  readonly values: readonly string[];
}

/** Is what is told of a subject that no fact is about, or asked of it. */
export type FactTopic = Pick<Fact, "kind" | "subject">;

function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function fill(template: string, subject: string, value = ""): string {
  return template.replaceAll("{subject}", () => subject).replaceAll("{value}", () => value);
}

/** Draws until something comes that was not drawn before, and adds it; undefined when there is no more. */
function drawNew(draw: () => string, drawn: Set<string>): string | undefined {
  for (let tries = 0; tries < 10_000; tries++) {
    const text = draw();
    if (drawn.has(text)) continue;
    drawn.add(text);
    return text;
  }
  return undefined;
}

/** Draws a kind, and something of it; a kind that has no more names for it is passed over. */
function drawOfKinds<Drawn>(
  draws: RandomDraws,
  kinds: readonly FactKindName[],
  draw: (kind: FactKindName) => Drawn | undefined,
): Drawn {
  for (let left = kinds; left.length > 0; ) {
    const kind = draws.pick(left);
    const drawn = draw(kind);
    if (drawn !== undefined) return drawn;
    left = left.filter((other) => other !== kind);
  }
  throw new InvalidRequestError({
    where: "recall document: factCount",
    what: "there are not enough names and values for so many facts, changes and questions",
    got: `the kinds ${kinds.join(", ")}`,
    remedy: "Ask for fewer facts, or allow more kinds of them.",
  });
}

function drawTopicOf(
  draws: RandomDraws,
  kind: FactKindName,
  split: Split,
  drawn: Set<string>,
): FactTopic | undefined {
  const subject = drawNew(() => factKinds[kind].drawSubject(draws, split), drawn);
  return subject === undefined ? undefined : { kind, subject };
}

/**
 * Draws a fact: a topic of its own and its values, each another one.
 * @param count - how many values it has in turn.
 * @param drawn - names in use; the new ones are added, and values kept apart from them.
 * @throws {@link InvalidRequestError} when no kind has names left.
 */
export function drawFact(
  draws: RandomDraws,
  kinds: readonly FactKindName[],
  split: Split,
  count: number,
  drawn: Set<string>,
): Fact {
  return drawOfKinds(draws, kinds, (kind) => {
    const names = new Set(drawn);
    const topic = drawTopicOf(draws, kind, split, names);
    if (topic === undefined) return undefined;
    const draw = (): string => factKinds[kind].drawValue(draws, split);
    const values = Array.from({ length: count }, () => drawNew(draw, names));
    if (values.includes(undefined)) return undefined;
    for (const name of names) drawn.add(name);
    return { ...topic, values: values.filter((value) => value !== undefined) };
  });
}

const otherTopicShare = 0.2;

/**
 * Draws a topic that no fact is about: a fifth of them ask something else of a subject that is known. More of them
 * teach that a question in new words has no answer.
 * @param drawn - names in use; a new one is added.
 * @throws {@link InvalidRequestError} when no kind has names left.
 */
export function drawAbsentTopic(
  draws: RandomDraws,
  facts: readonly Fact[],
  kinds: readonly FactKindName[],
  split: Split,
  drawn: Set<string>,
): FactTopic {
  const known = facts.flatMap(({ kind, subject }) =>
    kinds
      .filter((other) => other !== kind && factKinds[other].drawSubject === factKinds[kind].drawSubject)
      .map((other) => ({ kind: other, subject })),
  );
  if (known.length > 0 && draws.uniform() < otherTopicShare) return draws.pick(known);
  return drawOfKinds(draws, kinds, (kind) => drawTopicOf(draws, kind, split, drawn));
}

/** Says whether a wording of a statement names the value before the subject. */
function namesValueFirst(template: string): boolean {
  return template.indexOf("{value}") < template.indexOf("{subject}");
}

/**
 * Words a fact's n-th value, as a sentence.
 * @param valueFirst - whether to take a wording that names the value before its subject, of kinds that have one: what
 * such a value is of is not known yet when it is read, and a model learns to find it later than others.
 */
export function wordStatement(
  draws: RandomDraws,
  fact: Fact,
  version: number,
  split: Split,
  reword: Rewording = sameWording,
  valueFirst = false,
): string {
  const { statements, updates } = factKinds[fact.kind].wordings;
  // A value that is merely told anew replaces the old one too.
  const isUpdate = version > 0 && draws.uniform() < 0.7;
  const templates = (isUpdate ? updates : statements)[split];
  const inverted = valueFirst ? templates.filter(namesValueFirst) : [];
  const template = draws.pick(inverted.length > 0 ? inverted : templates);
  const clause = fill(reword(template), fact.subject, fact.values[version]);
  const leadIn = draws.uniform() < 0.5 ? "" : `${draws.pick(leadIns[split])} `;
  return `${capitalise(leadIn + clause)}.`;
}

/** Words a question about a topic. */
export function wordQuestion(
  draws: RandomDraws,
  { kind, subject }: FactTopic,
  split: Split,
  reword: Rewording = sameWording,
): string {
  return fill(reword(draws.pick(factKinds[kind].wordings.questions[split])), subject);
}
