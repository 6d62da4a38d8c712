/**
 * The attention of a teacher: full causal attention over a document, with what it is worth to remember each token.
 *
 *   target[k, j] = max over the query heads of group k and the queries i that come after token j would have left the
 *                  window, of w_i softmax(scale q_i k_j)                     (docs/adr/0014; Locret, arXiv 2410.01805)
 *
 * w is 1, or the weight that the document gives to token i: what a question and its answer come back to may count more
 * than what prose does.
 *
 * Probabilities are kept whole, `[K, H/K, T, T]` a layer: it is for documents inside the trained length.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import {
  type AttentionGeometry,
  type ContextSettings,
  kindOfLayer,
  memoryLayers,
} from "../memory/geometry.ts";
import { masked, tokensSymbol } from "../memory/local-attention.ts";
import type { AttentionInputs, AttentionWriter } from "../memory/policy.ts";
import { rotaryTables } from "../memory/rotary.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";

const maskName = (kind: number): string => `teacher_mask.${kind}`;
const cosName = (kind: number): string => `teacher_cos.${kind}`;
const sinName = (kind: number): string => `teacher_sin.${kind}`;
const farName = "teacher_far";
/** float32 `[T, 1]`: how much the attention of each query counts. */
export const queryWeightsName = "teacher_query_weights";

/** Returns the first position whose query finds a token gone from the window; Infinity for sinks, which never leave. */
export function firstFarPosition(context: ContextSettings, position: number): number {
  const { sinkTokens: S, windowTokens: W, segmentTokens: T } = context;
  if (position < S) return Number.POSITIVE_INFINITY;
  return S + W + T * (Math.floor((position - S) / T) + 1);
}

/** Gives what {@link TeacherAttentionWriter} is fed for documents of a length. */
export function teacherFeeds(
  geometry: AttentionGeometry,
  context: ContextSettings,
  lengthTokens: number,
): Record<string, HostTensor> {
  const square = (at: (row: number, column: number) => number): HostTensor =>
    hostTensor(
      "float32",
      [lengthTokens, lengthTokens],
      Float32Array.from({ length: lengthTokens ** 2 }, (_, index) =>
        at(Math.floor(index / lengthTokens), index % lengthTokens),
      ),
    );
  const far = Array.from({ length: lengthTokens }, (_, position) => firstFarPosition(context, position));
  const feeds: Record<string, HostTensor> = {
    [farName]: square((row, column) => (row >= (far[column] ?? 0) ? 1 : 0)),
  };
  geometry.kinds.forEach((kind, index) => {
    const { cos, sin } = rotaryTables(kind, 0, lengthTokens);
    const isSeen = (row: number, column: number): boolean =>
      column <= row && row - column < kind.windowTokens;
    feeds[cosName(index)] = cos;
    feeds[sinName(index)] = sin;
    feeds[maskName(index)] = square((row, column) => (isSeen(row, column) ? 0 : masked));
  });
  return feeds;
}

/** Writes a teacher's attention, and notes what its layers are worth. */
export class TeacherAttentionWriter implements AttentionWriter {
  readonly positions = undefined;
  readonly #b: GraphBuilder;
  readonly #geometry: AttentionGeometry;
  readonly #far: Value;
  readonly #masks: readonly Value[];
  readonly #tables: readonly ({ readonly cos: Value; readonly sin: Value } | undefined)[];
  readonly #remembering: ReadonlySet<number>;
  readonly #onLayer: (layer: number, inputs: AttentionInputs, targets: Value) => void;

  /**
   * @param onLayer takes the inputs of each layer with a memory, and its targets `[K, T]`.
   * @param isWeighted whether queries have weights, which are fed.
   */
  constructor(
    b: GraphBuilder,
    geometry: AttentionGeometry,
    onLayer: (layer: number, inputs: AttentionInputs, targets: Value) => void,
    isWeighted = false,
  ) {
    this.#b = b;
    this.#geometry = geometry;
    this.#onLayer = onLayer;
    this.#remembering = new Set(memoryLayers(geometry));
    const T = tokensSymbol;
    const far = b.input(farName, "float32", [T, T]);
    this.#far = isWeighted ? b.mul(far, b.input(queryWeightsName, "float32", [T, 1])) : far;
    this.#masks = geometry.kinds.map((_, kind) => b.input(maskName(kind), "float32", [T, T]));
    this.#tables = geometry.kinds.map(({ inverseFrequencies: { length: n } }, kind) => {
      if (n === 0) return undefined;
      const table = (name: string): Value => b.reshape(b.input(name, "float32", [1, T, n]), [T, 1, n]);
      return { cos: table(cosName(kind)), sin: table(sinName(kind)) };
    });
  }

  attend(layer: number, inputs: AttentionInputs): Value {
    const b = this.#b;
    const { queryHeadCount: H, keyValueHeadCount: K, headSize: D, scoreScale } = this.#geometry;
    const T = tokensSymbol;
    const kind = this.#geometry.kinds.indexOf(kindOfLayer(this.#geometry, layer));
    const tables = this.#tables[kind];
    const headsFirst = (x: Value, heads: number, isRotated: boolean): Value => {
      const own = b.reshape(x, [T, heads, 1, D]);
      const turned = isRotated && tables !== undefined ? b.rotaryEmbedding(own, tables.cos, tables.sin) : own;
      return b.transpose(b.reshape(turned, [T, heads, D]), [1, 0, 2]);
    };
    const query = b.reshape(headsFirst(b.mul(inputs.query, b.scalar(scoreScale)), H, true), [K, H / K, T, D]);
    const shared = (x: Value, isRotated: boolean): Value =>
      b.reshape(headsFirst(x, K, isRotated), [K, 1, T, D]);
    const scores = b.matMul(query, b.transpose(shared(inputs.key, true), [0, 1, 3, 2]));
    const probabilities = b.softmax(b.add(scores, this.#masks[kind] ?? this.#far), 3);
    if (this.#remembering.has(layer)) {
      this.#onLayer(layer, inputs, b.reduceMax(b.mul(probabilities, this.#far), [1, 2], false));
    }
    const read = b.reshape(b.matMul(probabilities, shared(inputs.value, false)), [H, T, D]);
    return b.reshape(b.transpose(read, [1, 0, 2]), [T, H * D]);
  }

  finish(): readonly Value[] {
    return [];
  }
}
