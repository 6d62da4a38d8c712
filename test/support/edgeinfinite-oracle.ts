/**
 * The method in its slowest and plainest form: one token at a time, in float64, with loops. The oracle of tests.
 *
 * It keeps keys as they were projected and rotates them anew, at in-cache positions, whenever they are read: a
 * sink at its index, local token n at n - T * commits. A layer with a window attends to in-cache positions within
 * it, and has no memory. It shares no code with the engine; what differs between families is in oracles/.
 */

import { openCheckpointWeights } from "../../src/files/checkpoint-files.ts";
import type { ModelFolder } from "../../src/files/model-folder.ts";
import { parseSafetensorsHeader, readTensor, type TensorEntry } from "../../src/files/safetensors.ts";
import { decodeBfloat16, decodeFloat16 } from "../../src/tensor/half-float.ts";
import { type MakeOracle, OracleConfig, type OracleDecoder } from "./oracles/decoder.ts";
import { at, dot, multiply, silu, type Weights } from "./oracles/dense.ts";
import { gemma3TextOracle } from "./oracles/gemma3-text.ts";
import { gptNeoxOracle } from "./oracles/gpt-neox.ts";
import { gpt2Oracle } from "./oracles/gpt2.ts";
import { bluelmOracle, graniteOracle, makeLlamaOracle, smollm3Oracle } from "./oracles/llama.ts";
import { olmo2Oracle } from "./oracles/olmo2.ts";
import { phi3Oracle } from "./oracles/phi3.ts";

/** Is a checkpoint, and an adapter or none, in float64. */
export interface OracleModel {
  readonly decoder: OracleDecoder;
  readonly gates: Weights | undefined;
  /** As the adapter says; undefined without one. */
  readonly fusion?: string;
  /** As the adapter says; undefined without one. */
  readonly scoreKernel?: number;
  /** As the adapter says; undefined without one. */
  readonly updateRule?: string;
}

/** Sizes the cache; a window of Infinity never commits. */
export interface OracleContext {
  readonly sinkTokens: number;
  /** Nothing to {@link StreamOracle}. */
  readonly slotTokens?: number;
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

/** The oracles of families that Llama's does not serve. */
const oracles: Readonly<Record<string, MakeOracle>> = {
  smollm3: smollm3Oracle,
  olmo2: olmo2Oracle,
  granite: graniteOracle,
  phi3: phi3Oracle,
  gemma3_text: gemma3TextOracle,
  gpt_neox: gptNeoxOracle,
  BlueLM: bluelmOracle,
  gpt2: gpt2Oracle,
};

/** Reads a model for the oracle; frequencies of a Llama are theta^(-2i/D) unless given. */
export async function readOracleModel(
  folder: ModelFolder,
  adapter?: ModelFolder,
  frequencies?: readonly number[],
): Promise<OracleModel> {
  const json = (await folder.readJson("config.json")) as Record<string, unknown>;
  await using checkpoint = await openCheckpointWeights(folder);
  const gates =
    adapter === undefined
      ? undefined
      : (await parseSafetensorsHeader(await adapter.open("adapter_model.safetensors"))).tensors;
  const make =
    oracles[String(json.model_type)] ?? makeLlamaOracle(() => (frequencies ? { frequencies } : {}));
  const adapterJson = (await adapter?.readJson("adapter_config.json")) as
    | { fusion?: string; score_kernel?: number; update_rule?: string }
    | undefined;
  return {
    decoder: make(new OracleConfig(json), await readAll(checkpoint.tensors)),
    gates: gates === undefined ? undefined : await readAll(gates),
    ...(adapterJson?.fusion !== undefined && { fusion: adapterJson.fusion }),
    ...(adapterJson?.score_kernel !== undefined && { scoreKernel: adapterJson.score_kernel }),
    ...(adapterJson?.update_rule !== undefined && { updateRule: adapterJson.update_rule }),
  };
}

const phi = (x: number): number => (x > 0 ? x : Math.expm1(x)) + 1;

/** Is one token's key and value of each key/value head, and its index in the stream. */
interface Entry {
  readonly index: number;
  readonly keys: readonly (readonly number[])[];
  readonly values: readonly (readonly number[])[];
}

/** Is what a key/value head remembers: M `[D][D]` and z `[D]`. */
interface HeadMemory {
  readonly M: number[][];
  readonly z: number[];
}

/** Gives what a memory holds for features: their weighted mean of it, and zeros while it is empty. */
function recall(features: readonly number[], memory: HeadMemory | undefined): number[] {
  const { M, z } = memory ?? { M: [], z: [] };
  const total = dot(features, z);
  const column = (j: number): number =>
    features.reduce((sum, feature, i) => sum + feature * at(M[i] ?? [], j), 0);
  return features.map((_, j) => (total === 0 ? 0 : column(j) / total));
}

/** Is a layer's state: exact tokens, and what each key/value head remembers. */
interface LayerState {
  entries: Entry[];
  memory: HeadMemory[] | undefined;
}

/** Reads a stream token by token. */
export class StreamOracle {
  readonly #decoder: OracleDecoder;
  readonly #gates: Weights | undefined;
  readonly #context: OracleContext;
  readonly #isDelta: boolean;
  readonly #layers: LayerState[];
  #count = 0;
  commitCount = 0;

