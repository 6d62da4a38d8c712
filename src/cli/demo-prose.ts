/**
 * Prose of the demo's own, from templates: a village by the sea, without names and numbers, so that the only ones in
 * a document are those of the facts hidden in it.
 */

import type { RandomDraws } from "../train/random-draws.ts";
import type { Prose } from "../train/recall/prose.ts";

const words = {
  person: [
    "the miller",
    "the old fisherman",
    "the schoolmistress",
    "the baker's daughter",
    "the captain",
    "the doctor",
    "the boy from the ferry",
    "the gardener",
    "a stranger",
    "the widow from the corner house",
  ],
  place: [
    "harbour",
    "mill",
    "orchard",
    "market",
    "lighthouse",
    "school",
    "church",
    "bridge",
    "garden",
    "shore",
  ],
  thing: [
    "basket",
    "boat",
    "lamp",
    "letter",
    "coat",
    "ladder",
    "kettle",
    "stone",
    "rope",
    "loaf",
    "net",
    "chair",
  ],
  quality: ["old", "small", "heavy", "broken", "quiet", "bright", "wet", "empty", "warm", "grey"],
  weather: ["rain", "fog", "snow", "sunlight", "wind", "frost"],
  time: ["in the morning", "at noon", "towards evening", "after supper", "before dawn", "late at night"],
  deed: ["carried", "mended", "sold", "painted", "lost", "found", "forgot", "washed", "admired"],
  feeling: ["glad", "tired", "afraid", "content", "curious", "lonely", "hungry", "patient"],
} as const;

type Kind = keyof typeof words;

const templates: readonly string[] = [
  "{time} {person} went down to the {place} with a {quality} {thing}.",
  "The {weather} lay over the {place}, and nobody spoke of the {thing}.",
  "{person} {deed} the {thing} and thought of the road home.",
  "There was a {thing} on the table, beside a {quality} {thing} that {person} had {deed}.",
  "Some said that the {place} had been {quality} once; others said that it was only the {weather}.",
  "So {person} waited until the {weather} was over, and then {deed} the last {thing}.",
  "In the {place} they kept a {quality} {thing}, which {person} {deed} every year.",
  "After the {weather} came the {weather}, and the {place} was {quality} again.",
  "“Who {deed} the {thing}?” asked {person}, but there was no answer.",
  "{person} was {feeling}, for the way to the {place} was long and the {thing} was {quality}.",
  "It was {quality} in the {place} {time}, and {person} liked to sit there.",
  "“I am {feeling},” said {person}, “and I have {deed} my {thing}.”",
  "A dog barked somewhere behind the {place}, and then it was still.",
  "The children ran past the {place} and laughed at the {quality} {thing}.",
  "When the {weather} came, {person} shut the window and lit the lamp.",
  "Nobody in the village had ever {deed} such a {quality} {thing}.",
  "{person} looked at the sea for a long time, and was {feeling}.",
  "The door of the {place} stood open, and inside it was {quality} and smelled of bread.",
  "They talked about the {weather}, about the {thing}, and about nothing at all.",
  "At last {person} took the {thing}, said good night, and walked home by the {place}.",
];

/** About every so many sentences a paragraph begins. */
const sentencesPerParagraph = 5;

function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Reads without end; every reading is another, by its draws. */
export const demoProse: Prose = {
  identity: "demo",
  async *read(draws: RandomDraws, signal) {
    for (;;) {
      signal?.throwIfAborted();
      const sentence = draws
        .pick(templates)
        .replaceAll(/\{(\w+)\}/g, (_, kind: Kind) => draws.pick<string>(words[kind]));
      const isFirst = draws.whole(1, sentencesPerParagraph) === 1;
      yield (isFirst ? "\n\n" : " ") + capitalise(sentence);
    }
  },
};
