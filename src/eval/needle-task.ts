/**
 * Needles in a haystack: lines with a key and its magic number hidden in text, some of them asked for.
 *
 * `needle` is the grid of depths and lengths with one line in prose; the others are RULER's (arXiv 2404.06654), with
 * its wording and counts and this package's words for keys. The score is RULER's string_match_all: the share of the
 * right values that stand in the answer, whatever their case.
 */

import { InvalidRequestError } from "../errors.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { createDraws, drawOrder, type RandomDraws } from "../train/random-draws.ts";
import type { Prose } from "../train/recall/prose.ts";
import { objects, qualities } from "../train/recall/word-lists.ts";
import { drawNew, drawUuid } from "./drawn-texts.ts";
import { type HiddenLine, hideLines } from "./hidden-lines.ts";
import { readGarbage } from "./passkey-task.ts";
import { scoreStringMatchAll } from "./string-match.ts";
import type { EvaluationTask } from "./task.ts";

interface NeedleKind {
  /** What the lines stand in: prose, the garbage of passkey retrieval, or other such lines. */
  readonly haystack: "prose" | "garbage" | "needles";
  readonly keys: "words" | "uuids";
  readonly values: "numbers" | "uuids";
  readonly keyCount: number;
  readonly valuesPerKey: number;
  readonly askedKeys: number;
}

const single: NeedleKind = {
  haystack: "prose",
  keys: "words",
  values: "numbers",
  keyCount: 1,
  valuesPerKey: 1,
  askedKeys: 1,
};

/** Names a task with needles. */
export type NeedleTaskName =
  | "needle"
  | `niah_single_${1 | 2 | 3}`
  | `niah_multikey_${1 | 2 | 3}`
  | "niah_multivalue"
  | "niah_multiquery";

const kinds: Readonly<Record<NeedleTaskName, NeedleKind>> = {
  needle: single,
  niah_single_1: { ...single, haystack: "garbage" },
  niah_single_2: single,
  niah_single_3: { ...single, values: "uuids" },
  niah_multikey_1: { ...single, keyCount: 4 },
  niah_multikey_2: { ...single, haystack: "needles" },
  niah_multikey_3: { ...single, haystack: "needles", keys: "uuids", values: "uuids" },
  niah_multivalue: { ...single, valuesPerKey: 4 },
  niah_multiquery: { ...single, keyCount: 4, askedKeys: 4 },
};

/** Lists the tasks with needles. */
export const needleTaskNames: readonly NeedleTaskName[] = Object.keys(kinds) as NeedleTaskName[];

/** Tells whether a task's lines stand in prose. */
export function needsProse(name: NeedleTaskName): boolean {
  return kinds[name].haystack === "prose";
}

/** Is the prose that lines are hidden in. */
export interface Haystack {
  readonly prose: Prose;
  /** Bytes of the prose: longer documents repeat it. */
  readonly proseBytes: number;
}

/** Depths of the grid of `needle`: examples take them in turn. */
const gridDepths = 11;

const maxAnswerTokens = 128;

const allOf = ({ training, "held-out": heldOut }: typeof objects): readonly string[] => [
  ...training,
  ...heldOut,
];
const drawKey = (draws: RandomDraws, { keys }: NeedleKind): string =>
  keys === "uuids" ? drawUuid(draws) : `${draws.pick(allOf(qualities))}-${draws.pick(allOf(objects))}`;
const drawValue = (draws: RandomDraws, { values }: NeedleKind): string =>
  values === "uuids" ? drawUuid(draws) : String(draws.whole(1_000_000, 9_999_999));

interface Needle {
  readonly key: string;
  readonly values: readonly string[];
}

const writeNeedle = ({ values }: NeedleKind, key: string, value: string): string =>
  `One of the special magic ${values} for ${key} is: ${value}.`;

/** Writes other lines without end; their keys are never asked for. */
async function* readNeedles(
  draws: RandomDraws,
  kind: NeedleKind,
  asked: ReadonlySet<string>,
): AsyncGenerator<string> {
  for (;;) {
    const key = drawKey(draws, kind);
    if (!asked.has(key)) yield ` ${writeNeedle(kind, key, drawValue(draws, kind))}`;
  }
}

