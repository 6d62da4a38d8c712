/**
 * A long made-up document: simple English prose from templates, the same for the same seed.
 */

import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import type { TextSource } from "./input-text.ts";

const words = {
  name: ["Ada", "Ben", "Clara", "Davi", "Elin", "Farid", "Grace", "Hugo", "Ines", "Jun", "Kofi", "Lena"],
  place: ["harbour", "mill", "library", "orchard", "market", "lighthouse", "workshop", "school", "station"],
  thing: ["lantern", "letter", "compass", "basket", "violin", "map", "kettle", "ladder", "clock", "coat"],
  quality: ["old", "small", "heavy", "blue", "borrowed", "broken", "patient", "quiet", "curious", "bright"],
  weather: ["rain", "fog", "snow", "sunlight", "wind", "frost"],
  time: ["morning", "noon", "evening", "the first bell", "dusk", "midnight"],
  deed: ["carried", "mended", "hid", "sold", "painted", "lost", "found", "counted", "admired", "described"],
} as const;

type Kind = keyof typeof words;

/** Each `{kind}` is drawn anew; `{name}` and `{place}` hold through a paragraph. */
const sentences = [
  "At {time}, {name} went to the {place} with a {quality} {thing}.",
  "The {weather} lay over the {place}, and nobody spoke of the {quality} {thing}.",
  "{name} {deed} the {thing} and thought of the road home.",
  "There was a {thing} on the table, beside a {quality} {thing} that {name} had {deed} before {time}.",
  "Some said that the {place} had been {quality} once; others said that it was only the {weather}.",
  "So {name} waited until {time}, and then {deed} the last {thing}.",
  "In the {place} they kept a {quality} {thing}, which {name} {deed} every year.",
  "After the {weather} came the {weather}, and the {place} was {quality} again.",
  "“Who {deed} the {thing}?” asked {name}, but the {place} gave no answer.",
];

/** Writes whole paragraphs until `lengthChars` characters have been written. */
export function* writeDocument(lengthChars: number, seed = 1): Generator<string, void, void> {
  const generator = xoroshiro128plus(seed);
  const pick = <Item>(items: readonly Item[]): Item | undefined =>
    items[uniformInt(generator, 0, items.length - 1)];
  let written = 0;
  for (let paragraph = 1; written < lengthChars; paragraph++) {
    const held = { name: pick(words.name), place: pick(words.place) };
    const fill = (sentence: string): string =>
      sentence.replaceAll(/\{(\w+)\}/g, (_, kind: Kind) =>
        kind === "name" || kind === "place" ? (held[kind] ?? "") : (pick<string>(words[kind]) ?? ""),
      );
    const count = uniformInt(generator, 3, 6);
    const lines = Array.from({ length: count }, () => fill(pick(sentences) ?? ""));
    const text = `${paragraph}. ${lines.join(" ")}\n\n`;
    written += text.length;
    yield text;
  }
}

/** Gives a made-up document as something to read. */
export function createDemoSource(lengthChars: number): TextSource {
  return {
    name: "the made-up document",
    sizeBytes: lengthChars,
    async *open() {
      for (const paragraph of writeDocument(lengthChars)) yield new TextEncoder().encode(paragraph);
    },
  };
}
