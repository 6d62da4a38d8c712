/**
 * Linear memory: everything that has left the local cache, compressed into one matrix a key/value head.
 *
 *   write (at a commit)   M += phi(K)^T V,   z += sum phi(K)             (EdgeInfinite, arXiv 2503.22196, eq. 4-5)
 *   read                  A_mem = phi(q) M / (phi(q) z)
 *   phi(x) = elu(x) + 1                                                   (Katharopoulos et al., arXiv 2006.16236)
 *   delta rule            M += phi(K)^T (V - phi(K) M / (phi(K) z))       (Infini-attention, arXiv 2404.07143, eq. 5)
 *
 * Keys and queries are not rotated: what is old has no position. Query heads of a group share their
 * key/value head's memory.
 */

import { InternalError } from "../errors.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { multiplyDims } from "../graph/dim.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { RuntimeSession } from "../runtime/runtime.ts";
import {
  hostMemory,
  releaseTensors,
  type Tensor,
  type TensorBuffer,
  type TensorMemory,
} from "../runtime/tensor-memory.ts";
import { type AttentionGeometry, type ContextSettings, memoryLayers } from "./geometry.ts";
import { pastKeysName, pastValuesName, placesSymbol, tokensSymbol } from "./local-attention.ts";
import type { LocalCache } from "./local-cache.ts";
import { rotaryTables } from "./rotary.ts";

/** The least normaliser: keeps a query that is orthogonal to every key from dividing zero by zero. */
const leastNormalizer = 1e-30;

/** Names the input of a layer's M, `[K, Dphi, D]`. */
export const matrixName = (layer: number): string => `memory_matrix.${layer}`;
/** Names the input of a layer's z, `[K, Dphi, 1]`. */
export const normalizerName = (layer: number): string => `memory_normalizer.${layer}`;
/** Names the output of a commit graph with a layer's new M. */
export const newMatrixName = (layer: number): string => `new_matrix.${layer}`;
/** Names the output of a commit graph with a layer's new z. */
export const newNormalizerName = (layer: number): string => `new_normalizer.${layer}`;
const unrotateName = (table: "cos" | "sin", kind: number): string => `unrotate_${table}.${kind}`;

/** Writes phi: `[K, n, D]`, not rotated, to features `[K, n, Dphi]`, none of them negative. */
export type FeatureMap = (b: GraphBuilder, x: Value) => Value;

/** Writes phi(x) = elu(x) + 1, as max(x, 0) + exp(min(x, 0)): Elu has no kernel for WebGPU at this opset. */
export const writeElu1Features: FeatureMap = (b, x) =>
  b.add(b.max(x, b.scalar(0)), b.exp(b.min(x, b.scalar(0))));

/** Is a layer's memory as a graph input. */
export interface LinearMemoryInputs {
  /** M `[K, Dphi, D]`: features by values. */
  readonly matrix: Value;
  /** z `[K, Dphi, 1]`. */
  readonly normalizer: Value;
}

/** Declares a layer's memory as inputs of a graph. @param featureCount Dphi: D where it is not given. */
export function declareLinearMemory(
  b: GraphBuilder,
  { keyValueHeadCount: K, headSize: D }: AttentionGeometry,
  layer: number,
  featureCount: number = D,
): LinearMemoryInputs {
  return {
    matrix: b.input(matrixName(layer), "float32", [K, featureCount, D]),
    normalizer: b.input(normalizerName(layer), "float32", [K, featureCount, 1]),
  };
}

/** Is what the memory gives. */
export interface MemoryRead {
  /** A_mem `[T, K, H/K, D]`. */
  readonly output: Value;
  /** phi(q) z `[T, K, H/K, 1]`, above 0. */
  readonly total: Value;
}

/** Writes the read: query `[T, H, D]`, not rotated, to what the memory gives. */
export function writeMemoryRead(
  b: GraphBuilder,
  geometry: AttentionGeometry,
  query: Value,
  memory: LinearMemoryInputs,
  writeFeatures: FeatureMap = writeElu1Features,
): MemoryRead {
  const { queryHeadCount: H, keyValueHeadCount: K, headSize: D } = geometry;
  const T = tokensSymbol;
  const byHead = b.transpose(b.reshape(query, [T, K, H / K, D]), [1, 0, 2, 3]);
  const features = writeFeatures(b, b.reshape(byHead, [K, multiplyDims(H / K, T), D]));
  const { recalled, total } = writeRecall(b, features, memory);
  const byToken = (x: Value, width: number): Value =>
    b.transpose(b.reshape(x, [K, T, H / K, width]), [1, 0, 2, 3]);
  return { output: byToken(recalled, D), total: byToken(total, 1) };
}

/**
 * Names how M takes in what leaves: `linear` adds it, `delta` adds what the memory does not give for its keys already.
 * Either way z grows by the sum of features.
 */
export type UpdateRule = "linear" | "delta";

