import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { longBenchDataSets, scoreLongBench } from "./longbench-data-sets.ts";
import { longBenchMetrics, wordF1 } from "./longbench-metrics.ts";
import { rougeL } from "./rouge-l.ts";
import { sequenceSimilarity } from "./sequence-similarity.ts";

const { classification, retrieval, count, code_sim: code } = longBenchMetrics;

describe("the F measure of words", () => {
  it("ignores case, punctuation, articles and white space", () => {
    expect(wordF1("  The CAT,\n on a mat!", "cat on mat.")).toBe(1);
  });

  it("counts a word as often as both have it", () => {
    // 2 of 3 words given, 2 of 2 wanted: 2 * (2/3) * 1 / (5/3).
    expect(wordF1("no no no", "no no")).toBeCloseTo(0.8, 12);
    expect(wordF1("no", "no no")).toBeCloseTo(2 / 3, 12);
  });

  it("takes articles out as words, and not out of words", () => {
    expect(wordF1("anthem", "them")).toBe(0);
    expect(wordF1("the théâtre", "théâtre")).toBe(1);
  });

  it("is 0 for an empty answer, also to what has no word but articles", () => {
    expect(wordF1("", "cat")).toBe(0);
    expect(wordF1("", "the")).toBe(0);
  });
});

describe("ROUGE-L", () => {
  it("joins the common subsequences of all sentences of the answer", () => {
    // Four of five words, of eight different ones that were given.
    const [recall, precision] = [4 / 5, 4 / 8];
    expect(rougeL("w1 w2 w6 w7 w8. w1 w3 w8 w9 w5", "w1 w2 w3 w4 w5")).toBeCloseTo(
      (2 * recall * precision) / (recall + precision),
      7,
    );
  });

  it("counts a repeated word once", () => {
    expect(rougeL("cat cat dog", "cat dog dog")).toBe(2 / (2 + 1e-8));
  });

  it("respects the order of words within a sentence", () => {
    expect(rougeL("dog cat", "cat dog")).toBeCloseTo(0.5, 7);
  });

  it("is just below 1 for the reference itself, and 0 for nothing", () => {
    expect(rougeL("A b. C d.", "A b. C d.")).toBe(2 / (2 + 1e-8));
    expect(rougeL("", "A b.")).toBe(0);
    expect(rougeL("...", "A b.")).toBe(0);
  });
});

describe("the similarity of sequences", () => {
  it("equals that of Python's difflib", () => {
    const frequent = ["e", 40, "k", 1, "e", 60, "m", 1, "t", 120] as const;
    const turned = ["t", 50, "k", 1, "e", 50, "m", 1, "e", 30, "t", 70] as const;
    const write = (parts: readonly (string | number)[]): string =>
      parts
        .map((part, index) => (typeof part === "string" ? part.repeat(Number(parts[index + 1])) : ""))
        .join("");
    const cases: readonly (readonly [string, string, number])[] = [
      ["", "", 1],
      ["abc", "", 0],
      ["if e.text == language:", "            if e.text == language:", 0.7857142857142857],
      ["return x", "return self.x", 0.7619047619047619],
      ["private Thing", "private thread currentThread", 0.4878048780487805],
      [
        "d(hc (g)(b(agehdd=ghhgf)cd)chf=a).bc.(ae.aeg(=f=.ff=.(gc bac",
        "gde)f.)efhf( h(f(d )ae()=c= h((b=)d)(eebbg)gb .bfcaef",
        0.26548672566371684,
      ],
      [write(frequent), write(turned), 0.24528301886792453],
    ];
    for (const [a, b, ratio] of cases) expect(sequenceSimilarity(a, b)).toBeCloseTo(ratio, 12);
  });

  it("is 1 exactly for equal texts below the length of the heuristic", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 199 }), fc.string({ maxLength: 199 }), (a, b) => {
        expect(sequenceSimilarity(a, b) === 1).toBe(a === b);
      }),
    );
  });
});

describe("the metrics of LongBench", () => {
  it("divides by the classes that an answer names", () => {
    const classes = ["Date", "Speed", "Animal"];
    expect(classification("Date", "Date", classes)).toBe(1);
    expect(classification("Date or Speed", "Date", classes)).toBe(0.5);
    expect(classification("Animal", "Date", classes)).toBe(0);
    expect(classification("", "Date", classes)).toBe(0);
  });

  it("does not count classes whose names are parts of the right one", () => {
    expect(classification("Lasting time", "Lasting time", ["time", "Lasting time"])).toBe(1);
    // The second of two parts in a row stays, as in the official loop.
    expect(classification("a big time", "a big time", ["big", "time", "a big time"])).toBe(0.5);
  });

  it("takes the share of right numbers", () => {
    expect(retrieval("Paragraph 19", "Paragraph 19")).toBe(1);
    expect(retrieval("19 or 1 or 9 or 19", "Paragraph 19")).toBe(0.5);
    expect(retrieval("nineteen", "Paragraph 19")).toBe(0);
    expect(count("There are 12 of 12.", "12")).toBe(1);
    expect(count("012", "12")).toBe(0);
  });

  it("compares the first line that is code", () => {
    const reference = "return self.x";
    expect(code("\n\n# a comment\n```python\n// one\nreturn self.x\nelse:", reference)).toBe(1);
    expect(code("return x", reference)).toBe(0.76);
    expect(code("", reference)).toBe(0);
  });

  it("takes the first line alone where the data set says so, and the best of several references", () => {
    const { samsum, hotpotqa } = longBenchDataSets;
    expect(scoreLongBench(samsum, "\nEmil is here.\nDialogue: no", ["Emil is here."], [])).toBe(
      2 / (2 + 1e-8),
    );
    expect(scoreLongBench(samsum, "Dialogue:\nEmil is here.", ["Emil is here."], [])).toBe(0);
    expect(scoreLongBench(hotpotqa, "yes\nno", ["no"], [])).toBeCloseTo(2 / 3, 12);
    expect(scoreLongBench(hotpotqa, "no", ["yes", "No."], [])).toBe(1);
  });
});
