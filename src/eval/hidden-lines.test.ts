import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type HiddenLine, hideLines } from "./hidden-lines.ts";
import { readGarbage } from "./passkey-task.ts";

/** Counts words, so that lengths can be counted by hand. */
const countTokens = (text: string): number => text.trim().split(/\s+/).length;

const hide = (lengthTokens: number, lines: readonly HiddenLine[]): ReturnType<typeof hideLines> =>
  hideLines({
    lengthTokens,
    takenTokens: 0,
    lines,
    sentences: readGarbage(),
    countTokens,
    signal: undefined,
  });

describe("hidden lines", () => {
  it("stand whole between sentences, wherever they are, and the text is as long as asked for", async () => {
    const lines = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 20, max: 400 }), lines, async (lengthTokens, depths) => {
        const given = depths.map((depth, index) => ({ text: `Line ${index} is here.`, depth }));
        const { text } = await hide(lengthTokens, given);
        expect(countTokens(text)).toBeLessThanOrEqual(lengthTokens);
        // The longest sentence has four words.
        expect(countTokens(text)).toBeGreaterThan(lengthTokens - 4);
        for (const { text: line } of given) {
          const [before = "", after = ""] = text.split(line);
          expect(before === "" || /[.] $/.test(before)).toBe(true);
          expect(after === "" || /^ [A-Z]/.test(after)).toBe(true);
        }
      }),
    );
  });

  it("stand at their depths, to the nearest end of a sentence", async () => {
    for (const depth of [0, 0.25, 0.5, 1]) {
      const { text, distances } = await hide(404, [{ text: "Here is a needle.", depth }]);
      const before = countTokens(`. ${text.split("Here is a needle.")[0]}`) - 1;
      expect(Math.abs(before - 400 * depth)).toBeLessThanOrEqual(2);
      expect(distances[0]).toBeCloseTo(400 - before, -1);
    }
  });

  it("are refused where they alone are too long", async () => {
    await expect(hide(3, [{ text: "Here is a needle.", depth: 0 }])).rejects.toThrow(
      /lengthTokens: out of range/,
    );
  });
});
