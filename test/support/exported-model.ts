/**
 * Runs an exported model as a program of its own would: from its manifest, with nothing of the library's memory.
 *
 * A tensor is fed by its role. One step of `protocol` is one method.
 */

import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import {
  type ExportedGraph,
  type ExportedTensor,
  type ExportManifest,
  readExportManifest,
} from "../../src/node.ts";

/** Is what one run of a graph is about. */
interface Run {
  readonly graph: ExportedGraph;
  readonly ids: readonly number[];
}

type Feed = (tensor: ExportedTensor, run: Run) => Float32Array | Int32Array;

const elementCount = (shape: readonly number[]): number =>
  shape.reduce((product, extent) => product * extent, 1);

/** Is one stream in an exported model. */
export class ExportedModel implements AsyncDisposable {
  readonly manifest: ExportManifest;
  readonly #sessions: ReadonlyMap<string, InferenceSession>;
  readonly #keys: readonly Float32Array[];
  readonly #values: readonly Float32Array[];
  #sinkKeys: readonly Float32Array[] = [];
  readonly #matrices: readonly Float32Array[];
  readonly #normalizers: readonly Float32Array[];
  length = 0;
  used = 0;
  commits = 0;

  private constructor(manifest: ExportManifest, sessions: ReadonlyMap<string, InferenceSession>) {
    this.manifest = manifest;
    this.#sessions = sessions;
    const { layerCount, keyValueHeadCount: K, headSize: D } = manifest.sizes;
    const layers = Array.from({ length: layerCount });
    this.#keys = layers.map(() => new Float32Array(K * this.#places * D));
    this.#values = layers.map(() => new Float32Array(K * this.#places * D));
    this.#matrices = layers.map(() => new Float32Array(K * D * D));
    this.#normalizers = layers.map(() => new Float32Array(K * D));
  }

  static async open(folder: string): Promise<ExportedModel> {
    const manifest = await readExportManifest(folder);
    const sessions = new Map<string, InferenceSession>();
    for (const { name, file } of manifest.graphs) {
      sessions.set(name, await InferenceSession.create(join(folder, file), { intraOpNumThreads: 1 }));
    }
    return new ExportedModel(manifest, sessions);
  }

