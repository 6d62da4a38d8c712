/**
 * From the gradient of the biases of slots to that of the network that made them.
 *
 *   bias[h, s] = up_k . silu(down x_s + b) + b'_k + c_h,   x_s = the h of the token in slot s of key/value head k
 *
 * The same network as in inference, over tokens that differ from head to head.
 */

import { differentiate, gradientName, upstreamName } from "../autodiff/differentiate.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { type AttentionGeometry, memoryLayers } from "../memory/geometry.ts";
import { slotBiasName } from "../memory/slot-attention.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { addGradients } from "./add-gradients.ts";
import { writeHeadNetwork } from "./head-network.ts";
import { pickArrays } from "./parameters.ts";
import type { RecomputedPart } from "./recomputed-part.ts";
import { SlotRows } from "./slot-rows.ts";
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
    const own = b.slice(hidden, 0, index, index + 1);
    const ofToken = b.reshape(writeHeadNetwork(b, geometry, own, B, take), [K, 1, B]);
    const all = b.add(ofToken, b.reshape(take("head.bias"), [K, group, 1]));
    return b.reshape(all, [1, K, group, B]);
  });
  return b.finish([b.named(slotBiasName, b.concat(biases, 0))]);
}

/** Takes the gradients of slots out of those of all places, `[N, K, H/K, P]`, from the place S on. */
function ofSlotsAlone(upstream: Float32Array, rowCount: number, S: number, B: number): Float32Array {
  const places = upstream.length / rowCount;
  const ofSlots = new Float32Array(rowCount * B);
  for (let row = 0; row < rowCount; row++) {
    const first = row * places + S;
    ofSlots.set(upstream.subarray(first, first + B), row * B);
  }
  return ofSlots;
}

/**
 * Compiles the network with its gradient, for one number of slots.
 * @param network its tensors: `layers.{i}.slot_bias.*`.
 */
export async function createSlotBiasGradient(
  geometry: AttentionGeometry,
  slotTokens: number,
  network: WeightTensors,
  runtime: Runtime,
): Promise<RecomputedPart> {
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
    owns: isSlotBiasTensor,
    tokenOutputs: ["token_hidden"],
    wanted: [slotBiasName],
    follow(context, sums) {
      const rows = new SlotRows({ layerCount: N, headCount: K, rowSize: E, context });
      const own = pickArrays(sums, names);
      return {
        onRun: ({ token_hidden }, count) => rows.absorb(hostFloats(token_hidden, "token_hidden"), count),
        onCommit: (chosen) => rows.commit(chosen),
        async onLearned(outputs) {
          if (rows.slots === undefined) return;
          const upstream = hostFloats(outputs[gradientName(slotBiasName)], slotBiasName);
          const ofSlots = ofSlotsAlone(upstream, N * H, context.sinkTokens, B);
          const feeds = {
            [hiddenInput]: hostTensor("float32", [N, K, B, E], rows.slots),
            [upstreamName(slotBiasName)]: hostTensor("float32", [N, K, H / K, B], ofSlots),
          };
          addGradients(own, await session.run(pickFeeds(session, fixed, feeds)));
        },
        finish: async () => {},
      };
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}
