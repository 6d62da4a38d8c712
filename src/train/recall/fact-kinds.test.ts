import { describe, expect, it } from "vitest";
import { createDraws } from "../random-draws.ts";
import { factKindNames, factKinds, leadIns } from "./fact-kinds.ts";
import * as lists from "./word-lists.ts";

const halves = ["training", "held-out"] as const;
const wordLists = Object.entries(lists).filter(([, list]) => typeof list === "object");

describe("word lists", () => {
  it.each(wordLists)("%s names everything once, in two halves", (_, list) => {
    const { training, "held-out": heldOut } = list as lists.SplitList;
    expect(heldOut.length).toBeGreaterThan(0);
    expect(training.length).toBeGreaterThanOrEqual(4 * heldOut.length);
    expect(new Set([...training, ...heldOut]).size).toBe(training.length + heldOut.length);
  });

  it("make thousands of names to train on and hundreds to test with", () => {
    const { firstNames, surnames, townBeginnings, townEndings, qualities, objects } = lists;
    for (const [one, other] of [
      [firstNames, surnames],
      [townBeginnings, townEndings],
      [qualities, objects],
    ] as const) {
      expect(one.training.length * other.training.length).toBeGreaterThan(700);
      expect(one["held-out"].length * other["held-out"].length).toBeGreaterThan(40);
    }
    expect(firstNames.training.length * surnames.training.length).toBeGreaterThan(5000);
  });
});

describe.each(factKindNames)("facts of the kind %s", (name) => {
  const { wordings, drawSubject, drawValue } = factKinds[name];

  it("have wordings of both halves, each with its subject and value once", () => {
    for (const half of halves) {
      expect(wordings.statements[half].length).toBeGreaterThanOrEqual(2);
      expect(wordings.updates[half].length).toBeGreaterThanOrEqual(1);
      expect(wordings.questions[half].length).toBeGreaterThanOrEqual(2);
      for (const told of [...wordings.statements[half], ...wordings.updates[half]]) {
        expect(told.split("{value}").length, told).toBe(2);
        expect(told, told).toContain("{subject}");
        expect(told, told).not.toMatch(/[.?!]$|^[A-Z]/);
      }
      for (const question of wordings.questions[half]) {
        expect(question.split("{subject}").length, question).toBe(2);
        expect(question, question).toMatch(/^(?!.*\{value\}).*(\?|^Tell me .*\.)$/);
      }
    }
    for (const part of [wordings.statements, wordings.updates, wordings.questions]) {
      const all = [...part.training, ...part["held-out"]];
      expect(new Set(all).size).toBe(all.length);
    }
  });

  it("share neither subjects nor values between the halves", () => {
    for (const draw of [drawSubject, drawValue]) {
      const [training, heldOut] = halves.map((half) => {
        const draws = createDraws(1, half);
        return new Set(Array.from({ length: 300 }, () => draw(draws, half)));
      });
      expect([...(training ?? [])].filter((text) => heldOut?.has(text))).toEqual([]);
      expect(training?.size).toBeGreaterThan(15);
      expect(heldOut?.size).toBeGreaterThan(3);
    }
  });
});

describe("lead-ins", () => {
  it("are not the same in both halves", () => {
    expect(leadIns.training.filter((text) => leadIns["held-out"].includes(text))).toEqual([]);
  });
});