  get #places(): number {
    return this.manifest.context.capacityTokens;
  }

  /** The graph for n tokens now: prefill also for one where `padded` asks for it. */
  #choose(count: number, padded: boolean): ExportedGraph {
    const { graphs } = this.manifest;
    const gated = graphs.some(({ path }) => path === "gated") && this.commits > 0;
    const purpose = count === 1 && !padded ? "decode" : "prefill";
    const found = graphs.find(
      (graph) => graph.purpose === purpose && graph.path === (gated ? "gated" : "base"),
    );
    if (found === undefined) throw new Error(`no ${purpose} graph`);
    return found;
  }

  #kind({ kind = 0 }: ExportedTensor) {
    const found = this.manifest.attention.kinds[kind];
    if (found === undefined) throw new Error(`no kind ${kind}`);
    return found;
  }

  /** Computes a table of a function of angles, row by row from a position on. */
  #table(tensor: ExportedTensor, first: number, write: (angle: number) => number): Float32Array {
    const { inverseFrequencies, rotaryScale } = this.#kind(tensor);
    const rows = tensor.shape[1] ?? 0;
    return Float32Array.from({ length: rows * inverseFrequencies.length }, (_, index) => {
      const row = Math.floor(index / inverseFrequencies.length);
      const frequency = inverseFrequencies[index % inverseFrequencies.length] ?? 0;
      return rotaryScale * write((first + row) * frequency);
    });
  }

  #unrotate(tensor: ExportedTensor, write: (angle: number) => number): Float32Array {
    const { sinkTokens, segmentTokens } = this.manifest.context;
    const scale = this.#kind(tensor).rotaryScale ** 2;
    return this.#table(tensor, sinkTokens + segmentTokens * this.commits, (angle) => write(angle) / scale);
  }

  /** Tells whether new token t sees place p. */
  #seesPlace(p: number, t: number, windowTokens: number | null): boolean {
    return p < this.used && (windowTokens === null || p > this.used + t - windowTokens);
  }

  #pastMask(tensor: ExportedTensor): Float32Array {
    const { windowTokens } = this.#kind(tensor);
    return Float32Array.from({ length: this.#places }, (_, p) =>
      this.#seesPlace(p, 0, windowTokens) ? 0 : this.manifest.maskedValue,
    );
  }

  #mask(tensor: ExportedTensor): Float32Array {
    const { windowTokens } = this.#kind(tensor);
    const width = tensor.shape[1] ?? 0;
    return Float32Array.from({ length: elementCount(tensor.shape) }, (_, index) => {
      const [t, column] = [Math.floor(index / width), index % width];
      const s = column - this.#places;
      const sees =
        s < 0
          ? this.#seesPlace(column, t, windowTokens)
          : s <= t && (windowTokens === null || s > t - windowTokens);
      return sees ? 0 : this.manifest.maskedValue;
    });
  }

  readonly #feeds: Partial<Record<ExportedTensor["role"], Feed>> = {
    "token-ids": ({ shape }, { ids }) => {
      const padded = new Int32Array(shape[0] ?? 0);
      padded.set(ids);
      return padded;
    },
    "logit-row": (_, { ids }) => Int32Array.of(ids.length - 1),
    "rotary-cos": (tensor) => this.#table(tensor, this.length, Math.cos),
    "rotary-sin": (tensor) => this.#table(tensor, this.length, Math.sin),
    "past-mask": (tensor) => this.#pastMask(tensor),
    mask: (tensor) => this.#mask(tensor),
    "past-keys": ({ layer = 0 }) => this.#keys[layer] ?? new Float32Array(),
    "past-values": ({ layer = 0 }) => this.#values[layer] ?? new Float32Array(),
    "memory-matrix": ({ layer = 0 }) => this.#matrices[layer] ?? new Float32Array(),
    "memory-normalizer": ({ layer = 0 }) => this.#normalizers[layer] ?? new Float32Array(),
    "unrotate-cos": (tensor) => this.#unrotate(tensor, Math.cos),
    "unrotate-sin": (tensor) => this.#unrotate(tensor, (angle) => -Math.sin(angle)),
  };

  /** Runs a graph; gives its outputs by role and layer. */
  async #run(
    graph: ExportedGraph,
    ids: readonly number[],
  ): Promise<readonly [ExportedTensor, Float32Array][]> {
    const feeds: Record<string, Tensor> = {};
    for (const tensor of graph.inputs) {
      const data = this.#feeds[tensor.role]?.(tensor, { graph, ids });
      if (data === undefined) throw new Error(`nothing to feed as ${tensor.role}`);
      feeds[tensor.name] = new Tensor(tensor.dtype as "float32", data as Float32Array, tensor.shape);
    }
    const results = await this.#sessions.get(graph.name)?.run(feeds);
    return graph.outputs.map((tensor) => {
      const result = results?.[tensor.name];
      if (result?.dims.join() !== tensor.shape.join()) throw new Error(`shape of ${tensor.name}`);
      return [tensor, result.data as Float32Array];
    });
  }

  #takeIn(
    cache: Float32Array,
    rows: Float32Array,
    [heads = 0, T = 0, size = 0]: readonly number[],
    n: number,
  ): void {
    for (let head = 0; head < heads; head++) {
      const from = head * T * size;
      cache.set(rows.subarray(from, from + n * size), (head * this.#places + this.used) * size);
    }
  }

  /** Reads tokens, as many as fit one run; gives the logits after the last. */
  async #read(ids: readonly number[], padded: boolean): Promise<Float32Array> {
    let logits: Float32Array = new Float32Array();
    for (const [{ role, layer = 0, shape }, data] of await this.#run(this.#choose(ids.length, padded), ids)) {
      if (role === "logits") logits = Float32Array.from(data);
      const caches = role === "new-keys" ? this.#keys : this.#values;
      const cache = caches[layer];
      if (role !== "logits" && cache !== undefined) this.#takeIn(cache, data, shape, ids.length);
    }
    this.used += ids.length;
    this.length += ids.length;
    return logits;
  }

  #forEachHead(
    visit: (keys: Float32Array, values: Float32Array, index: number, layer: number) => void,
  ): void {
    const { keyValueHeadCount: K, headSize: D } = this.manifest.sizes;
    this.#keys.forEach((keys, layer) => {
      for (let head = 0; head < K; head++) {
        const range = [head * this.#places * D, (head + 1) * this.#places * D] as const;
        const values = this.#values[layer]?.subarray(...range) ?? new Float32Array();
        visit(keys.subarray(...range), values, layer * K + head, layer);
      }
    });
  }

  /** Rotates the sinks' originals to where they belong after the commits so far. */
  #rotateSinks(): void {
    const { context, attention, sizes } = this.manifest;
    const D = sizes.headSize;
    this.#forEachHead((keys, _, index, layer) => {
      const original = this.#sinkKeys[index] ?? new Float32Array();
      const frequencies = attention.kinds[attention.layerKinds[layer] ?? 0]?.inverseFrequencies ?? [];
      const n = frequencies.length;
      for (let sink = 0; sink < context.sinkTokens; sink++) {
        frequencies.forEach((frequency, i) => {
          const angle = context.segmentTokens * this.commits * frequency;
          const [a = 0, b = 0] = [original[sink * D + i], original[sink * D + i + n]];
          keys[sink * D + i] = a * Math.cos(angle) - b * Math.sin(angle);
          keys[sink * D + i + n] = b * Math.cos(angle) + a * Math.sin(angle);
        });
      }
    });
  }

  async #commit(): Promise<void> {
    const { context, sizes, graphs } = this.manifest;
    const [S, T, D] = [context.sinkTokens, context.segmentTokens, sizes.headSize];
    if (this.commits === 0) {
      const originals: Float32Array[] = [];
      this.#forEachHead((keys) => originals.push(keys.slice(0, S * D)));
      this.#sinkKeys = originals;
    }
    const graph = graphs.find(({ purpose }) => purpose === "commit");
    for (const [{ role, layer = 0 }, data] of graph === undefined ? [] : await this.#run(graph, [])) {
      if (role === "new-memory-matrix") this.#matrices[layer]?.set(data);
      if (role === "new-memory-normalizer") this.#normalizers[layer]?.set(data);
    }
    this.#forEachHead((keys, values) => {
      for (const rows of [keys, values]) rows.copyWithin(S * D, (S + T) * D);
    });
    this.used -= T;
    this.commits += 1;
    this.#rotateSinks();
  }

  /**
   * Reads tokens in runs of at most `runTokens`, with the commits that are due.
   * @param padded whether single tokens too are read by the prefill graph.
   */
  async append(ids: readonly number[], runTokens: number, padded = false): Promise<Float32Array> {
    let logits: Float32Array = new Float32Array();
    for (let next = 0; next < ids.length; ) {
      if (this.used === this.#places) await this.#commit();
      const count = Math.min(runTokens, ids.length - next, this.#places - this.used);
      logits = await this.#read(ids.slice(next, next + count), padded);
      next += count;
    }
    return logits;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
  }
}
