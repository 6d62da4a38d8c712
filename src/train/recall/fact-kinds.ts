/**
 * Kinds of made-up facts: whom or what they are about, their values, their wordings.
 *
 * Names, values and wordings come in two halves that share nothing, one to train on and one to test with: words by
 * the lists they stand in, numbers by the sum of their digits, wordings by their mark.
 */

import { InternalError } from "../../errors.ts";
import type { RandomDraws } from "../random-draws.ts";
import { type PeopleFact, peopleWordings, type Wordings } from "./people-wordings.ts";
import { type PossessionFact, possessionWordings } from "./possession-wordings.ts";
import { type ThingFact, thingWordings } from "./thing-wordings.ts";
import type { Split, SplitList } from "./word-lists.ts";
import * as lists from "./word-lists.ts";

/** Draws a name or a value of one half. */
export type DrawText = (draws: RandomDraws, split: Split) => string;

type SplitWordings = { readonly [Part in keyof Wordings]: SplitList };

/** Is a kind of facts. */
export interface FactKind {
  readonly drawSubject: DrawText;
  readonly drawValue: DrawText;
  readonly wordings: SplitWordings;
}

function splitWordings({ statements, updates, questions }: Wordings): SplitWordings {
  const split = (text: string): SplitList => {
    const lines = text.split("\n").map((line) => line.trim());
    return {
      training: lines.filter((line) => line !== "" && !line.startsWith("-")),
      "held-out": lines.filter((line) => line.startsWith("-")).map((line) => line.slice(1).trim()),
    };
  };
  return { statements: split(statements), updates: split(updates), questions: split(questions) };
}

const join =
  (separator: string, ...parts: readonly DrawText[]): DrawText =>
  (draws, split) =>
    parts.map((part) => part(draws, split)).join(separator);
const from =
  (list: SplitList): DrawText =>
  (draws, split) =>
    draws.pick(list[split]);
const before =
  (text: string, part: DrawText): DrawText =>
  (draws, split) =>
    text + part(draws, split);

/** Tells whether a number is held out: the sum of its digits is a multiple of 5. */
function isHeldOutNumber(text: string): boolean {
  const sum = [...text].reduce(
    (total, character) => total + (/\d/.test(character) ? Number(character) : 0),
    0,
  );
  return sum % 5 === 0;
}

/** Draws until the number is of the half that is wanted. */
const numbers =
  (draw: (draws: RandomDraws) => string): DrawText =>
  (draws, split) => {
    for (let tries = 0; tries < 1000; tries++) {
      const text = draw(draws);
      if (isHeldOutNumber(text) === (split === "held-out")) return text;
    }
    throw new InternalError({ where: "fact kinds", what: "no number is of the half that is wanted" });
  };

const wholeNumbers = (low: number, high: number): DrawText =>
  numbers((draws) => String(draws.whole(low, high)));

/** Draws a person's name. */
export const drawPerson: DrawText = join(" ", from(lists.firstNames), from(lists.surnames));
const drawTown = join("", from(lists.townBeginnings), from(lists.townEndings));
const drawThing = before("the ", join(" ", from(lists.qualities), from(lists.objects)));
const drawShip = before("the ", join(" ", from(lists.shipQualities), from(lists.shipBeasts)));
const drawInn: DrawText = (draws, split) => {
  const sign = draws.pick(lists.innSigns[split]);
  const other = draws.pick(lists.innSigns[split].filter((one) => one !== sign));
  return `the ${sign} and ${other}`;
};

/** Draws three numbers of two digits, such as 07-41-93. */
export const drawCode: DrawText = numbers((draws) =>
  [0, 1, 2].map(() => String(draws.whole(0, 99)).padStart(2, "0")).join("-"),
);
const drawGoods: DrawText = (draws, split) => {
  const one = draws.pick(lists.goods[split]);
  const other = draws.pick(lists.goods[split].filter((word) => word !== one));
  return `${one} and ${other}`;
};

/** Names a kind of facts. */
export type FactKindName = PeopleFact | PossessionFact | ThingFact;

const subjectsAndValues: { readonly [Name in FactKindName]: readonly [subject: DrawText, value: DrawText] } =
  {
    code: [drawPerson, drawCode],
    locker: [drawPerson, wholeNumbers(100, 9999)],
    home: [drawPerson, drawTown],
    profession: [drawPerson, from(lists.professions)],
    colour: [drawPerson, join(" ", from(lists.shades), from(lists.colours))],
    age: [drawPerson, wholeNumbers(20, 98)],
    birthday: [drawPerson, join(" ", wholeNumbers(1, 28), from(lists.months))],
    pet: [drawPerson, from(lists.petNames)],
    password: [drawPerson, join(" ", from(lists.secretWords), from(lists.secretWords))],
    instrument: [drawPerson, from(lists.instruments)],
    departure: [drawPerson, join(" at ", from(lists.weekdays), from(lists.hours))],
    teacher: [drawPerson, drawPerson],
    hiding: [drawThing, from(lists.hidingPlaces)],
    price: [drawThing, join(" ", wholeNumbers(2, 999), from(lists.coins))],
    owner: [drawThing, drawPerson],
    captain: [drawShip, drawPerson],
    cargo: [drawShip, drawGoods],
    founding: [drawTown, wholeNumbers(1100, 1899)],
    distance: [drawTown, wholeNumbers(3, 400)],
    landlord: [drawInn, drawPerson],
  };

const wordings: { readonly [Name in FactKindName]: Wordings } = {
  ...peopleWordings,
  ...possessionWordings,
  ...thingWordings,
};

function kind(name: FactKindName): FactKind {
  const [drawSubject, drawValue] = subjectsAndValues[name];
  return { drawSubject, drawValue, wordings: splitWordings(wordings[name]) };
}

/** Lists the names of all kinds. */
export const factKindNames: readonly FactKindName[] = Object.keys(subjectsAndValues) as FactKindName[];

/** Holds the kinds by their names. */
export const factKinds: { readonly [Name in FactKindName]: FactKind } = Object.fromEntries(
  factKindNames.map((name) => [name, kind(name)]),
) as { [Name in FactKindName]: FactKind };

/** What may stand before a statement; the empty one is as likely as all others together. */
export const leadIns: SplitList = {
  training: [
    "everyone knew that",
    "it is well known that",
    "the letter said that",
    "remember that",
    "note that",
    "somebody remarked that",
    "the notice on the door said that",
    "people say that",
    "as everybody knows,",
    "by the way,",
    "it should be remembered that",
    "the newspaper reported that",
    "one thing is certain:",
    "in the diary it says that",
    "he was told that",
    "she had heard that",
  ],
  "held-out": [
    "there was no doubt that",
    "a stranger mentioned that",
    "according to the clerk,",
    "here is something to keep in mind:",
  ],
};
