/**
 * Fields of a GGUF file's metadata, by name and kind; what has another kind is refused by its name.
 */

import { InvalidModelError } from "../errors.ts";
import type { GgufValue } from "./gguf-cursor.ts";

/** Hands out the metadata of a file. */
export class GgufFields {
  readonly where: string;
  readonly #metadata: ReadonlyMap<string, GgufValue>;

  /** @param where names the file in messages. */
  constructor(where: string, metadata: ReadonlyMap<string, GgufValue>) {
    this.where = where;
    this.#metadata = metadata;
  }

  #refuse(key: string, value: GgufValue | undefined, expected: string): never {
    throw new InvalidModelError({
      where: `${this.where}: ${key}`,
      what: value === undefined ? "the field is missing" : "the field is of another kind",
      ...(value !== undefined && { got: typeof value === "object" ? "an array" : value }),
      expected,
    });
  }

  /** Tells whether a field is there. */
  has(key: string): boolean {
    return this.#metadata.has(key);
  }

  /** Returns a text; undefined when the field is missing. @throws {@link InvalidModelError} */
  text(key: string): string | undefined {
    const value = this.#metadata.get(key);
    return value === undefined || typeof value === "string" ? value : this.#refuse(key, value, "a text");
  }

  /** Returns a finite number; undefined when the field is missing. @throws {@link InvalidModelError} */
  number(key: string): number | undefined {
    const value = this.#metadata.get(key);
    if (value === undefined || (typeof value === "number" && Number.isFinite(value))) return value;
    return this.#refuse(key, value, "a number");
  }

  /** Returns a finite number. @throws {@link InvalidModelError} when it is missing too. */
  needNumber(key: string): number {
    return this.number(key) ?? this.#refuse(key, undefined, "a number");
  }

  /** Returns a text. @throws {@link InvalidModelError} when it is missing too. */
  needText(key: string): string {
    return this.text(key) ?? this.#refuse(key, undefined, "a text");
  }

  /** Returns whether a field is set; undefined when it is missing. @throws {@link InvalidModelError} */
  flag(key: string): boolean | undefined {
    const value = this.#metadata.get(key);
    return value === undefined || typeof value === "boolean"
      ? value
      : this.#refuse(key, value, "true or false");
  }

  /** Returns a list of texts; undefined when the field is missing. @throws {@link InvalidModelError} */
  texts(key: string): readonly string[] | undefined {
    return this.#list(key, "a list of texts", (item): item is string => typeof item === "string");
  }

  /** Returns a list of numbers; undefined when the field is missing. @throws {@link InvalidModelError} */
  numbers(key: string): readonly number[] | undefined {
    return this.#list(key, "a list of numbers", (item): item is number => typeof item === "number");
  }

  /** Returns a list of true and false; undefined when the field is missing. @throws {@link InvalidModelError} */
  flags(key: string): readonly boolean[] | undefined {
    return this.#list(key, "a list of true and false", (item): item is boolean => typeof item === "boolean");
  }

  /**
   * Returns a number that holds for all layers, given once or for each.
   * @throws {@link InvalidModelError} when layers differ, or it is no number; undefined when it is missing.
   */
  uniformNumber(key: string): number | undefined {
    const value = this.#metadata.get(key);
    if (!Array.isArray(value)) return this.number(key);
    const [first, ...rest] = this.numbers(key) ?? [];
    if (first === undefined || rest.some((other) => other !== first)) {
      this.#refuse(key, "different values for different layers", "one number for all layers");
    }
    return first;
  }

  #list<Item extends GgufValue>(
    key: string,
    expected: string,
    isItem: (item: GgufValue) => item is Item,
  ): readonly Item[] | undefined {
    const value = this.#metadata.get(key);
    if (value === undefined) return undefined;
    if (typeof value !== "object" || !value.every(isItem)) return this.#refuse(key, value, expected);
    return value;
  }
}
