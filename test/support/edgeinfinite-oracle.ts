/**
 * The method in its slowest and plainest form: one token at a time, in float64, with loops. The oracle of tests.
 *
 * It keeps keys as they were projected and rotates them anew, at in-cache positions, whenever they are read: a
 * sink at its index, local token n at n - T * commits. It shares no code with the engine. Beyond the definition
 * (reference of EdgeInfinite, arXiv 2503.22196) it knows biases, norms of queries and keys, and an output head.
 */

import { openCheckpointWeights } from "../../src/files/checkpoint-files.ts";
import type { ModelFolder } from "../../src/files/model-folder.ts";
import { parseSafetensorsHeader, readTensor, type TensorEntry } from "../../src/files/safetensors.ts";
import { decodeBfloat16, decodeFloat16 } from "../../src/tensor/half-float.ts";

type Weights = ReadonlyMap<string, Float64Array>;

/** Is a checkpoint, and an adapter or none, in float64. */
export interface OracleModel {
  readonly layerCount: number;
  readonly queryHeadCount: number;
  readonly keyValueHeadCount: number;
  readonly headSize: number;
  readonly epsilon: number;
  /** Radians per position of each pair, `[D/2]`. */
  readonly inverseFrequencies: readonly number[];
  readonly weights: Weights;
  readonly gates: Weights | undefined;
}

/** Sizes the cache; a window of Infinity never commits. */
export interface OracleContext {
  readonly sinkTokens: number;
  readonly windowTokens: number;
  readonly segmentTokens: number;
}

async function readAll(entries: ReadonlyMap<string, TensorEntry>): Promise<Weights> {
  const all = new Map<string, Float64Array>();
  for (const [name, entry] of entries) {
    const { data } = await readTensor(entry);
    if (data instanceof Float32Array) all.set(name, Float64Array.from(data));
    else if (data instanceof Uint16Array) {
      all.set(
        name,
        Float64Array.from(entry.dtype === "float16" ? decodeFloat16(data) : decodeBfloat16(data)),
      );
    } else throw new Error(`oracle: ${name} is ${entry.dtype}`);
  }
  return all;
}

/** Reads a model for the oracle; frequencies are theta^(-2i/D) unless given. */
export async function readOracleModel(
  folder: ModelFolder,
  adapter?: ModelFolder,
  inverseFrequencies?: readonly number[],
): Promise<OracleModel> {
  const config = (await folder.readJson("config.json")) as Record<string, number>;
  const number = (field: string): number => config[field] ?? Number.NaN;
  await using checkpoint = await openCheckpointWeights(folder);
  const gates =
    adapter === undefined
      ? undefined
      : (await parseSafetensorsHeader(await adapter.open("adapter_model.safetensors"))).tensors;
  const half = number("head_dim") / 2;
  return {
    layerCount: number("num_hidden_layers"),
    queryHeadCount: number("num_attention_heads"),
    keyValueHeadCount: number("num_key_value_heads"),
    headSize: number("head_dim"),
    epsilon: number("rms_norm_eps"),
    inverseFrequencies:
      inverseFrequencies ?? Array.from({ length: half }, (_, pair) => number("rope_theta") ** (-pair / half)),
    weights: await readAll(checkpoint.tensors),
    gates: gates === undefined ? undefined : await readAll(gates),
  };
}

const at = (vector: ArrayLike<number>, index: number): number => vector[index] ?? Number.NaN;
const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += at(a, index) * at(b, index);
  return sum;
};
const add = (a: readonly number[], b: readonly number[]): number[] => a.map((x, i) => x + at(b, i));
const silu = (x: number): number => x / (1 + Math.exp(-x));
const phi = (x: number): number => (x > 0 ? x : Math.expm1(x)) + 1;

function multiply(matrix: Float64Array, x: readonly number[], bias?: Float64Array): number[] {
  return Array.from({ length: matrix.length / x.length }, (_, row) => {
    const start = row * x.length;
    return dot(matrix.subarray(start, start + x.length), x) + (bias === undefined ? 0 : at(bias, row));
  });
}

function rmsNorm(x: readonly number[], weight: Float64Array, epsilon: number): number[] {
  const scale = 1 / Math.sqrt(dot(x, x) / x.length + epsilon);
  return x.map((value, index) => value * scale * at(weight, index));
}

function splitHeads(flat: readonly number[], headSize: number): number[][] {
  return Array.from({ length: flat.length / headSize }, (_, head) =>
    flat.slice(head * headSize, (head + 1) * headSize),
  );
}

function rotate(x: readonly number[], position: number, frequencies: readonly number[]): number[] {
  const half = frequencies.length;
  return x.map((value, index) => {
    const angle = position * at(frequencies, index % half);
    const other = index < half ? -at(x, index + half) : at(x, index - half);
    return value * Math.cos(angle) + other * Math.sin(angle);
  });
}

/** Is one token's key and value of each key/value head, and its index in the stream. */
interface Entry {
  readonly index: number;
  readonly keys: readonly (readonly number[])[];
  readonly values: readonly (readonly number[])[];
}

/** Is a layer's state: exact tokens, and per key/value head M `[D][D]` and z `[D]`. */
interface LayerState {
  entries: Entry[];
  memory: { M: number[][]; z: number[] }[] | undefined;
}

/** Reads a stream token by token. */
export class StreamOracle {
  readonly #model: OracleModel;
  readonly #context: OracleContext;
  readonly #layers: LayerState[];
  #count = 0;
  commitCount = 0;

  constructor(model: OracleModel, context: OracleContext) {
    this.#model = model;
    this.#context = context;
    this.#layers = Array.from({ length: model.layerCount }, () => ({ entries: [], memory: undefined }));
  }

