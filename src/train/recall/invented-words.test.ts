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
});
