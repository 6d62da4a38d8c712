/**
 * Draws facts and words them: statements, statements that a value has changed, questions.
 */

import { InternalError } from "../../errors.ts";
import type { RandomDraws } from "../random-draws.ts";
import { type FactKindName, factKinds, leadIns } from "./fact-kinds.ts";
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

/** Draws until nothing that was drawn before comes again; what is drawn is added to it. */
function drawNew(draw: () => string, drawn: Set<string>): string {
  for (let tries = 0; tries < 10_000; tries++) {
    const text = draw();
    if (drawn.has(text)) continue;
    drawn.add(text);
    return text;
  }
  throw new InternalError({ where: "facts", what: "there are no more names", got: drawn.size });
}

/**
 * Draws a topic of its own.
 * @param drawn - names in use; the new one is added.
 */
export function drawTopic(
  draws: RandomDraws,
  kinds: readonly FactKindName[],
  split: Split,
  drawn: Set<string>,
): FactTopic {
  const kind = draws.pick(kinds);
  return { kind, subject: drawNew(() => factKinds[kind].drawSubject(draws, split), drawn) };
}

/**
 * Draws the values of a topic, each another one.
 * @param count - how many it has in turn.
 * @param drawn - names in use; values that are names are kept apart from them and added.
 */
export function drawFact(
  draws: RandomDraws,
  topic: FactTopic,
  split: Split,
  count: number,
  drawn: Set<string>,
): Fact {
  const own = new Set(drawn);
  const draw = (): string => factKinds[topic.kind].drawValue(draws, split);
  const values = Array.from({ length: count }, () => drawNew(draw, own));
  for (const value of values) drawn.add(value);
  return { ...topic, values };
}

/**
 * Draws a topic that no fact is about: half of them ask something else of a subject that is known.
 * @param drawn - names in use; a new one is added.
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
  if (known.length > 0 && draws.uniform() < 0.5) return draws.pick(known);
  return drawTopic(draws, kinds, split, drawn);
}

/** Words a fact's n-th value, as a sentence. */
export function wordStatement(draws: RandomDraws, fact: Fact, version: number, split: Split): string {
  const { statements, updates } = factKinds[fact.kind].wordings;
  // A value that is merely told anew replaces the old one too.
  const isUpdate = version > 0 && draws.uniform() < 0.7;
  const clause = fill(
    draws.pick((isUpdate ? updates : statements)[split]),
    fact.subject,
    fact.values[version],
  );
  const leadIn = draws.uniform() < 0.5 ? "" : `${draws.pick(leadIns[split])} `;
  return `${capitalise(leadIn + clause)}.`;
}

/** Words a question about a topic. */
export function wordQuestion(draws: RandomDraws, { kind, subject }: FactTopic, split: Split): string {
  return fill(draws.pick(factKinds[kind].wordings.questions[split]), subject);
}
