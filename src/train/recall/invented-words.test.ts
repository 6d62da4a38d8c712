import { describe, expect, it } from "vitest";
import { createDraws } from "../random-draws.ts";
import { factKindNames } from "./fact-kinds.ts";
import { drawFact } from "./facts.ts";
import { inventFact } from "./invented-words.ts";

describe("inventFact", () => {
  const numbersOf = (text: string): string[] => text.match(/\d+/g) ?? [];

  it.each(factKindNames)("gives %s new names, and leaves its numbers", (kind) => {
    const draws = createDraws(1, kind);
    const names = new Set<string>();
    const drawn = new Set<string>();
    let changed = 0;
    for (let count = 0; count < 100; count++) {
      const fact = drawFact(draws, [kind], "training", 2, new Set());
      const invented = inventFact(draws, fact, drawn);
      const texts = (of: typeof fact): string[] => [of.subject, ...of.values];
      expect(invented.kind).toBe(kind);
      expect(texts(invented).map(numbersOf)).toEqual(texts(fact).map(numbersOf));
      expect(invented.values).toHaveLength(2);
      expect(new Set(invented.values).size).toBe(2);
      changed += invented.subject === fact.subject ? 0 : 1;
      names.add(invented.subject);
    }
    expect(changed).toBeGreaterThan(60);
    expect(names.size).toBe(100);
  });

  it("begins with a capital where the word did", () => {
    const draws = createDraws(2, "capitals");
    const fact = { kind: "owner", subject: "the brass kettle", values: ["Winifred Ormsby"] } as const;
    for (let count = 0; count < 50; count++) {
      const { subject, values } = inventFact(draws, fact, new Set());
      expect(subject).toMatch(/^the [a-z]+ [a-z]+$/);
      expect(values[0]).toMatch(/^[A-Z][a-z]+ [A-Z][a-z]+$/);
    }
  });

  it("borrows as many words as it is told to", () => {
    const fact = { kind: "owner", subject: "the brass kettle", values: ["Winifred Ormsby"] } as const;
    const wordsOf = (share: number): string[] => {
      const draws = createDraws(3, "borrowed");
      return Array.from({ length: 50 }, () => {
        const { subject, values } = inventFact(draws, fact, new Set(), { words: ["lent", "given"], share });
        return [subject, ...values].join(" ").toLowerCase().split(" ");
      }).flat();
    };
    const invented = (word: string): boolean => !/^(the|brass|kettle|winifred|ormsby|lent|given)$/.test(word);
    expect(wordsOf(1).filter(invented)).toEqual([]);
    expect(wordsOf(0)).not.toContain("lent");
    const half = wordsOf(0.5);
    expect(half).toContain("lent");
    expect(half.filter(invented).length).toBeGreaterThan(20);
  });
});
