/**
 * Linear memory: everything that has left the local cache, compressed into one matrix a key/value head.
 *
 *   write (at a commit)   M += phi(K)^T V,   z += sum phi(K)             (EdgeInfinite, arXiv 2503.22196, eq. 4-5)
 *   read                  A_mem = phi(q) M / (phi(q) z)
 *   phi(x) = elu(x) + 1                                                   (Katharopoulos et al., arXiv 2006.16236)
 *
 * Keys and queries are not rotated: what is old has no position. Query heads of a group share their
 * key/value head's memory.
 */

import { GraphBuilder } from "../graph/builder.ts";
import { multiplyDims } from "../graph/dim.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { NamedTensors, RuntimeSession } from "../runtime/runtime.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import type { AttentionGeometry, ContextSettings } from "./geometry.ts";
import { tokensSymbol } from "./local-attention.ts";
import type { LocalCache } from "./local-cache.ts";
import { rotaryTables } from "./rotary.ts";

/** The least normaliser: keeps a query that is orthogonal to every key from dividing zero by zero. */
const leastNormalizer = 1e-30;

const matrixName = (layer: number): string => `memory_matrix.${layer}`;
const normalizerName = (layer: number): string => `memory_normalizer.${layer}`;

/** Writes phi(x) = elu(x) + 1. */
function writeFeatures(b: GraphBuilder, x: Value): Value {
  return b.add(b.elu(x), b.scalar(1));
}

/** Is a layer's memory as a graph input. */
export interface LinearMemoryInputs {
  /** M `[K, D, D]`: features by values. */
  readonly matrix: Value;
  /** z `[K, D, 1]`. */
  readonly normalizer: Value;
}

/** Declares a layer's memory as inputs of the inference graph. */
export function declareLinearMemory(
  b: GraphBuilder,
  geometry: AttentionGeometry,
  layer: number,
): LinearMemoryInputs {
  const { keyValueHeadCount: K, headSize: D } = geometry;
  return {
    matrix: b.input(matrixName(layer), "float32", [K, D, D]),
    normalizer: b.input(normalizerName(layer), "float32", [K, D, 1]),
  };
}

/** Writes the read: query `[H, T, D]`, not rotated, to A_mem `[H, T, D]`. */
export function writeMemoryRead(
  b: GraphBuilder,
  geometry: AttentionGeometry,
  query: Value,
  { matrix, normalizer }: LinearMemoryInputs,
): Value {
  const { queryHeadCount: H, keyValueHeadCount: K, headSize: D } = geometry;
  const features = writeFeatures(b, b.reshape(query, [K, multiplyDims(H / K, tokensSymbol), D]));
  const total = b.max(b.matMul(features, normalizer), b.scalar(leastNormalizer));
  return b.reshape(b.div(b.matMul(features, matrix), total), [H, tokensSymbol, D]);
}

/** Writes the commit graph: the T tokens behind the sinks of every layer go into M and z. */
export function buildLinearMemoryCommit(geometry: AttentionGeometry, context: ContextSettings): Graph {
  const b = new GraphBuilder("commit");
  const { layerCount: L, keyValueHeadCount: K, headSize: D } = geometry;
  const { sinkTokens: S, segmentTokens: T } = context;
  const keys = b.input("keys", "float32", [L, K, "P", D]);
  const values = b.input("values", "float32", [L, K, "P", D]);
  const cos = b.input("unrotate_cos", "float32", [1, T, D / 2]);
  const sin = b.input("unrotate_sin", "float32", [1, T, D / 2]);
  const matrix = b.input("matrix", "float32", [L, K, D, D]);
  const normalizer = b.input("normalizer", "float32", [L, K, D]);
  const leavingKeys = b.reshape(b.slice(keys, 2, S, S + T), [1, L * K, T, D]);
  const leavingValues = b.slice(values, 2, S, S + T);
  const features = b.reshape(writeFeatures(b, b.rotaryEmbedding(leavingKeys, cos, sin)), [L, K, T, D]);
  const written = b.matMul(b.transpose(features, [0, 1, 3, 2]), leavingValues);
  return b.finish([
    b.named("new_matrix", b.add(matrix, written)),
    b.named("new_normalizer", b.add(normalizer, b.reduceSum(features, [2], false))),
  ]);
}

/** Holds the memory of every layer on the host: M `[L, K, D, D]` and z `[L, K, D]`, float32. */
export class LinearMemory {
  readonly #geometry: AttentionGeometry;
  readonly #matrix: Float32Array;
  readonly #normalizer: Float32Array;

  constructor(geometry: AttentionGeometry, matrix?: Float32Array, normalizer?: Float32Array) {
    this.#geometry = geometry;
    const { layerCount: L, keyValueHeadCount: K, headSize: D } = geometry;
    this.#matrix = matrix ?? new Float32Array(L * K * D * D);
    this.#normalizer = normalizer ?? new Float32Array(L * K * D);
  }

  get sizeBytes(): number {
    return this.#matrix.byteLength + this.#normalizer.byteLength;
  }

  /** Gives what {@link declareLinearMemory} declared, for every layer. */
  feeds(): Record<string, HostTensor> {
    const { layerCount, keyValueHeadCount: K, headSize: D } = this.#geometry;
    const feeds: Record<string, HostTensor> = {};
    for (let layer = 0; layer < layerCount; layer++) {
      const z = K * D;
      const M = z * D;
      feeds[matrixName(layer)] = hostTensor(
        "float32",
        [K, D, D],
        this.#matrix.subarray(layer * M, (layer + 1) * M),
      );
      feeds[normalizerName(layer)] = hostTensor(
        "float32",
        [K, D, 1],
        this.#normalizer.subarray(layer * z, (layer + 1) * z),
      );
    }
    return feeds;
  }

  /**
   * Writes the T tokens behind the sinks into the memory. The cache stays as it is.
   * @param firstPosition rotary position of the first of them.
   */
  async write(
    session: RuntimeSession,
    cache: LocalCache,
    context: ContextSettings,
    firstPosition: number,
  ): Promise<void> {
    const { layerCount: L, keyValueHeadCount: K, headSize: D, inverseFrequencies } = this.#geometry;
    const { cos, sin } = rotaryTables(inverseFrequencies, firstPosition, context.segmentTokens, -1);
    const outputs: NamedTensors = await session.run({
      ...cache.all(),
      unrotate_cos: cos,
      unrotate_sin: sin,
      matrix: hostTensor("float32", [L, K, D, D], this.#matrix),
      normalizer: hostTensor("float32", [L, K, D], this.#normalizer),
    });
    this.#matrix.set(outputs.new_matrix?.data as Float32Array);
    this.#normalizer.set(outputs.new_normalizer?.data as Float32Array);
  }

  /** Copies out M and z. */
  export(): { readonly matrix: Float32Array; readonly normalizer: Float32Array } {
    return { matrix: this.#matrix.slice(), normalizer: this.#normalizer.slice() };
  }

  clone(): LinearMemory {
    return new LinearMemory(this.#geometry, this.#matrix.slice(), this.#normalizer.slice());
  }
}
