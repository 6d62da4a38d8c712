import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tinyByteLevelJson } from "../../text/tiny-tokenizers.ts";
import { createTokenizer } from "../../text/tokenizer.ts";
import type { DataPosition } from "../data/document-source.ts";
import { createDraws } from "../random-draws.ts";
import { type FactKindName, factKinds } from "./fact-kinds.ts";
import { type Prose, proseOfText } from "./prose.ts";
import { makeChatFrame, plainFrame } from "./question-frames.ts";
import { absentAnswer, makeRecallDocument, type RecallDocument, type RecallPlan } from "./recall-document.ts";
import { createRecallDocuments, type RecallDocumentsOptions } from "./recall-documents.ts";

const text = Array.from(
  { length: 50 },
  (_, index) => `Now the rain fell on roof R${index} all day long.`,
).join(" ");
const prose = proseOfText(text, "rain");

/** A token is a word here: lengths are then easy to see. */
const countTokens = (part: string): number => part.split(/\s+/).filter((word) => word !== "").length;
const materials = { prose, frame: plainFrame, countTokens };

const plan: RecallPlan = {
  lengthTokens: 400,
  factCount: 3,
  changedCount: 1,
  questionCount: 3,
  absentCount: 1,
  placement: "anywhere",
  distanceTokens: 20,
  distractors: { share: 0, style: "words" },
  split: { words: "training", wordings: "training" },
};

const make = (changes: Partial<RecallPlan> = {}, seed = 1): Promise<RecallDocument> =>
  makeRecallDocument(createDraws(seed, "test"), { ...plan, ...changes }, materials);

/**
 * Finds the last sentence that tells a value of a subject. The value alone may stand elsewhere too, within the value
 * of another fact: "366" in "366 kroner".
 */
function lastTelling(text: string, subject: string, value: string): number {
  const stands = (part: string) => new RegExp(`(?<![\\w-])${part}(?![\\w-])`, "i");
  const sentences = [...text.matchAll(/[^.]+\.?/g)];
  const told = sentences.findLast(([one]) => stands(subject).test(one) && stands(value).test(one));
  return told?.index ?? -1;
}

const wholeText = ({ parts }: RecallDocument): string =>
  parts.map((part) => (part.kind === "text" ? part.text : part.prompt + part.reply)).join("");

const plans = fc.record({
  lengthTokens: fc.integer({ min: 400, max: 700 }),
  factCount: fc.integer({ min: 1, max: 6 }),
  questionCount: fc.integer({ min: 0, max: 8 }),
  absentCount: fc.integer({ min: 0, max: 2 }),
  placement: fc.constantFrom("end", "anywhere"),
  distanceTokens: fc.integer({ min: 0, max: 60 }),
  share: fc.constantFrom(0, 0.05, 0.2),
  style: fc.constantFrom("words", "sentences"),
  half: fc.constantFrom("training", "held-out"),
  rewordedShare: fc.constantFrom(0, 1),
  valueFirstShare: fc.constantFrom(0, 1),
});