  #weight(name: string): Float64Array {
    const weight = this.#model.weights.get(name);
    if (weight === undefined) throw new Error(`oracle: no tensor ${name}`);
    return weight;
  }

  #project(prefix: string, x: readonly number[]): number[] {
    return multiply(this.#weight(`${prefix}.weight`), x, this.#model.weights.get(`${prefix}.bias`));
  }

  #heads(prefix: string, name: string, x: readonly number[]): number[][] {
    const heads = splitHeads(this.#project(`${prefix}.${name}_proj`, x), this.#model.headSize);
    const norm = this.#model.weights.get(`${prefix}.${name}_norm.weight`);
    return norm === undefined ? heads : heads.map((head) => rmsNorm(head, norm, this.#model.epsilon));
  }

  #place(index: number): number {
    const { sinkTokens, segmentTokens } = this.#context;
    return index < sinkTokens ? index : index - segmentTokens * this.commitCount;
  }

  #commit(): void {
    const { sinkTokens, segmentTokens } = this.#context;
    const { keyValueHeadCount: K, headSize: D } = this.#model;
    for (const layer of this.#layers) {
      layer.memory ??= Array.from({ length: K }, () => ({
        M: Array.from({ length: D }, () => new Array<number>(D).fill(0)),
        z: new Array<number>(D).fill(0),
      }));
      for (const { keys, values } of layer.entries.splice(sinkTokens, segmentTokens)) {
        layer.memory = layer.memory.map(({ M, z }, head) => {
          const features = (keys[head] ?? []).map(phi);
          const value = values[head] ?? [];
          return {
            M: M.map((row, i) => row.map((sum, j) => sum + at(features, i) * at(value, j))),
            z: z.map((sum, i) => sum + at(features, i)),
          };
        });
      }
    }
    this.commitCount += 1;
  }

  #attendLocally(entries: readonly Entry[], query: readonly number[], head: number): number[] {
    const { inverseFrequencies, headSize } = this.#model;
    const rotated = rotate(query, this.#place(this.#count), inverseFrequencies);
    const scores = entries.map(
      ({ keys, index }) =>
        dot(rotated, rotate(keys[head] ?? [], this.#place(index), inverseFrequencies)) / Math.sqrt(headSize),
    );
    const top = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - top));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return query.map((_, i) =>
      entries.reduce((sum, { values }, n) => sum + (at(weights, n) / total) * at(values[head] ?? [], i), 0),
    );
  }

  /** Weighs the heads' local outputs against what the memory gives, by the gate. */
  #fuse(layer: number, state: LayerState, queries: readonly number[][], local: number[][]): number[][] {
    const { gates, queryHeadCount, keyValueHeadCount } = this.#model;
    if (gates === undefined || state.memory === undefined) return local;
    const gate = (name: string): Float64Array => {
      const tensor = gates.get(`layers.${layer}.read_gate.${name}`);
      if (tensor === undefined) throw new Error(`oracle: no gate tensor ${name}`);
      return tensor;
    };
    const hidden = multiply(gate("down.weight"), local.flat(), gate("down.bias")).map(silu);
    const open = multiply(gate("up.weight"), hidden, gate("up.bias")).map((x) => 1 / (1 + Math.exp(-x)));
    return local.map((output, head) => {
      const features = (queries[head] ?? []).map(phi);
      const memory = state.memory?.[Math.floor(head / (queryHeadCount / keyValueHeadCount))];
      const total = dot(features, memory?.z ?? []);
      const g = at(open, head);
      return output.map((value, j) => {
        const read = features.reduce((sum, feature, i) => sum + feature * at(memory?.M[i] ?? [], j), 0);
        return (1 - g) * value + (g * read) / total;
      });
    });
  }

  /** Reads one token; gives the logits after it. */
  step(tokenId: number): number[] {
    const { sinkTokens, windowTokens, segmentTokens } = this.#context;
    const { layerCount, queryHeadCount: H, keyValueHeadCount: K, epsilon, weights } = this.#model;
    const capacity = sinkTokens + windowTokens + segmentTokens;
    if (this.#count - segmentTokens * this.commitCount >= capacity) this.#commit();
    const embedding = this.#weight("model.embed_tokens.weight");
    const E = this.#weight("model.norm.weight").length;
    let x = Array.from(embedding.subarray(tokenId * E, (tokenId + 1) * E));
    for (let layer = 0; layer < layerCount; layer++) {
      const prefix = `model.layers.${layer}`;
      const state = this.#layers[layer] ?? { entries: [], memory: undefined };
      const h = rmsNorm(x, this.#weight(`${prefix}.input_layernorm.weight`), epsilon);
      const queries = this.#heads(`${prefix}.self_attn`, "q", h);
      const keys = this.#heads(`${prefix}.self_attn`, "k", h);
      const values = this.#heads(`${prefix}.self_attn`, "v", h);
      state.entries.push({ index: this.#count, keys, values });
      const local = queries.map((query, head) =>
        this.#attendLocally(state.entries, query, Math.floor(head / (H / K))),
      );
      const heads = this.#fuse(layer, state, queries, local);
      x = add(x, this.#project(`${prefix}.self_attn.o_proj`, heads.flat()));
      const n = rmsNorm(x, this.#weight(`${prefix}.post_attention_layernorm.weight`), epsilon);
      const up = this.#project(`${prefix}.mlp.up_proj`, n);
      const gated = this.#project(`${prefix}.mlp.gate_proj`, n).map((value, i) => silu(value) * at(up, i));
      x = add(x, this.#project(`${prefix}.mlp.down_proj`, gated));
    }
    this.#count += 1;
    const last = rmsNorm(x, this.#weight("model.norm.weight"), epsilon);
    return multiply(weights.get("lm_head.weight") ?? embedding, last);
  }
}
