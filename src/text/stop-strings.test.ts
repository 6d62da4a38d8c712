import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidRequestError } from "../errors.ts";
import { createStopMatcher } from "./stop-strings.ts";

function run(stops: readonly string[], pieces: readonly string[]) {
  const matcher = createStopMatcher(stops);
  let text = "";
  let stopped: string | undefined;
  for (const piece of pieces) {
    const match = matcher.push(piece);
    text += match.text;
    stopped = match.stopped;
  }
  return { text: text + matcher.flush(), stopped };
}

/** Is the definition, on the whole text: the match that ends first, the longest of those. */
function findOnWhole(stops: readonly string[], text: string) {
  const [first] = stops
    .map((stop) => ({ stop, start: text.indexOf(stop) }))
    .filter(({ start }) => start >= 0)
    .map((match) => ({ ...match, end: match.start + match.stop.length }))
    .sort((a, b) => a.end - b.end || a.start - b.start);
  return first === undefined
    ? { text, stopped: undefined }
    : { text: text.slice(0, first.start), stopped: first.stop };
}

describe("createStopMatcher", () => {
  it("finds a stop string across pieces and returns the text before it", () => {
    expect(run(["</s>", "User:"], ["Hi", " <", "/s", "> more", "User:"])).toEqual({
      text: "Hi ",
      stopped: "</s>",
    });
  });

  it("holds back only what may begin a stop string", () => {
    const matcher = createStopMatcher(["abc"]);
    expect(matcher.push("xab")).toEqual({ text: "x", stopped: undefined });
    expect(matcher.push("ab")).toEqual({ text: "ab", stopped: undefined });
    expect(matcher.push("d")).toEqual({ text: "abd", stopped: undefined });
    expect(matcher.flush()).toBe("");
  });

  it("returns what it held back when the text ends", () => {
    const matcher = createStopMatcher(["abc"]);
    expect(matcher.push("xab").text).toBe("x");
    expect([matcher.flush(), matcher.flush()]).toEqual(["ab", ""]);
  });

  it("returns nothing after a match but the stop string", () => {
    const matcher = createStopMatcher(["."]);
    expect(matcher.push("a.b")).toEqual({ text: "a", stopped: "." });
    expect(matcher.push("c")).toEqual({ text: "", stopped: "." });
    expect(matcher.flush()).toBe("");
  });

  it("takes the match that is complete first, and of those the longest", () => {
    expect(run(["bc", "abcd"], ["abcd"])).toEqual({ text: "a", stopped: "bc" });
    expect(run(["c", "bc", "abc"], ["xabc"])).toEqual({ text: "x", stopped: "abc" });
  });

  it("passes every text through without stop strings", () => {
    expect(run([], ["a", "", "b"])).toEqual({ text: "ab", stopped: undefined });
  });

  it("refuses an empty stop string, naming its place", () => {
    expect(() => createStopMatcher(["a", ""])).toThrow(InvalidRequestError);
    expect(() => createStopMatcher(["a", ""])).toThrow("stop[1]");
  });

  it("agrees with a search of the whole text, however it is cut", () => {
    const letters = (minLength: number, maxLength: number) =>
      fc.array(fc.constantFrom("a", "b", "é"), { minLength, maxLength }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(
        fc.array(letters(1, 5), { maxLength: 4 }),
        fc.array(letters(0, 6), { maxLength: 10 }),
        (stops, pieces) => {
          expect(run(stops, pieces)).toEqual(findOnWhole(stops, pieces.join("")));
        },
      ),
      { numRuns: 1000 },
    );
  });
});