describe("makeRecallDocument", () => {
  it("tells each fact before its question, by the distance at least, and the last value is the answer", async () => {
    const property = fc.asyncProperty(plans, fc.nat(), async ({ share, style, half, ...drawn }, seed) => {
      const split = { words: half, wordings: half };
      const changedCount = drawn.factCount >> 1;
      const document = await make({ ...drawn, changedCount, split, distractors: { share, style } }, seed);
      let before = "";
      let asked = 0;
      for (const part of document.parts) {
        if (part.kind === "text") {
          before += part.text;
          continue;
        }
        if (part.answer === absentAnswer) expect(part.distanceTokens).toBeUndefined();
        else {
          asked++;
          const fact = document.facts.find(
            (one) => one.kind === part.factKind && part.question.includes(one.subject),
          );
          if (fact === undefined) throw new Error("the question is about no fact");
          expect(fact.values.at(-1)).toBe(part.answer);
          const told = lastTelling(before, fact.subject, part.answer);
          expect(told).toBeGreaterThan(-1);
          for (const value of fact.values.slice(0, -1)) {
            expect(lastTelling(before, fact.subject, value)).toBeGreaterThan(-1);
            expect(lastTelling(before, fact.subject, value)).toBeLessThan(told);
          }
          const behind = before.slice(told);
          expect(countTokens(behind)).toBeGreaterThanOrEqual(drawn.distanceTokens);
          expect(part.distanceTokens).toBeGreaterThanOrEqual(drawn.distanceTokens);
        }
        before += part.prompt;
      }
      expect(asked).toBe(drawn.questionCount);
      // Nobody else has a fact's name or value.
      const names = document.facts.flatMap(({ subject, values }) => [subject, ...values]);
      expect(new Set(names).size).toBe(names.length);
      expect(document.parts.filter(({ kind }) => kind === "question").length).toBe(asked + drawn.absentCount);
      expect(wholeText(document)).not.toMatch(/[{}]|undefined/);
    });
    await fc.assert(property, { numRuns: 60 });
  });

  it("is as long as asked for, less a sentence at most", async () => {
    const property = fc.asyncProperty(
      fc.integer({ min: 200, max: 900 }),
      fc.nat(),
      async (lengthTokens, seed) => {
        const length = countTokens(wholeText(await make({ lengthTokens }, seed)));
        expect(length).toBeLessThanOrEqual(lengthTokens);
        // A sentence of the prose has 10 words, and a line break is reckoned for each of four replies.
        expect(length).toBeGreaterThan(lengthTokens - 15);
      },
    );
    await fc.assert(property, { numRuns: 30 });
  });

  it("puts facts between sentences of the prose and changes none", async () => {
    const document = await make({ questionCount: 0, absentCount: 0, changedCount: 0 });
    let rest = document.parts.map((part) => (part.kind === "text" ? part.text : "")).join("");
    const sentences = rest.match(/Now the rain fell on roof R\d+ all day long\./g) ?? [];
    for (const sentence of sentences) rest = rest.replace(sentence, "");
    expect(rest.trim().split(/(?<=\.)\s+/).length).toBe(3);
    expect(sentences.length).toBeGreaterThan(30);
  });

  it("asks at the end where the plan says so", async () => {
    const { parts } = await make({ placement: "end" });
    expect(parts.map(({ kind }) => kind)).toEqual(["text", ...Array(4).fill("question")]);
  });

  it("asks of what is not there: another subject, or something else of a known one", async () => {
    const documents = await Promise.all(
      Array.from({ length: 30 }, (_, seed) => make({ factCount: 4, absentCount: 1 }, seed)),
    );
    const known = documents.filter((document) => {
      const absent = document.parts.find((part) => part.kind === "question" && part.answer === absentAnswer);
      if (absent?.kind !== "question") throw new Error("there is no such question");
      const about = document.facts.filter(({ subject }) => absent.question.includes(subject));
      expect(about.map(({ kind }) => kind)).not.toContain(absent.factKind);
      return about.length > 0;
    });
    expect(known.length).toBeGreaterThan(3);
    expect(known.length).toBeLessThan(27);
  });

  it.each(["words", "sentences"] as const)(
    "has as many distractors as their share says, as %s",
    async (style) => {
      const lengthTokens = 20_000;
      const changes = { lengthTokens, factCount: 0, changedCount: 0, questionCount: 0, absentCount: 0 };
      const words = wholeText(await make({ ...changes, distractors: { share: 0.05, style } })).split(/\s+/);
      const plainWords = new Set("Now the rain fell on roof all day long.".split(" "));
      const others = words.filter((word) => !plainWords.has(word) && !/^R\d+$/.test(word)).length;
      // A sentence of distractors has about nine words, of which three count; 1000 are expected, of deviation 40.
      const expected = style === "words" ? 1000 : 2700;
      expect(Math.abs(others - expected)).toBeLessThan(0.25 * expected);
    },
  );

  it("tells and asks in other words where it is to", async () => {
    const changes = { absentCount: 0, changedCount: 0, factCount: 6, questionCount: 6 };
    const isWorded = ({ question, factKind }: { question: string; factKind: FactKindName }) =>
      factKinds[factKind].wordings.questions.training.some((wording) => {
        const [before = "", after = ""] = wording.split("{subject}");
        return question.startsWith(before) && question.endsWith(after);
      });
    const shareWorded = async (rewordedShare: number): Promise<number> => {
      const { parts } = await make({ ...changes, rewordedShare });
      const questions = parts.filter((part) => part.kind === "question");
      return questions.filter(isWorded).length / questions.length;
    };
    expect(await shareWorded(0)).toBe(1);
    expect(await shareWorded(1)).toBeLessThan(0.6);
    expect(await make({ rewordedShare: 0 })).toEqual(await make());
  });

  it("names values before their subjects where it is to", async () => {
    const changes = { absentCount: 0, changedCount: 0, factCount: 6, questionCount: 0 };
    const countInverted = async (
      valueFirstShare: number,
      kinds: readonly FactKindName[],
    ): Promise<number> => {
      const document = await make({ ...changes, kinds, valueFirstShare });
      const text = wholeText(document);
      const inverted = document.facts.filter(({ subject, values: [value = ""] }) => {
        const telling = text.slice(lastTelling(text, subject, value));
        return telling.indexOf(value) < telling.indexOf(subject);
      });
      return inverted.length;
    };
    expect(await countInverted(1, ["owner", "captain"])).toBe(6);
    expect(await countInverted(0, ["owner", "captain"])).toBeLessThan(6);
    // No wording of a profession begins with it.
    expect(await countInverted(1, ["profession"])).toBe(0);
    expect(await make({ valueFirstShare: 0 })).toEqual(await make());
  });

  it("is the same for the same draws only", async () => {
    expect(await make()).toEqual(await make());
    expect(wholeText(await make({}, 2))).not.toBe(wholeText(await make()));
  });

  it("uses the words and wordings of its half alone", async () => {
    const one = {
      factCount: 1,
      changedCount: 0,
      questionCount: 1,
      absentCount: 0,
      kinds: ["profession"] as const,
    };
    for (const wordings of ["training", "held-out"] as const) {
      const document = await make({ ...one, split: { words: "training", wordings } });
      const [fact] = document.facts;
      const fill = (template: string) =>
        template.replace("{subject}", fact?.subject ?? "").replace("{value}", fact?.values[0] ?? "");
      const { statements, questions } = factKinds.profession.wordings;
      const other = wordings === "training" ? "held-out" : "training";
      const all = wholeText(document);
      expect(statements[wordings].filter((template) => all.includes(fill(template).slice(1))).length).toBe(1);
      expect(statements[other].filter((template) => all.includes(fill(template).slice(1)))).toEqual([]);
      expect(questions[wordings].filter((template) => all.includes(fill(template))).length).toBe(1);
    }
  });

  it("takes facts of other kinds when one has no more values", async () => {
    // Five instruments and five departures are held out.
    const kinds = ["instrument", "departure", "code"] as const;
    const changes = { lengthTokens: 2000, factCount: 20, changedCount: 0, questionCount: 0, absentCount: 0 };
    const split = { words: "held-out", wordings: "held-out" } as const;
    const { facts } = await make({ ...changes, kinds, split });
    expect(facts.length).toBe(20);
    expect(facts.filter(({ kind }) => kind !== "code").length).toBeLessThanOrEqual(10);
  });

  it("refuses more facts than there are names and values, saying what helps", async () => {
    const changes = { lengthTokens: 2000, factCount: 6, changedCount: 0, questionCount: 0, absentCount: 0 };
    const split = { words: "held-out", wordings: "held-out" } as const;
    await expect(make({ ...changes, kinds: ["instrument"], split })).rejects.toMatchObject({
      code: "invalid-request",
      message: expect.stringMatching(
        /factCount: there are not enough names.*got "the kinds instrument".*Ask for fewer facts, or allow more/,
      ),
    });
  });

  it("refuses plans that cannot be", async () => {
    await expect(make({ factCount: -1 })).rejects.toThrow(/factCount: out of range, got -1/);
    await expect(make({ changedCount: 4 })).rejects.toThrow(/changedCount/);
    await expect(make({ factCount: 0, changedCount: 0 })).rejects.toThrow(/questionCount/);
    await expect(make({ lengthTokens: 60 })).rejects.toThrow(
      /lengthTokens: out of range, got 60, expected "?at least/,
    );
    await expect(make({ distanceTokens: 1000 })).rejects.toThrow(/distanceTokens/);
    await expect(make({ distractors: { share: 0.9, style: "words" } })).rejects.toThrow(/share/);
  });
});

