/**
 * Takes a file's tensors into a graph: shapes checked, stored types widened to float32, leftovers known.
 */

import { InvalidModelError } from "../errors.ts";
import type { TensorEntry } from "../files/safetensors.ts";
import { formatShape, sameShape } from "../tensor/shape.ts";
import type { GraphBuilder } from "./builder.ts";
import type { Value } from "./graph.ts";

/** Hands out the tensors of a checkpoint or adapter by name. */
export class WeightReader {
  readonly #where: string;
  readonly #entries: ReadonlyMap<string, TensorEntry>;
  readonly #taken = new Map<string, Value>();

  /** @param where names the checkpoint or adapter in messages. */
  constructor(where: string, entries: ReadonlyMap<string, TensorEntry>) {
    this.#where = where;
    this.#entries = entries;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Lists the tensors that nothing has taken. */
  get leftovers(): string[] {
    return [...this.#entries.keys()].filter((name) => !this.#taken.has(name));
  }

  /**
   * Adds a tensor as it is stored: float32, float16 or bfloat16. Taken twice, it is the same constant.
   * @throws {@link InvalidModelError} when it is missing or has another shape.
   */
  takeStored(builder: GraphBuilder, name: string, shape: readonly number[]): Value {
    const entry = this.#entries.get(name);
    const where = `${this.#where}, tensor ${name}`;
    if (entry === undefined) {
      throw new InvalidModelError({
        where,
        what: "the tensor is missing",
        expected: `shape ${formatShape(shape)}`,
      });
    }
    if (!sameShape(entry.shape, shape)) {
      const got = formatShape(entry.shape);
      throw new InvalidModelError({
        where,
        what: "the shape does not fit",
        got,
        expected: formatShape(shape),
      });
    }
    if (entry.dtype !== "float32" && entry.dtype !== "float16" && entry.dtype !== "bfloat16") {
      throw new InvalidModelError({
        where,
        what: "the dtype is not a weight's",
        got: entry.dtype,
        expected: "float32, float16 or bfloat16",
      });
    }
    const known = this.#taken.get(name);
    if (known !== undefined) return known;
    const { source, offset, lengthBytes } = entry;
    const value = builder.external(name, entry.dtype, shape, { source, offset, lengthBytes });
    this.#taken.set(name, value);
    return value;
  }

  /** Adds a tensor as float32; the runtime widens it once, when it loads the graph. */
  take(builder: GraphBuilder, name: string, shape: readonly number[]): Value {
    return builder.cast(this.takeStored(builder, name, shape), "float32");
  }
}
