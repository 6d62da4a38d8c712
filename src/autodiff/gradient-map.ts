/**
 * The gradients of values, summed up while a graph is walked back.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import type { Gradient, Summand } from "./gradient-rule.ts";
import { expandLike, unbroadcast } from "./shape-changes.ts";

/** Writes a scalar constant of a dtype. */
export function writeScalar(b: GraphBuilder, value: number, { dtype }: Value): Value {
  return b.cast(b.scalar(value), dtype);
}

/** Holds the gradient of each value so far. */
export class GradientMap {
  readonly #builder: GraphBuilder;
  readonly #gradients = new Map<string, Gradient>();

  constructor(builder: GraphBuilder) {
    this.#builder = builder;
  }

  has({ name }: Value): boolean {
    return this.#gradients.has(name);
  }

  /** Adds a summand to a value's gradient; one that has the shape of a broadcast is summed to the value's. */
  add(value: Value, summand: Summand): void {
    const { dense, sparse } = this.parts(value);
    if ("updates" in summand) {
      this.#gradients.set(value.name, { dense, sparse: [...sparse, summand] });
      return;
    }
    const own = unbroadcast(this.#builder, summand, value.shape);
    this.#gradients.set(value.name, {
      dense: dense === undefined ? own : this.#builder.add(dense, own),
      sparse,
    });
  }

  /** Gives a value's gradient as it is. */
  parts({ name }: Value): Gradient {
    return this.#gradients.get(name) ?? { dense: undefined, sparse: [] };
  }

  /** Gives a value's gradient as one tensor: what was taken by index is added where it belongs. */
  whole(value: Value): Value {
    const b = this.#builder;
    const { dense, sparse } = this.parts(value);
    if (dense !== undefined && sparse.length === 0) return dense;
    const start = dense ?? expandLike(b, writeScalar(b, 0, value), value);
    const sum = sparse.reduce(
      (total, { axis, indices, updates }) => b.scatterAdd(total, indices, updates, axis),
      start,
    );
    this.#gradients.set(value.name, { dense: sum, sparse: [] });
    return sum;
  }
}
