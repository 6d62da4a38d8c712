/**
 * Hides lines in text: reads sentences until there are tokens enough, and puts each line between two of them.
 */

import { refuseLength, type TokenRoom } from "./fit-count.ts";

/** Is a line with its place: 0 is before all text, 1 behind it. */
export interface HiddenLine {
  readonly text: string;
  readonly depth: number;
}

/** Says what is hidden where. */
export interface HidingPlan extends TokenRoom {
  readonly lines: readonly HiddenLine[];
  /** Sentences without end, each with the white space before it. */
  readonly sentences: AsyncIterable<string>;
  readonly countTokens: (text: string) => number;
  readonly signal: AbortSignal | undefined;
}

/** Is text with lines in it. */
export interface HiddenText {
  readonly text: string;
  /** About how many tokens stand behind each line, in the order of the plan. */
  readonly distances: readonly number[];
}

/**
 * Hides lines at the ends of sentences nearest to their depths. Text and lines fill the room, but for a sentence at most.
 * @throws {@link InvalidRequestError} when the lines alone are longer.
 */
export async function hideLines(plan: HidingPlan): Promise<HiddenText> {
  const { lines, countTokens, lengthTokens, takenTokens, signal } = plan;
  const room = lengthTokens - takenTokens;
  const ownTokens = lines.reduce((sum, { text }) => sum + countTokens(` ${text}`), 0);
  if (ownTokens > room) refuseLength(plan, ownTokens, "what is hidden");
  const sentences: string[] = [];
  const starts = [0];
  for await (const sentence of plan.sentences) {
    signal?.throwIfAborted();
    const end = (starts.at(-1) ?? 0) + countTokens(sentence);
    if (ownTokens + end > room) break;
    sentences.push(sentence);
    starts.push(end);
  }
  const total = starts.at(-1) ?? 0;
  const gaps = lines.map(({ depth }) => {
    const behind = starts.findIndex((start) => start >= depth * total);
    const before = Math.max(0, behind - 1);
    const isNearer = depth * total - (starts[before] ?? 0) < (starts[behind] ?? total) - depth * total;
    return isNearer ? before : behind;
  });
  const texts = [...sentences, ""].flatMap((sentence, gap) => [
    ...lines.flatMap(({ text }, index) => (gaps[index] === gap ? [` ${text}`] : [])),
    sentence,
  ]);
  return { text: texts.join("").trimStart(), distances: gaps.map((gap) => total - (starts[gap] ?? 0)) };
}