/** Writes the features' weighted mean of M: `[K, n, Dphi]` to `[K, n, D]` and its denominator `[K, n, 1]`. */
function writeRecall(
  b: GraphBuilder,
  features: Value,
  { matrix, normalizer }: LinearMemoryInputs,
): { readonly recalled: Value; readonly total: Value } {
  const total = b.max(b.matMul(features, normalizer), b.scalar(leastNormalizer));
  return { recalled: b.div(b.matMul(features, matrix), total), total };
}

/** Is what leaves the local cache of a layer. */
export interface LeavingTokens {
  /** `[K, n, D]`, not rotated. */
  readonly keys: Value;
  /** `[K, n, D]`. */
  readonly values: Value;
  /** `[K, n, 1]`: what share of each token is written; all of every one where undefined. */
  readonly shares?: Value;
  /** `linear` where not given. */
  readonly updateRule?: UpdateRule;
}

/** Writes the update of a layer's memory by what leaves; gives the graph's outputs. */
export function writeMemoryUpdate(
  b: GraphBuilder,
  geometry: AttentionGeometry,
  layer: number,
  { keys, values, shares, updateRule = "linear" }: LeavingTokens,
  writeFeatures: FeatureMap = writeElu1Features,
  featureCount: number = geometry.headSize,
): readonly Value[] {
  const { keyValueHeadCount: K } = geometry;
  const memory = declareLinearMemory(b, geometry, layer, featureCount);
  const whole = writeFeatures(b, keys);
  const features = shares === undefined ? whole : b.mul(whole, shares);
  const added = updateRule === "delta" ? b.sub(values, writeRecall(b, whole, memory).recalled) : values;
  const written = b.matMul(b.transpose(features, [0, 2, 1]), added);
  const total = b.reshape(b.reduceSum(features, [1], false), [K, featureCount, 1]);
  return [
    b.named(newMatrixName(layer), b.add(memory.matrix, written)),
    b.named(newNormalizerName(layer), b.add(memory.normalizer, total)),
  ];
}

/** Lists the kinds, among the layers that have a memory, whose keys are rotated. */
function rotatedKinds(geometry: AttentionGeometry): readonly number[] {
  const kinds = new Set(memoryLayers(geometry).map((layer) => geometry.layerKinds[layer] ?? -1));
  return [...kinds].filter((kind) => (geometry.kinds[kind]?.inverseFrequencies.length ?? 0) > 0);
}

/**
 * Writes the commit graph: the T tokens behind the sinks go into M and z, in the N layers that have a memory.
 * Keys, values, M and z are inputs of the same names and shapes as in the inference graph.
 */
export function buildLinearMemoryCommit(
  geometry: AttentionGeometry,
  context: ContextSettings,
  updateRule: UpdateRule = "linear",
): Graph {
  const b = new GraphBuilder("commit");
  const { keyValueHeadCount: K, headSize: D } = geometry;
  const { sinkTokens: S, segmentTokens: T } = context;
  const tables = new Map(
    rotatedKinds(geometry).map((kind) => {
      const shape = [1, T, geometry.kinds[kind]?.inverseFrequencies.length ?? 0];
      const table = (name: "cos" | "sin"): Value => b.input(unrotateName(name, kind), "float32", shape);
      return [kind, { cos: table("cos"), sin: table("sin") }];
    }),
  );
  const outputs: Value[] = [];
  for (const layer of memoryLayers(geometry)) {
    const leaving = (name: string): Value =>
      b.slice(b.input(name, "float32", [K, 1, placesSymbol, D]), 2, S, S + T);
    const rotated = leaving(pastKeysName(layer));
    const values = b.reshape(leaving(pastValuesName(layer)), [K, T, D]);
    const table = tables.get(geometry.layerKinds[layer] ?? -1);
    const keys =
      table === undefined
        ? b.reshape(rotated, [K, T, D])
        : b.reshape(b.rotaryEmbedding(b.reshape(rotated, [1, K, T, D]), table.cos, table.sin), [K, T, D]);
    outputs.push(...writeMemoryUpdate(b, geometry, layer, { keys, values, updateRule }));
  }
  return b.finish(outputs);
}

/** Is the memory of one layer: M `[K, Dphi, D]` and z `[K, Dphi]`. */
interface LayerMemory {
  readonly layer: number;
  readonly matrix: TensorBuffer;
  readonly normalizer: TensorBuffer;
}

const whole = ({ length }: TensorBuffer) => [{ from: 0, to: 0, length }];

/** Holds the memory of the N layers that have one, float32, on host or device. */
export class LinearMemory {
  readonly #geometry: AttentionGeometry;
  readonly #featureCount: number;
  readonly #layers: readonly LayerMemory[];