  constructor({ decoder, gates, updateRule }: OracleModel, context: OracleContext) {
    this.#isDelta = updateRule === "delta";
    this.#decoder = decoder;
    this.#gates = gates;
    this.#context = context;
    this.#layers = Array.from({ length: decoder.layerCount }, () => ({ entries: [], memory: undefined }));
  }

  #place(index: number): number {
    const { sinkTokens, segmentTokens } = this.#context;
    return index < sinkTokens ? index : index - segmentTokens * this.commitCount;
  }

  #commit(): void {
    const { sinkTokens, segmentTokens } = this.#context;
    const { keyValueHeadCount: K, headSize: D } = this.#decoder;
    for (const layer of this.#layers) {
      layer.memory ??= Array.from({ length: K }, () => ({
        M: Array.from({ length: D }, () => new Array<number>(D).fill(0)),
        z: new Array<number>(D).fill(0),
      }));
      // By the delta rule all tokens of a commit are told from what there was before it.
      const before = layer.memory;
      for (const { keys, values } of layer.entries.splice(sinkTokens, segmentTokens)) {
        layer.memory = layer.memory.map(({ M, z }, head) => {
          const features = (keys[head] ?? []).map(phi);
          const known = this.#isDelta ? recall(features, before[head]) : [];
          const value = (values[head] ?? []).map((x, j) => x - (known[j] ?? 0));
          return {
            M: M.map((row, i) => row.map((sum, j) => sum + at(features, i) * at(value, j))),
            z: z.map((sum, i) => sum + at(features, i)),
          };
        });
      }
    }
    this.commitCount += 1;
  }

  #attendLocally(layer: number, query: readonly number[], head: number): number[] {
    const { decoder, position } = { decoder: this.#decoder, position: this.#place(this.#count) };
    const rotated = decoder.rotate(layer, query, position);
    const entries = (this.#layers[layer]?.entries ?? []).filter(
      ({ index }) => position - this.#place(index) < decoder.windowTokens(layer),
    );
    const scores = entries.map(
      ({ keys, index }) =>
        dot(rotated, decoder.rotate(layer, keys[head] ?? [], this.#place(index))) * decoder.scoreScale,
    );
    const top = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - top));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return query.map((_, i) =>
      entries.reduce((sum, { values }, n) => sum + (at(weights, n) / total) * at(values[head] ?? [], i), 0),
    );
  }

  /** Weighs the heads' local outputs against what the memory gives, by the gate. */
  #fuse(layer: number, queries: readonly (readonly number[])[], local: number[][]): number[][] {
    const { queryHeadCount, keyValueHeadCount } = this.#decoder;
    const gates = this.#gates;
    const memories = this.#layers[layer]?.memory;
    const isLocal = this.#decoder.windowTokens(layer) !== Number.POSITIVE_INFINITY;
    if (gates === undefined || memories === undefined || isLocal) return local;
    const gate = (name: string): Float64Array => {
      const tensor = gates.get(`layers.${layer}.read_gate.${name}`);
      if (tensor === undefined) throw new Error(`oracle: no gate tensor ${name}`);
      return tensor;
    };
    const logits = (): number[] => {
      const hidden = multiply(gate("down.weight"), local.flat(), gate("down.bias")).map(silu);
      return multiply(gate("up.weight"), hidden, gate("up.bias"));
    };
    const isScalar = gates.has(`layers.${layer}.read_gate.beta`);
    const open = (isScalar ? [...gate("beta")] : logits()).map((x) => 1 / (1 + Math.exp(-x)));
    return local.map((output, head) => {
      const features = (queries[head] ?? []).map(phi);
      const read = recall(features, memories[Math.floor(head / (queryHeadCount / keyValueHeadCount))]);
      const g = at(open, head);
      return output.map((value, j) => (1 - g) * value + g * at(read, j));
    });
  }

  /** Reads one token; gives the logits after it. */
  step(tokenId: number): number[] {
    const { sinkTokens, windowTokens, segmentTokens } = this.#context;
    const { layerCount, queryHeadCount: H, keyValueHeadCount: K } = this.#decoder;
    const capacity = sinkTokens + windowTokens + segmentTokens;
    if (this.#count - segmentTokens * this.commitCount >= capacity) this.#commit();
    let x = this.#decoder.embed(tokenId, this.#place(this.#count));
    for (let layer = 0; layer < layerCount; layer++) {
      x = this.#decoder.runLayer(layer, x, (queries, keys, values) => {
        this.#layers[layer]?.entries.push({ index: this.#count, keys, values });
        const local = queries.map((query, head) =>
          this.#attendLocally(layer, query, Math.floor(head / (H / K))),
        );
        return this.#fuse(layer, queries, local);
      });
    }
    this.#count += 1;
    return this.#decoder.logits(x);
  }
}
