/**
 * The policies over segmented streams: `paper` (EdgeInfinite, arXiv 2503.22196) and `streaming` (sinks and
 * window alone: StreamingLLM, arXiv 2309.17453). They differ by the linear memory and its gate; so does `infini`
 * (infini.ts).
 */

import { InvalidModelError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import { WeightReader } from "../graph/weights.ts";
import type { TensorMemory } from "../runtime/tensor-memory.ts";
import { type Adapter, designOf } from "./adapter.ts";
import { GateOpenings, gateOpeningName, writeNoOpening, writeOpening } from "./gate-openings.ts";
import {
  type AttentionGeometry,
  type ContextSettings,
  localCapacityTokens,
  memoryLayers,
} from "./geometry.ts";
import {
  buildLinearMemoryCommit,
  declareLinearMemory,
  LinearMemory,
  type UpdateRule,
  writeMemoryRead,
} from "./linear-memory.ts";
import { LocalAttentionWriter } from "./local-attention.ts";
import { localSwitches } from "./local-feeds.ts";
import type { AttentionWriter, MemoryPolicy, PolicyName } from "./policy.ts";
import { writeConvexFusion, writeReadGate } from "./read-gate.ts";
import {
  commitCountAt,
  createSegmentedCache,
  memoryActiveName,
  memorySwitch,
  restoreSegmentedState,
  SegmentedState,
} from "./segmented-state.ts";

/** Writes local attention alone. */
export function beginLocalAttention(b: GraphBuilder, geometry: AttentionGeometry): AttentionWriter {
  const local = new LocalAttentionWriter(b, geometry);
  return {
    positions: local.positions,
    attend: (layer, inputs) => local.attend(layer, inputs),
    finish: () => local.finish(),
  };
}

/** Writes the gate of a layer from its local output `[T, H*D]`: `[T, H]`, or `[1, H]` for all tokens. */
type WriteGate = (b: GraphBuilder, layer: number, attention: Value) => Value;

/** Writes local attention and, once the memory is active, its fusion with what the memory gives. */
export function beginGatedAttention(
  b: GraphBuilder,
  geometry: AttentionGeometry,
  writeGate: WriteGate,
): AttentionWriter {
  const local = beginLocalAttention(b, geometry);
  const active = b.input(memoryActiveName, "bool", []);
  const remembering = new Set(memoryLayers(geometry));
  const openings: Value[] = [];
  return {
    positions: local.positions,
    attend(layer, inputs) {
      const attention = local.attend(layer, inputs);
      if (!remembering.has(layer)) return attention;
      const memory = declareLinearMemory(b, geometry, layer);
      const [output = attention, opening = attention] = b.if(
        active,
        (then) => {
          const read = writeMemoryRead(then, geometry, inputs.query, memory).output;
          const gate = writeGate(then, layer, attention);
          return [writeConvexFusion(then, geometry, attention, read, gate), writeOpening(then, gate)];
        },
        (otherwise) => [
          otherwise.named(`base_attention.${layer}`, attention),
          writeNoOpening(otherwise, geometry.queryHeadCount),
        ],
      );
      openings.push(opening);
      return output;
    },
    finish: () => [...local.finish(), b.named(gateOpeningName, b.concat(openings, 1))],
  };
}

/**
 * Writes attention with an adapter's weights, all of which must find a place.
 * @param elsewhere names tensors that another graph takes.
 * @throws {@link InvalidModelError} naming a tensor that is missing, of another shape, or too much.
 */
export function beginWithAdapter(
  adapter: Adapter,
  begin: (weights: WeightReader) => AttentionWriter,
  elsewhere: readonly string[] = [],
): AttentionWriter {
  const where = `adapter ${adapter.name}`;
  const weights = new WeightReader(where, adapter.tensors);
  const writer = begin(weights);
  return {
    ...writer,
    finish() {
      const outputs = writer.finish();
      const [left] = weights.leftovers.filter((name) => !elsewhere.includes(name));
      if (left === undefined) return outputs;
      throw new InvalidModelError({
        where,
        what: "a tensor has no place in this checkpoint",
        got: left,
        remedy: "The adapter was probably trained for another model.",
      });
    },
  };
}

/** Says how a segmented policy remembers what leaves. */
export interface SegmentedMemory {
  readonly updateRule: UpdateRule;
  readonly beginAttention: MemoryPolicy["beginAttention"];
}

/** Creates a policy of sinks and window. @param linear what leaves goes there; forgotten where undefined. */
export function createSegmentedPolicy(
  name: PolicyName,
  geometry: AttentionGeometry,
  context: ContextSettings,
  linear: SegmentedMemory | undefined,
): MemoryPolicy {
  const { layerCount: L, keyValueHeadCount: K, queryHeadCount: H, headSize: D } = geometry;
  const remembers = linear !== undefined;
  const N = memoryLayers(geometry).length;
  const gateLayers = remembers ? N : 0;
  const usedAt = (length: number): number => length - commitCountAt(context, length) * context.segmentTokens;
  const arraySizes: MemoryPolicy["arraySizes"] = (lengthTokens) => {
    const local = L * K * usedAt(lengthTokens) * D;
    const float32 = "float32" as const;
    const sizes = [
      { name: "keys", length: local, dtype: float32 },
      { name: "values", length: local, dtype: float32 },
      { name: "sink_keys", length: L * K * context.sinkTokens * D, dtype: float32 },
      { name: "gate_sums", length: gateLayers * H, dtype: "float64" as const },
    ];
    if (!remembers) return sizes;
    const memory = [
      { name: "memory_matrix", length: N * K * D * D, dtype: float32 },
      { name: "memory_normalizer", length: N * K * D, dtype: float32 },
    ];
    return [...sizes, ...memory];
  };
  const createState = (memory?: TensorMemory): SegmentedState =>
    new SegmentedState(geometry, context, {
      lengthTokens: 0,
      cache: createSegmentedCache(geometry, context, memory),
      sinkKeys: new Float32Array(L * K * context.sinkTokens * D),
      memory: remembers ? new LinearMemory(geometry, memory) : undefined,
      openings: new GateOpenings(gateLayers, H),
    });
  const memoryBytes = remembers ? N * K * D * (D + 1) * 4 : 0;
  const localBytes = L * K * D * 4 * (2 * localCapacityTokens(context) + context.sinkTokens);
  return {
    name,
    maxLengthTokens: Number.POSITIVE_INFINITY,
    stateBytesAt: () => localBytes + memoryBytes + gateLayers * H * 8,
    beginAttention: linear?.beginAttention ?? ((b) => beginLocalAttention(b, geometry)),
    switches: (tokenCount, path) => ({
      ...localSwitches(tokenCount),
      ...(remembers && memorySwitch(path)),
    }),
    buildCommitGraph: () => linear && buildLinearMemoryCommit(geometry, context, linear.updateRule),
    createState,
    arraySizes,
    restoreState: (length, arrays, memory) =>
      restoreSegmentedState(geometry, context, { length, used: usedAt(length) }, arrays, memory),
  };
}

/**
 * Creates the policy of the paper: exact sinks and window, a gated linear memory behind them.
 * @throws {@link InvalidRequestError} for an adapter of another variant.
 */
export function createPaperPolicy(
  geometry: AttentionGeometry,
  context: ContextSettings,
  adapter: Adapter,
): MemoryPolicy {
  const { readGateRank } = designOf(adapter, "paper").linearMemory;
  return createSegmentedPolicy("paper", geometry, context, {
    updateRule: "linear",
    beginAttention: (b) =>
      beginWithAdapter(adapter, (weights) =>
        beginGatedAttention(b, geometry, (branch, layer, attention) =>
          writeReadGate(branch, geometry, weights, readGateRank, layer, attention),
        ),
      ),
  });
}

/** Creates the policy without a memory: what leaves the window is forgotten. */
export function createStreamingPolicy(geometry: AttentionGeometry, context: ContextSettings): MemoryPolicy {
  return createSegmentedPolicy("streaming", geometry, context, undefined);
}