function drawNeedles(draws: RandomDraws, kind: NeedleKind): readonly Needle[] {
  const taken = new Set<string>();
  return Array.from({ length: kind.keyCount }, () => ({
    key: drawNew(taken, () => drawKey(draws, kind)),
    values: Array.from({ length: kind.valuesPerKey }, () => drawNew(taken, () => drawValue(draws, kind))),
  }));
}

interface Wording {
  readonly head: string;
  readonly question: string;
}

function word(kind: NeedleKind, asked: readonly Needle[]): Wording {
  const keys = asked.map(({ key }) => key);
  const query = keys.length < 2 ? keys.join("") : `${keys.slice(0, -1).join(", ")}, and ${keys.at(-1)}`;
  const isOne = keys.length * kind.valuesPerKey === 1;
  const [all, are] = isOne
    ? [`is the special magic ${kind.values.slice(0, -1)}`, "is"]
    : [`are all the special magic ${kind.values}`, "are"];
  const noun = isOne ? kind.values.slice(0, -1) : kind.values;
  return {
    head: `Some special magic ${kind.values} are hidden within the following text. Make sure to memorize it. I will quiz you about the ${kind.values} afterwards.\n`,
    question: `\nWhat ${all} for ${query} mentioned in the provided text? The special magic ${noun} for ${query} mentioned in the provided text ${are}`,
  };
}

/**
 * Creates a task with needles.
 * @param haystack - for a task that needs prose.
 * @throws {@link InvalidRequestError} when it is needed and missing.
 */
export function createNeedleTask(
  tokenizer: Tokenizer,
  name: NeedleTaskName,
  seed: number,
  haystack: Haystack | undefined,
): EvaluationTask {
  const kind = kinds[name];
  const prose = haystack?.prose;
  if (prose === undefined && kind.haystack === "prose")
    throw new InvalidRequestError({ where: name, what: "the haystack is missing", expected: "prose" });
  const countTokens = (text: string): number => tokenizer.encode(text, { continuation: true }).length;
  return {
    name,
    settings: { seed, ...(prose !== undefined && { haystack: prose.identity.slice(0, 16) }) },
    metric: kind.valuesPerKey * kind.askedKeys === 1 ? "proportion" : "mean",
    async makeExample(lengthTokens, index, signal) {
      const draws = createDraws(seed, `eval ${name}`, lengthTokens, index);
      const needles = drawNeedles(draws, kind);
      const order = drawOrder(draws, needles.length).slice(0, kind.askedKeys);
      const asked = needles.filter((_, place) => order.includes(place));
      const depth = name === "needle" ? (index % gridDepths) / (gridDepths - 1) : undefined;
      const lines = needles.flatMap(({ key, values }) =>
        values.map(
          (value): HiddenLine => ({ text: writeNeedle(kind, key, value), depth: depth ?? draws.uniform() }),
        ),
      );
      const { head, question } = word(kind, asked);
      const takenTokens = tokenizer.encode(head).length + countTokens(question) + maxAnswerTokens;
      const haystacks = {
        prose: () => prose?.read(draws, signal) ?? readGarbage(),
        garbage: readGarbage,
        needles: () => readNeedles(draws, kind, new Set(needles.map(({ key }) => key))),
      };
      const sentences = haystacks[kind.haystack]();
      const plan = { lengthTokens, takenTokens, lines, sentences, countTokens, signal };
      const { text } = await hideLines(plan);
      const references = asked.flatMap(({ values }) => values);
      return {
        document: head + text,
        about: {
          depth: depth ?? lines[0]?.depth ?? 0,
          ...(haystack !== undefined && { haystackRepeats: text.length > haystack.proseBytes }),
        },
        questions: [
          {
            prompt: question,
            references,
            maxNewTokens: maxAnswerTokens,
            stop: [],
            about: {},
            score: (answer) => scoreStringMatchAll(answer, references),
          },
        ],
      };
    },
  };
}
