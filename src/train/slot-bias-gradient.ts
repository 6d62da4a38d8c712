/**
 * From the gradient of the biases of slots to that of the network that made them.
 *
 *   bias[h, s] = up_k . silu(down x_s + b) + b'_k + c_h,   x_s = the h of the token in slot s of key/value head k
 *
 * The same network as in inference, over tokens that differ from head to head.
 */

import { differentiate, upstreamName } from "../autodiff/differentiate.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { type AttentionGeometry, memoryLayers } from "../memory/geometry.ts";
import { slotBiasName } from "../memory/slot-attention.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { addGradients } from "./add-gradients.ts";
import type { NamedArrays } from "./parameters.ts";
import { pickFeeds, type WeightTensors } from "./weight-tensors.ts";

const hiddenInput = "slot_hidden";

/** Tells whether a tensor of an adapter is one of the network of slot biases. */
export const isSlotBiasTensor = (name: string): boolean => name.includes(".slot_bias.");

/** Writes the biases of all slots, `[N, K, H/K, B]`, from their h `[N, K, B, E]`. */
export function buildSlotBias(
  geometry: AttentionGeometry,
  slotTokens: number,
  network: WeightTensors,
): Graph {
  const { hiddenSize: E, keyValueHeadCount: K, queryHeadCount: H } = geometry;
  const [B, group] = [slotTokens, H / K];
  const layers = memoryLayers(geometry);
  const b = new GraphBuilder("slot bias");
  const hidden = b.input(hiddenInput, "float32", [layers.length, K, B, E]);
  const biases = layers.map((layer, index): Value => {
    const take = (part: string): Value => {
      const name = `layers.${layer}.slot_bias.${part}`;
      return b.input(name, "float32", network.get(name)?.shape ?? []);
    };
    const up = take("up.weight");
    const own = b.reshape(b.slice(hidden, 0, index, index + 1), [K * B, E]);
    const inner = b.silu(b.linear(own, take("down.weight"), take("down.bias")));
    const rank = Number(up.shape[1]);
    const product = b.matMul(b.reshape(inner, [K, B, rank]), b.reshape(up, [K, rank, 1]));
    const ofToken = b.add(b.reshape(product, [K, 1, B]), b.reshape(take("up.bias"), [K, 1, 1]));
    const all = b.add(ofToken, b.reshape(take("head.bias"), [K, group, 1]));
    return b.reshape(all, [1, K, group, B]);
  });
  return b.finish([b.named(slotBiasName, b.concat(biases, 0))]);
}

/** Hands gradients on to the network. */
export interface SlotBiasGradient extends AsyncDisposable {
  /**
   * Adds the gradient of the network's tensors to the sums.
   * @param hidden of the tokens in slots, `[N, K, B, E]`.
   * @param upstream gradient of the biases of all places, `[N, K, H/K, P]`.
   * @param firstSlot S: the place of the first slot.
   */
  add(sums: NamedArrays, hidden: Float32Array, upstream: Float32Array, firstSlot: number): Promise<void>;
}

/** Compiles the network with its gradient, for one number of slots. */
export async function createSlotBiasGradient(
  geometry: AttentionGeometry,
  slotTokens: number,
  network: WeightTensors,
  runtime: Runtime,
): Promise<SlotBiasGradient> {
  const { hiddenSize: E, keyValueHeadCount: K, queryHeadCount: H } = geometry;
  const [N, B] = [memoryLayers(geometry).length, slotTokens];
  const names = [...network.keys()];
  const graph = differentiate(buildSlotBias(geometry, B, network), {
    upstream: [slotBiasName],
    parameters: names,
    outputs: [],
  });
  const session = await runtime.createSession(graph);
  const fixed = Object.fromEntries(network);
  return {
    async add(sums, hidden, upstream, firstSlot) {
      const places = upstream.length / (N * H);
      const ofSlots = new Float32Array(N * H * B);
      for (let row = 0; row < N * H; row++) {
        const first = row * places + firstSlot;
        ofSlots.set(upstream.subarray(first, first + B), row * B);
      }
      const feeds = {
        [hiddenInput]: hostTensor("float32", [N, K, B, E], hidden),
        [upstreamName(slotBiasName)]: hostTensor("float32", [N, K, H / K, B], ofSlots),
      };
      const results = await session.run(pickFeeds(session, fixed, feeds));
      const own = new Map(names.map((name) => [name, sums.get(name) ?? new Float32Array()]));
      addGradients(own, results);
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}
