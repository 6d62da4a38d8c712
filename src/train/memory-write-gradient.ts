/**
 * From the gradients of the linear memory to those of what decides how tokens are written into it: learned features of
 * keys, and the write gate.
 *
 *   M_n = sum over commits j <= n of (w phi(K_j))^T V_j,   z_n alike,   w = sigmoid(write gate(h))
 *
 * Every commit adds to what was there, so that the gradient of what commit j wrote is the sum of those of M and z in all
 * segments behind it: the document is walked back, sums are added up, and each commit's writing is computed again from
 * the tokens that left. This is the whole gradient of what is written where keys, values and h are held fixed.
 */

import { differentiate, gradientName, upstreamName } from "../autodiff/differentiate.ts";
import { InternalError } from "../errors.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { freeConstants } from "../graph/free-constants.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { WeightReader } from "../graph/weights.ts";
import { type AttentionGeometry, type ContextSettings, memoryLayers } from "../memory/geometry.ts";
import { featureWeightName, makeLearnedFeatures } from "../memory/learned-features.ts";
import {
  matrixName,
  newMatrixName,
  newNormalizerName,
  normalizerName,
  writeElu1Features,
  writeMemoryUpdate,
} from "../memory/linear-memory.ts";
import type { Runtime, RuntimeSession } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { addGradients } from "./add-gradients.ts";
import { writeHeadNetwork } from "./head-network.ts";
import { addScaled, type NamedArrays, pickArrays, zerosLike } from "./parameters.ts";
import type { RunOutputs } from "./read-segments.ts";
import type { PartFollower, RecomputedPart } from "./recomputed-part.ts";
import { SlotRows } from "./slot-rows.ts";
import { rowSizeOf, type TokenOutput } from "./token-outputs.ts";
import { describeWeights, pickFeeds, type WeightTensors } from "./weight-tensors.ts";

const [hiddenInput, keysInput, valuesInput] = ["leaving_hidden", "leaving_keys", "leaving_values"];

/** Tells whether a tensor of an adapter decides how tokens are written into the linear memory. */
export const isMemoryWriteTensor = (name: string): boolean =>
  name.includes(".write_gate.") || name.includes(".feature_map.key.");

const hasWriteGate = (writes: WeightTensors): boolean =>
  [...writes.keys()].some((name) => name.includes(".write_gate."));

/**
 * Writes what one commit leaves of the memory, as the policy's commit graph does, from the T tokens a layer and head
 * that leave: their h `[N, K, T, E]`, and their keys and values, not rotated, `[N, K, T, D]`.
 */
export function buildMemoryWrite(
  geometry: AttentionGeometry,
  segmentTokens: number,
  writes: WeightTensors,
): Graph {
  const { keyValueHeadCount: K, headSize: D, hiddenSize: E } = geometry;
  const T = segmentTokens;
  const layers = memoryLayers(geometry);
  const b = new GraphBuilder("memory write");
  const weights = new WeightReader("weights in training", describeWeights(writes));
  const rows = (name: string, width: number): Value => b.input(name, "float32", [layers.length, K, T, width]);
  const [keys, values] = [rows(keysInput, D), rows(valuesInput, D)];
  const hidden = hasWriteGate(writes) ? rows(hiddenInput, E) : undefined;
  const outputs = layers.flatMap((layer, index) => {
    const own = (x: Value, width: number): Value => b.reshape(b.slice(x, 0, index, index + 1), [K, T, width]);
    const take = (part: string): Value => {
      const name = `layers.${layer}.write_gate.${part}`;
      return weights.take(b, name, writes.get(name)?.shape ?? []);
    };
    const shares =
      hidden === undefined ? undefined : b.sigmoid(writeHeadNetwork(b, geometry, own(hidden, E), T, take));
    const featureCount = writes.get(featureWeightName(layer, "key"))?.shape[1];
    const features =
      featureCount === undefined
        ? writeElu1Features
        : makeLearnedFeatures(geometry, weights, layer, "key", featureCount);
    const leaving = { keys: own(keys, D), values: own(values, D), ...(shares && { shares }) };
    return writeMemoryUpdate(b, geometry, layer, leaving, features, featureCount);
  });
  return freeConstants(b.finish(outputs), [...writes.keys()]);
}

/** Is a commit with what it wrote. */
interface Write {
  readonly feeds: Record<string, HostTensor>;
  /** Gradients of M and z in the segment behind it, by the names of their inputs; undefined where it has no loss. */
  gradients: NamedArrays | undefined;
}

/** Takes each head's own keys and values out of rows of all heads, `[N, K, T, 2, K, D]`. */
export function ownKeysValues(
  rows: Float32Array,
  { keyValueHeadCount: K, headSize: D }: AttentionGeometry,
  T: number,
): { readonly keys: Float32Array; readonly values: Float32Array } {
  const count = rows.length / (2 * K * D);
  const [keys, values] = [new Float32Array(count * D), new Float32Array(count * D)];
  for (let row = 0; row < count; row++) {
    const head = Math.floor(row / T) % K;
    const first = row * 2 * K * D + head * D;
    keys.set(rows.subarray(first, first + D), row * D);
    values.set(rows.subarray(first + K * D, first + (K + 1) * D), row * D);
  }
  return { keys, values };
}