const template =
  "{% for message in messages %}{{ '<|begin|>' + message['role'] + '\n' + message['content'] + '<|end|>\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|begin|>assistant\n' }}{% endif %}";
const tokenizerConfig = { bos_token: "<|begin|>", eos_token: "<|end|>", chat_template: template };
const tokenizer = createTokenizer({ tokenizerJson: tinyByteLevelJson(), tokenizerConfig });

describe("question frames", () => {
  it("ask in the words of the chat template, and end as it ends an answer", () => {
    const frame = makeChatFrame(tokenizer);
    expect(frame.ask("Who?")).toBe("<|begin|>user\nWho?<|end|>\n<|begin|>assistant\n");
    expect(frame.reply("Ada")).toBe("Ada<|end|>\n");
  });

  it("refuse a template that opens answers in another way than it writes them", () => {
    const odd =
      "{% for m in messages %}[{{ m['content'] }}]{% endfor %}{% if add_generation_prompt %}>{% endif %}";
    const other = createTokenizer({
      tokenizerJson: tinyByteLevelJson(),
      tokenizerConfig: { chat_template: odd },
    });
    expect(() => makeChatFrame(other)).toThrow(/an answer does not stand behind its own opening/);
  });
});

describe("createRecallDocuments", () => {
  const range = { share: 1, factCount: [1, 3], questionCount: [1, 2], placement: "anywhere" } as const;
  const create = (options: Partial<RecallDocumentsOptions> = {}) =>
    createRecallDocuments(tokenizer, { seed: 3, ranges: [range], prose, frames: [plainFrame], ...options });

  async function take(count: number, from?: DataPosition, options: Partial<RecallDocumentsOptions> = {}) {
    const source = create(options);
    let position = from ?? source.start;
    const documents = [];
    for (let index = 0; index < count; index++) {
      const read = await source.read(position, 1500);
      documents.push(read.document);
      position = read.position;
    }
    return { documents, position };
  }

  it("goes on exactly from any position", async () => {
    const whole = await take(4);
    const { position } = await take(2);
    const after = await take(2, JSON.parse(JSON.stringify(position)) as DataPosition);
    expect(after.documents).toEqual(whole.documents.slice(2));
    expect(whole.documents[0]).not.toEqual(whole.documents[1]);
  });

  it("weighs answers, questions and the rest as it is told, and not the beginning", async () => {
    const weights = { text: 0.5, question: 0.25, answer: 10 };
    const { documents } = await take(3, undefined, { weights });
    for (const { tokens, lossWeights, usedTokens } of documents) {
      const textOf = (weight: number): string =>
        tokenizer.decode(
          [...tokens].filter((_, index) => index < usedTokens && lossWeights[index] === weight),
        );
      expect(lossWeights[0]).toBe(0);
      expect(tokenizer.idToToken(tokens[0] ?? -1)).toBe("<|begin|>");
      expect(textOf(10)).toMatch(/^( [^\n]+\n)+$/);
      expect(textOf(0.25)).toMatch(/^(\n\nQuestion: [^\n]+\nAnswer:)+$/);
      expect(textOf(0.5)).toContain("all day long");
      expect(usedTokens).toBeGreaterThan(1400);
      expect([...lossWeights.subarray(usedTokens)].every((weight) => weight === 0)).toBe(true);
    }
  });

  it("draws a plan again that has no room, and gives up where none has", async () => {
    // Tokens of this tokenizer are bytes: one fact and a question fit, five and five do not.
    const ranges = [{ ...range, factCount: [1, 5], questionCount: [1, 5], inventedShare: 0.5 }] as const;
    const source = create({ ranges });
    for (let index = 0; index < 20; index++) {
      const { document } = await source.read({ document: index }, 400);
      expect(document.usedTokens).toBeGreaterThan(100);
      expect(await source.read({ document: index }, 400)).toMatchObject({ document });
    }
    await expect(source.read(source.start, 60)).rejects.toThrow(/lengthTokens/);
  });

  it("has another identity for other options", () => {
    const others = [
      create(),
      create({ seed: 4 }),
      create({ frames: [makeChatFrame(tokenizer)] }),
      create({ split: { words: "held-out", wordings: "training" } }),
      create({ prose: { ...prose, identity: "sun" } satisfies Prose }),
    ];
    expect(new Set(others.map(({ identity }) => identity)).size).toBe(5);
  });

  it("refuses to make documents from nothing", () => {
    expect(() => create({ ranges: [] })).toThrow(/ranges or frames are missing/);
    expect(() => create({ frames: [] })).toThrow(/ranges or frames are missing/);
    expect(() => create({ ranges: [{ ...range, share: 0 }] })).toThrow(/ranges or frames are missing/);
  });
});
