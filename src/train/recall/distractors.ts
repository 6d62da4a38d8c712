/**
 * Distractors: names and numbers in prose that nobody asks about. Without them a memory learns to keep all that is
 * unusual, and fails in text full of it.
 */

import type { RandomDraws } from "../random-draws.ts";
import { type DrawText, drawCode, drawPerson, factKinds } from "./fact-kinds.ts";
import type { Split } from "./word-lists.ts";

/** Chooses distractors. */
export interface DistractorOptions {
  /** Share of the words of the prose that are distractors, in [0, 0.5]. */
  readonly share: number;
  /** Whether they stand between the words of the prose, or in sentences of their own. */
  readonly style: "words" | "sentences";
}

const numbers: readonly DrawText[] = [
  drawCode,
  factKinds.locker.drawValue,
  factKinds.founding.drawValue,
  factKinds.age.drawValue,
];

const sentences: readonly string[] = [
  "{name} came by with {number} and left again.",
  "Somebody had written {number} on the wall, beside the name of {name}.",
  "{name} counted up to {number} and stopped.",
  "The list went on with {name}, {number}.",
  "There was a label with the name {name} and the number {number}.",
  "Page {number} mentioned {name} in passing.",
];

/** Draws one name or number that is none of those to keep apart. */
function drawOne(
  draws: RandomDraws,
  split: Split,
  kept: ReadonlySet<string>,
  kind: "name" | "number",
): string {
  for (;;) {
    const text = kind === "name" ? drawPerson(draws, split) : draws.pick(numbers)(draws, split);
    if (!kept.has(text)) return text;
  }
}

/**
 * Puts distractors into a sentence of prose, as many as the share asks for on average.
 * @param kept - names and values of the document's facts: no distractor is one of them.
 */
export function addDistractors(
  sentence: string,
  options: DistractorOptions,
  draws: RandomDraws,
  split: Split,
  kept: ReadonlySet<string>,
): string {
  const { share, style } = options;
  if (share === 0) return sentence;
  const draw = (kind: "name" | "number"): string => drawOne(draws, split, kept, kind);
  if (style === "words") {
    // A name is two words: 1.5 on average, and the share is of all words, theirs included.
    const chance = share / (1 - share) / 1.5;
    return sentence.replaceAll(/(?<=\S)\s+(?=\S)/g, (space) =>
      draws.uniform() < chance ? `${space}${draw(draws.uniform() < 0.5 ? "name" : "number")} ` : space,
    );
  }
  const wordCount = sentence.trim().split(/\s+/).length;
  // Three words of a sentence of its own are distractors.
  const expected = (share * wordCount) / 3;
  let text = sentence;
  for (let left = expected; left > 0; left--) {
    if (draws.uniform() >= left) continue;
    const template = draws.pick(sentences);
    text += ` ${template.replace("{name}", () => draw("name")).replace("{number}", () => draw("number"))}`;
  }
  return text;
}
