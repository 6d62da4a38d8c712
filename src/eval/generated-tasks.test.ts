import { describe, expect, it } from "vitest";
import { tinyByteLevelJson } from "../text/tiny-tokenizers.ts";
import { createTokenizer } from "../text/tokenizer.ts";
import { proseOfText } from "../train/recall/prose.ts";
import { createKeyValueTask } from "./key-value-task.ts";
import { createNeedleTask, needleTaskNames } from "./needle-task.ts";
import { createPasskeyTask, scorePasskey } from "./passkey-task.ts";
import { scoreStringMatchAll } from "./string-match.ts";
import type { EvaluationTask, Example } from "./task.ts";
import { createVariableTrackingTask } from "./variable-tracking-task.ts";
import { createWordFrequencyTask, wordFrequencyTaskNames } from "./word-frequency-task.ts";

const tokenizer = createTokenizer({ tokenizerJson: tinyByteLevelJson() });
const rain = "It was late. Nobody spoke. The rain had come early that year. Then it went.";
const haystack = { prose: proseOfText(rain, "rain"), proseBytes: rain.length };
const tasks: readonly EvaluationTask[] = [
  createPasskeyTask(tokenizer, 1),
  createKeyValueTask(tokenizer, 1),
  createVariableTrackingTask(tokenizer, 1),
  ...wordFrequencyTaskNames.map((name) => createWordFrequencyTask(tokenizer, name, 1)),
  ...needleTaskNames.map((name) => createNeedleTask(tokenizer, name, 1, haystack)),
];

function countAll({ document, questions: [question] }: Example): number {
  const prompt = tokenizer.encode(question?.prompt ?? "", { continuation: true }).length;
  return tokenizer.encode(document).length + prompt + (question?.maxNewTokens ?? 0);
}

describe("tasks that hide lines", () => {
  it("fill their length with prompt and answer, and hide what is asked for", async () => {
    for (const task of tasks) {
      const example = await task.makeExample(4000, 0);
      expect(countAll(example), task.name).toBeLessThanOrEqual(4000);
      expect(countAll(example), task.name).toBeGreaterThan(3700);
      for (const { references, score } of example.questions) {
        for (const reference of references) expect(example.document, task.name).toContain(reference);
        expect(score(` ${references.join(", ")}.`), task.name).toBe(1);
        expect(score(""), task.name).toBe(0);
      }
    }
  });

  it("give the same example for the same length and index only", async () => {
    for (const task of tasks) {
      const example = async (index: number): Promise<string> =>
        JSON.stringify(await task.makeExample(3000, index));
      expect(await example(1)).toBe(await example(1));
      expect(await example(2)).not.toBe(await example(1));
    }
  });

  it("say that a short haystack repeats", async () => {
    const grid = createNeedleTask(tokenizer, "needle", 1, haystack);
    expect((await grid.makeExample(3000, 0)).about).toMatchObject({ haystackRepeats: true });
    const long = createNeedleTask(tokenizer, "needle", 1, { ...haystack, proseBytes: 1e6 });
    expect((await long.makeExample(3000, 0)).about).toMatchObject({ haystackRepeats: false });
    expect(() => createNeedleTask(tokenizer, "needle", 1, undefined)).toThrow(/the haystack is missing/);
  });

  it("refuse lengths that have no room, by the length that was asked for and the least that has", async () => {
    for (const task of tasks) {
      const making = task.makeExample(100, 0);
      await expect(making, task.name).rejects.toThrow(
        /lengthTokens: out of range, got 100, expected at least/,
      );
      const least = await making.catch((error: Error) => Number(/at least (\d+)/.exec(error.message)?.[1]));
      // Wordings of another length's draws may differ by a few tokens.
      await expect(task.makeExample(Number(least) + 40, 0), task.name).resolves.toBeDefined();
      await expect(task.makeExample(Number(least) - 40, 0), task.name).rejects.toThrow(/at least/);
    }
  });

  it("ask for as many values as RULER does", async () => {
    const counts = await Promise.all(
      tasks.map(async ({ name, makeExample }) => [
        name,
        (await makeExample(4000, 3)).questions[0]?.references.length,
      ]),
    );
    expect(Object.fromEntries(counts)).toMatchObject({
      niah_single_1: 1,
      niah_multikey_1: 1,
      niah_multivalue: 4,
      niah_multiquery: 4,
    });
  });

  it("ask for the words that come most often, and no others as often", async () => {
    for (const name of wordFrequencyTaskNames) {
      const { document, questions } = await createWordFrequencyTask(tokenizer, name, 1).makeExample(6000, 0);
      const counts = new Map<string, number>();
      const headEnd = Math.max(document.indexOf("\n"), document.lastIndexOf("coded words."));
      const list = document.slice(headEnd).replace("coded words.", "");
      for (const [word] of list.matchAll(/\b[a-z]+\b/g)) counts.set(word, (counts.get(word) ?? 0) + 1);
      const references = questions[0]?.references ?? [];
      const least = Math.min(...references.map((word) => counts.get(word) ?? 0));
      const others = [...counts].filter(([word]) => !references.includes(word)).map(([, count]) => count);
      expect(least, name).toBeGreaterThan(Math.max(...others));
      for (const word of counts.keys()) expect(word.length, name).toBeGreaterThanOrEqual(6);
    }
  });

  it("assign one value along a chain, each variable behind the one that it takes it from", async () => {
    const { document, questions } = await createVariableTrackingTask(tokenizer, 1).makeExample(3000, 0);
    const chain = [...document.matchAll(/VAR ([A-Z]{5}) = (?:VAR ([A-Z]{5})|\d{5})/g)];
    const names = chain.map(([, name]) => name);
    expect(names).toEqual(questions[0]?.references);
    expect(chain.slice(1).map(([, , from]) => from)).toEqual(names.slice(0, -1));
  });

  it("lay a grid of eleven depths over the examples of needle", async () => {
    const grid = createNeedleTask(tokenizer, "needle", 1, haystack);
    const depths = await Promise.all(
      [0, 5, 10, 11].map(async (index) => (await grid.makeExample(3000, index)).about.depth),
    );
    expect(depths).toEqual([0, 0.5, 1, 0]);
  });
});

describe("the scores of hidden lines", () => {
  it("takes the first number alone as the pass key", () => {
    expect(scorePasskey(" 123. Remember 7", 123)).toBe(1);
    expect(scorePasskey("7 or 123", 123)).toBe(0);
    expect(scorePasskey("1234", 123)).toBe(0);
  });

  it("takes the share of values found, whatever their case", () => {
    expect(scoreStringMatchAll("AB-1 and", ["ab-1", "cd-2"])).toBe(0.5);
    expect(scoreStringMatchAll("", ["ab-1"])).toBe(0);
  });
});
