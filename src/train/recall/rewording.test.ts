import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createDraws } from "../random-draws.ts";
import { drawRewording, sameWording } from "./rewording.ts";

const wording = "the trade of {subject}, they say, is that of a {value}";
const question = "In what trade is {subject}?";
const words = ["ember", "lantern"];
const reword = (seed: number, text: string, share = 1): string =>
  drawRewording(createDraws(seed, "rewording"), { words, share })(text);

describe("drawRewording", () => {
  it("keeps names, values and punctuation, and leaves no gap", () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const [told, asked] = [reword(seed, wording), reword(seed, question)];
        expect(told.match(/\{\w+\}/g)).toEqual(["{subject}", "{value}"]);
        expect(told.match(/,/g)).toHaveLength(2);
        expect(asked).toMatch(/\{subject\}\?$/);
        for (const text of [told, asked]) expect(text).not.toMatch(/ {2}| [,?]|^ | $/);
      }),
    );
  });

  it("replaces or leaves out up to four of five words, on average two", () => {
    const wordsOf = (text: string): string[] => text.match(/(?<!\{)\b\p{L}+\b(?!\})/gu) ?? [];
    const own = wordsOf(wording);
    const shares = Array.from({ length: 400 }, (_, seed) => {
      const found = wordsOf(reword(seed, wording));
      const kept = found.filter((word) => own.includes(word));
      expect(found.filter((word) => !own.includes(word) && !words.includes(word))).toEqual([]);
      return kept.length / own.length;
    });
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    expect(mean).toBeGreaterThan(0.55);
    expect(mean).toBeLessThan(0.65);
    expect(shares.filter((share) => share === 1).length).toBeGreaterThan(20);
  });

  it("invents words where none are lent", () => {
    const text = drawRewording(
      createDraws(2, "rewording"),
      undefined,
    )("one two three four five six seven {value}");
    expect(text).toMatch(/^[a-z ]+\{value\}$/);
    expect(text).not.toBe("one two three four five six seven {value}");
  });

  it("is the same for the same draws, and sameWording changes nothing", () => {
    expect(reword(7, wording)).toBe(reword(7, wording));
    expect(sameWording(wording)).toBe(wording);
  });
});