  /**
   * @param featureCount Dphi: D where it is not given.
   * @param twin a memory of the same sizes to copy; an empty one is made without it.
   */
  constructor(
    geometry: AttentionGeometry,
    memory: TensorMemory = hostMemory,
    featureCount: number = geometry.headSize,
    twin?: LinearMemory,
  ) {
    this.#geometry = geometry;
    this.#featureCount = featureCount;
    const { keyValueHeadCount: K, headSize: D } = geometry;
    this.#layers =
      twin !== undefined
        ? twin.#layers.map(({ layer, matrix, normalizer }) => ({
            layer,
            matrix: matrix.clone(),
            normalizer: normalizer.clone(),
          }))
        : memoryLayers(geometry).map((layer) => ({
            layer,
            matrix: memory.allocate(K * featureCount * D),
            normalizer: memory.allocate(K * featureCount),
          }));
  }

  get sizeBytes(): number {
    return this.#layers.reduce(
      (sum, { matrix, normalizer }) => sum + matrix.sizeBytes + normalizer.sizeBytes,
      0,
    );
  }

  /** Gives what {@link declareLinearMemory} declared, for every layer that has a memory. */
  feeds(): Record<string, Tensor> {
    const { keyValueHeadCount: K, headSize: D } = this.#geometry;
    const feeds: Record<string, Tensor> = {};
    for (const { layer, matrix, normalizer } of this.#layers) {
      feeds[matrixName(layer)] = matrix.tensor([K, this.#featureCount, D]);
      feeds[normalizerName(layer)] = normalizer.tensor([K, this.#featureCount, 1]);
    }
    return feeds;
  }

  /**
   * Gives what {@link buildLinearMemoryCommit} is fed, so that the T tokens behind the sinks are written.
   * @param cache full.
   * @param firstPosition rotary position of the first of them.
   */
  commitFeeds(cache: LocalCache, context: ContextSettings, firstPosition: number): Record<string, Tensor> {
    const feeds = this.feeds();
    for (const kindIndex of rotatedKinds(this.#geometry)) {
      const kind = this.#geometry.kinds[kindIndex];
      if (kind === undefined) continue;
      const { cos, sin } = rotaryTables(kind, firstPosition, context.segmentTokens, -1);
      feeds[unrotateName("cos", kindIndex)] = cos;
      feeds[unrotateName("sin", kindIndex)] = sin;
    }
    for (const { layer } of this.#layers) {
      feeds[pastKeysName(layer)] = cache.keys(layer);
      feeds[pastValuesName(layer)] = cache.values(layer);
    }
    return feeds;
  }

  /**
   * Writes the T tokens behind the sinks into the memory. The cache stays as it is.
   * @param firstPosition rotary position of the first of them.
   */
  async write(
    session: RuntimeSession<Tensor>,
    cache: LocalCache,
    context: ContextSettings,
    firstPosition: number,
  ): Promise<void> {
    const outputs = await session.run(this.commitFeeds(cache, context, firstPosition));
    this.absorb(outputs);
    releaseTensors(outputs);
  }

  /** Takes in the memory that a commit graph gave. */
  absorb(outputs: Readonly<Record<string, Tensor>>): void {
    for (const { layer, matrix, normalizer } of this.#layers) {
      const [newMatrix, newNormalizer] = [outputs[newMatrixName(layer)], outputs[newNormalizerName(layer)]];
      if (newMatrix === undefined || newNormalizer === undefined) {
        throw new InternalError({ where: `layer ${layer}`, what: "no new memory came out" });
      }
      matrix.write(newMatrix, whole(matrix));
      normalizer.write(newNormalizer, whole(normalizer));
    }
  }

  /** Copies out M `[N, K, Dphi, D]` and z `[N, K, Dphi]`. */
  async export(): Promise<{ readonly matrix: Float32Array; readonly normalizer: Float32Array }> {
    const join = async (part: "matrix" | "normalizer"): Promise<Float32Array> => {
      const parts = await Promise.all(this.#layers.map((layer) => layer[part].read(whole(layer[part]))));
      const size = parts[0]?.length ?? 0;
      const joined = new Float32Array(parts.length * size);
      for (const [index, data] of parts.entries()) joined.set(data, index * size);
      return joined;
    };
    return { matrix: await join("matrix"), normalizer: await join("normalizer") };
  }

  /** Takes in what {@link export} gave. */
  import(matrix: Float32Array, normalizer: Float32Array): void {
    for (const [index, layer] of this.#layers.entries()) {
      const part = (data: Float32Array, { length }: TensorBuffer): Float32Array =>
        data.subarray(index * length, (index + 1) * length);
      layer.matrix.write(part(matrix, layer.matrix), whole(layer.matrix));
      layer.normalizer.write(part(normalizer, layer.normalizer), whole(layer.normalizer));
    }
  }

  clone(): LinearMemory {
    return new LinearMemory(this.#geometry, undefined, this.#featureCount, this);
  }

  /** Lets the buffers go. */
  release(): void {
    for (const { matrix, normalizer } of this.#layers) {
      matrix.release();
      normalizer.release();
    }
  }
}