/** Follows what one document writes. */
class WriteFollower implements PartFollower {
  readonly #geometry: AttentionGeometry;
  readonly #context: ContextSettings;
  readonly #rows: ReadonlyMap<TokenOutput, SlotRows>;
  readonly #writes: Write[] = [];
  /** Adds the gradients of what a commit wrote, given those of M and z behind it. */
  readonly #add: (feeds: Record<string, HostTensor>) => Promise<void>;

  constructor(
    geometry: AttentionGeometry,
    context: ContextSettings,
    outputs: readonly TokenOutput[],
    add: (feeds: Record<string, HostTensor>) => Promise<void>,
  ) {
    this.#geometry = geometry;
    this.#context = context;
    this.#add = add;
    const [layerCount, headCount] = [memoryLayers(geometry).length, geometry.keyValueHeadCount];
    this.#rows = new Map(
      outputs.map((output) => {
        const rowSize = rowSizeOf(output, geometry);
        return [output, new SlotRows({ layerCount, headCount, rowSize, context })];
      }),
    );
  }

  onRun(outputs: RunOutputs, count: number): void {
    for (const [name, rows] of this.#rows) rows.absorb(hostFloats(outputs[name], name), count);
  }

  onCommit(chosen: Int32Array): void {
    const { keyValueHeadCount: K, headSize: D, hiddenSize: E } = this.#geometry;
    const { segmentTokens: T } = this.#context;
    const N = memoryLayers(this.#geometry).length;
    const feeds: Record<string, HostTensor> = {};
    for (const [name, rows] of this.#rows) {
      const left = rows.leaving(chosen);
      rows.commit(chosen);
      if (name === "token_hidden") {
        feeds[hiddenInput] = hostTensor("float32", [N, K, T, E], left);
        continue;
      }
      const { keys, values } = ownKeysValues(left, this.#geometry, T);
      feeds[keysInput] = hostTensor("float32", [N, K, T, D], keys);
      feeds[valuesInput] = hostTensor("float32", [N, K, T, D], values);
    }
    this.#writes.push({ feeds, gradients: undefined });
  }

  async onLearned(outputs: RunOutputs): Promise<void> {
    const last = this.#writes.at(-1);
    if (last === undefined) throw new InternalError({ where: "memory writes", what: "nothing was written" });
    last.gradients = new Map(
      memoryNames(this.#geometry).map(({ input }) => [
        input,
        hostFloats(outputs[gradientName(input)], input),
      ]),
    );
  }

  async finish(): Promise<void> {
    const { keyValueHeadCount: K } = this.#geometry;
    let sums: NamedArrays | undefined;
    for (const { feeds, gradients } of this.#writes.toReversed()) {
      if (gradients !== undefined) {
        sums ??= zerosLike(gradients);
        addScaled(sums, gradients, 1);
      }
      // Behind the last segment with a loss nothing is to be learned.
      if (sums === undefined) continue;
      const all = sums;
      const upstream = memoryNames(this.#geometry).map(({ input, written, width }) => {
        const data = all.get(input) ?? new Float32Array();
        return [upstreamName(written), hostTensor("float32", [K, data.length / (K * width), width], data)];
      });
      await this.#add({ ...feeds, ...Object.fromEntries(upstream) });
    }
  }
}

/** Lists M and z of all layers: their inputs, what a commit writes, and their width. */
function memoryNames(
  geometry: AttentionGeometry,
): readonly { readonly input: string; readonly written: string; readonly width: number }[] {
  return memoryLayers(geometry).flatMap((layer) => [
    { input: matrixName(layer), written: newMatrixName(layer), width: geometry.headSize },
    { input: normalizerName(layer), written: newNormalizerName(layer), width: 1 },
  ]);
}

/**
 * Makes what hands gradients on to what decides how tokens are written; graphs are compiled for a length of segments
 * when it is first met.
 * @param writes the tensors of key features and write gates.
 */
export function createMemoryWriteGradient(
  geometry: AttentionGeometry,
  writes: WeightTensors,
  runtime: Runtime,
): RecomputedPart {
  const names = [...writes.keys()];
  const fixed = Object.fromEntries(writes);
  const memory = memoryNames(geometry);
  const sessions = new Map<number, Promise<RuntimeSession>>();
  const compile = (segmentTokens: number): Promise<RuntimeSession> => {
    const graph = differentiate(buildMemoryWrite(geometry, segmentTokens, writes), {
      upstream: memory.map(({ written }) => written),
      parameters: names,
      outputs: [],
    });
    return runtime.createSession(graph);
  };
  const tokenOutputs: readonly TokenOutput[] = [
    "token_keys_values",
    ...(hasWriteGate(writes) ? (["token_hidden"] as const) : []),
  ];
  return {
    owns: isMemoryWriteTensor,
    tokenOutputs,
    wanted: memory.map(({ input }) => input),
    follow(context, sums) {
      const own: NamedArrays = pickArrays(sums, names);
      return new WriteFollower(geometry, context, tokenOutputs, async (feeds) => {
        const T = context.segmentTokens;
        const compiled = sessions.get(T) ?? compile(T);
        sessions.set(T, compiled);
        const session = await compiled;
        addGradients(own, await session.run(pickFeeds(session, fixed, feeds)));
      });
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions.values()) await (await session)[Symbol.asyncDispose]();
    },
  };
}
