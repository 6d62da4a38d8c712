/**
 * Finds stop strings in a stream of text, across the borders of its pieces.
 *
 * Holds back what may be the beginning of a stop string, and nothing else. The match that is complete first
 * wins, so generation can end at once; of several that end at the same place, the longest.
 * Refuses to know tokens.
 */

import { InvalidRequestError } from "../errors.ts";

/** Is what one piece of text has led to. */
export interface StopMatch {
  /** The text that is certainly before any stop string. */
  readonly text: string;
  /** The stop string that was found; nothing comes after it. */
  readonly stopped: string | undefined;
}

/** Watches a stream of text for stop strings. */
export interface StopMatcher {
  /** Takes the next piece of text. After a match it returns no text and the same stop string. */
  push(text: string): StopMatch;
  /** Returns what was held back, at the end of the stream; nothing after a match. */
  flush(): string;
}

function checkStops(stops: readonly string[]): void {
  stops.forEach((stop: unknown, index) => {
    if (typeof stop === "string" && stop !== "") return;
    throw new InvalidRequestError({
      where: `stop[${index}]`,
      what: "a stop string is not valid",
      got: stop,
      expected: "a string of at least one character",
      remedy: "Leave it out to stop at the end-of-text token only.",
    });
  });
}

/** Finds the stop string whose first occurrence ends first; of several, the longest. */
function findFirst(text: string, stops: readonly string[]): { stop: string; start: number } | undefined {
  let first: { stop: string; start: number; end: number } | undefined;
  for (const stop of stops) {
    const start = text.indexOf(stop);
    if (start < 0) continue;
    const end = start + stop.length;
    if (first === undefined || end < first.end || (end === first.end && start < first.start)) {
      first = { stop, start, end };
    }
  }
  return first;
}

/** Returns the length of the longest end of `text` that begins a stop string. */
function measureHeldBack(text: string, stops: readonly string[]): number {
  const longest = stops.reduce((length, stop) => Math.max(length, stop.length - 1), 0);
  for (let length = Math.min(longest, text.length); length > 0; length--) {
    const end = text.slice(-length);
    if (stops.some((stop) => stop.length > length && stop.startsWith(end))) return length;
  }
  return 0;
}

/**
 * Creates a matcher of stop strings. What it returns does not depend on how the text was cut into pieces.
 * @throws {@link InvalidRequestError} when a stop string is empty.
 */
export function createStopMatcher(stops: readonly string[]): StopMatcher {
  checkStops(stops);
  let held = "";
  let stopped: string | undefined;
  return {
    push(text) {
      if (stopped !== undefined) return { text: "", stopped };
      const all = held + text;
      const match = findFirst(all, stops);
      if (match !== undefined) {
        held = "";
        stopped = match.stop;
        return { text: all.slice(0, match.start), stopped };
      }
      const end = all.length - measureHeldBack(all, stops);
      held = all.slice(end);
      return { text: all.slice(0, end), stopped: undefined };
    },
    flush() {
      const rest = held;
      held = "";
      return rest;
    },
  };
}
