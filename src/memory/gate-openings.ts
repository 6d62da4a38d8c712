/**
 * How far read gates open: what graphs give of a run, and its sums over a stream, a number a layer and query head.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import type { NamedTensors } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { hostTensor } from "../tensor/host-tensor.ts";

/** Names the inference graph's output of how far each gate opens, on average over the tokens, `[1, N*H]`. */
export const gateOpeningName = "gate_opening";

/** Writes how far the gates of a layer open on average: `[T, H]` or `[1, H]` to `[1, H]`. */
export function writeOpening(b: GraphBuilder, gate: Value): Value {
  return b.reduceMean(gate, [0], true);
}

/** Writes the opening of a layer whose gates are not asked: 0, `[1, H]`. */
export function writeNoOpening(b: GraphBuilder, headCount: number): Value {
  const zeros = hostTensor("float32", [headCount], new Float32Array(headCount));
  return b.reshape(b.constant("no_opening", zeros), [1, headCount]);
}

/** Adds up how far gates open, float64. */
export class GateOpenings {
  readonly #headCount: number;
  /** `[N, H]`. */
  readonly #sums: Float64Array;

  /** @param layerCount - N, 0 where there are no gates. */
  constructor(layerCount: number, headCount: number) {
    this.#headCount = headCount;
    this.#sums = new Float64Array(layerCount * headCount);
  }

  get sizeBytes(): number {
    return this.#sums.byteLength;
  }

  /** Takes in what a run of the gated path gave. */
  absorb(outputs: NamedTensors, tokenCount: number): void {
    if (this.#sums.length === 0) return;
    for (const [at, mean] of hostFloats(outputs[gateOpeningName], gateOpeningName).entries())
      this.#sums[at] = (this.#sums[at] ?? 0) + mean * tokenCount;
  }

  /** Gives the mean of each layer's heads over so many tokens; nothing when there are none. */
  means(tokenCount: number): readonly (readonly number[])[] {
    if (tokenCount === 0) return [];
    return Array.from({ length: this.#sums.length / this.#headCount }, (_, layer) =>
      Array.from(
        this.#sums.subarray(layer * this.#headCount, (layer + 1) * this.#headCount),
        (sum) => sum / tokenCount,
      ),
    );
  }

  clone(): GateOpenings {
    const twin = new GateOpenings(this.#sums.length / this.#headCount, this.#headCount);
    twin.#sums.set(this.#sums);
    return twin;
  }

  /** Copies out the sums, `[N, H]`. */
  export(): Float64Array {
    return this.#sums.slice();
  }

  /** Takes in what {@link export} gave. */
  import(sums: Float64Array): void {
    this.#sums.set(sums);
  }
}
