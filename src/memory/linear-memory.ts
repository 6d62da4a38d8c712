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
import { type AttentionGeometry, type ContextSettings, memoryLayers } from "./geometry.ts";
import { tokensSymbol } from "./local-attention.ts";
import type { LocalCache } from "./local-cache.ts";
import { type RotaryTables, rotaryTables } from "./rotary.ts";

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

/** Returns how many pairs of a head are rotated in those layers that rotate. */
function rotatedPairCount({ kinds }: AttentionGeometry): number {
  return Math.max(...kinds.map(({ inverseFrequencies }) => inverseFrequencies.length));
}

/** Computes the tables that undo the rotation of each layer in turn, `[N, T, n]`; a layer without one has angles of 0. */
function unrotateTables(
  geometry: AttentionGeometry,
  layers: readonly number[],
  firstPosition: number,
  tokenCount: number,
): RotaryTables {
  const pairCount = rotatedPairCount(geometry);
  const still = { inverseFrequencies: new Float64Array(pairCount), rotaryScale: 1 };
  const ofKinds = geometry.kinds.map((kind) =>
    rotaryTables(kind.inverseFrequencies.length === 0 ? still : kind, firstPosition, tokenCount, -1),
  );
  const stack = (part: keyof RotaryTables): HostTensor<"float32"> => {
    const size = tokenCount * pairCount;
    const data = new Float32Array(layers.length * size);
    layers.forEach((layer, index) => {
      const table = ofKinds[geometry.layerKinds[layer] ?? -1];
      if (table !== undefined) data.set(table[part].data, index * size);
    });
    return hostTensor("float32", [layers.length, tokenCount, pairCount], data);
  };
  return { cos: stack("cos"), sin: stack("sin") };
}

/**
 * Writes the commit graph: the T tokens behind the sinks go into M and z, in the N layers that have a memory.
 */
export function buildLinearMemoryCommit(geometry: AttentionGeometry, context: ContextSettings): Graph {
  const b = new GraphBuilder("commit");
  const { layerCount: L, keyValueHeadCount: K, headSize: D } = geometry;
  const { sinkTokens: S, segmentTokens: T } = context;
  const layers = memoryLayers(geometry);
  const N = layers.length;
  const keys = b.input("keys", "float32", [L, K, "P", D]);
  const values = b.input("values", "float32", [L, K, "P", D]);
  const table = [N, T, rotatedPairCount(geometry)];
  const cos = b.input("unrotate_cos", "float32", table);
  const sin = b.input("unrotate_sin", "float32", table);
  const matrix = b.input("matrix", "float32", [N, K, D, D]);
  const normalizer = b.input("normalizer", "float32", [N, K, D]);
  const indices = hostTensor("int64", [N], BigInt64Array.from(layers, BigInt));
  const leaving = (x: Value): Value => {
    const tokens = b.slice(x, 2, S, S + T);
    return N === L ? tokens : b.gather(tokens, b.constant("memory_layers", indices));
  };
  const features = writeFeatures(b, b.rotaryEmbedding(leaving(keys), cos, sin));
  const written = b.matMul(b.transpose(features, [0, 1, 3, 2]), leaving(values));
  return b.finish([
    b.named("new_matrix", b.add(matrix, written)),
    b.named("new_normalizer", b.add(normalizer, b.reduceSum(features, [2], false))),
  ]);
}

/** Holds the memory of the N layers that have one on the host: M `[N, K, D, D]` and z `[N, K, D]`, float32. */
export class LinearMemory {
  readonly #geometry: AttentionGeometry;
  readonly #layers: readonly number[];
  readonly #matrix: Float32Array;
  readonly #normalizer: Float32Array;

  constructor(geometry: AttentionGeometry, matrix?: Float32Array, normalizer?: Float32Array) {
    this.#geometry = geometry;
    this.#layers = memoryLayers(geometry);
    const { keyValueHeadCount: K, headSize: D } = geometry;
    this.#matrix = matrix ?? new Float32Array(this.#layers.length * K * D * D);
    this.#normalizer = normalizer ?? new Float32Array(this.#layers.length * K * D);
  }

  get sizeBytes(): number {
    return this.#matrix.byteLength + this.#normalizer.byteLength;
  }

  /** Gives what {@link declareLinearMemory} declared, for every layer that has a memory. */
  feeds(): Record<string, HostTensor> {
    const { keyValueHeadCount: K, headSize: D } = this.#geometry;
    const feeds: Record<string, HostTensor> = {};
    const z = K * D;
    const M = z * D;
    for (const [index, layer] of this.#layers.entries()) {
      feeds[matrixName(layer)] = hostTensor(
        "float32",
        [K, D, D],
        this.#matrix.subarray(index * M, (index + 1) * M),
      );
      feeds[normalizerName(layer)] = hostTensor(
        "float32",
        [K, D, 1],
        this.#normalizer.subarray(index * z, (index + 1) * z),
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
    const { keyValueHeadCount: K, headSize: D } = this.#geometry;
    const N = this.#layers.length;
    const { cos, sin } = unrotateTables(this.#geometry, this.#layers, firstPosition, context.segmentTokens);
    const outputs: NamedTensors = await session.run({
      ...cache.all(),
      unrotate_cos: cos,
      unrotate_sin: sin,
      matrix: hostTensor("float32", [N, K, D, D], this.#matrix),
      normalizer: hostTensor("float32", [N, K, D], this.#normalizer),
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
