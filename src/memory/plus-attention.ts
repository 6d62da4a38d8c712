/**
 * The attention of the policy `plus`: exact over sinks, slots, window and segment, and from the first commit on with
 * the slots' bias and with what the linear memory gives.
 *
 *   convex               out = A + g (A_mem - A),   g = sigmoid(r)
 *   shared normalizer    the same with g = sigmoid(r + log(phi(q) z) - log Z): phi(q) z joins the softmax's
 *                        denominator Z, scaled by e^r
 *
 * r is the read gate before its sigmoid. Until the first commit none of it is evaluated.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import type { WeightReader } from "../graph/weights.ts";
import type { LinearMemoryDesign } from "./adapter.ts";
import { gateOpeningName, writeNoOpening, writeOpening } from "./gate-openings.ts";
import { type AttentionGeometry, memoryLayers } from "./geometry.ts";
import { makeLearnedFeatures } from "./learned-features.ts";
import { declareLinearMemory, writeElu1Features, writeMemoryRead } from "./linear-memory.ts";
import {
  type AttentionParts,
  LocalAttentionWriter,
  tokensSymbol,
  writeAttention,
} from "./local-attention.ts";
import type { AttentionInputs, AttentionWriter } from "./policy.ts";
import { writeConvexFusion, writeReadGateLogit } from "./read-gate.ts";
import { memoryActiveName } from "./segmented-state.ts";
import { SlotAttentionWriter } from "./slot-attention.ts";

/** Says what there is beyond slots. */
export interface PlusAttentionDesign {
  readonly hasSlotBias: boolean;
  readonly linearMemory: LinearMemoryDesign | undefined;
}

class PlusAttentionWriter implements AttentionWriter {
  readonly #b: GraphBuilder;
  readonly #geometry: AttentionGeometry;
  readonly #weights: WeightReader;
  readonly #memory: LinearMemoryDesign | undefined;
  readonly #slotLayers: readonly number[];
  readonly #local: LocalAttentionWriter;
  readonly #active: Value;
  readonly #slots: SlotAttentionWriter;
  readonly #openings: Value[] = [];

  constructor(
    b: GraphBuilder,
    geometry: AttentionGeometry,
    weights: WeightReader,
    design: PlusAttentionDesign,
  ) {
    this.#b = b;
    this.#geometry = geometry;
    this.#weights = weights;
    this.#memory = design.linearMemory;
    this.#slotLayers = memoryLayers(geometry);
    this.#local = new LocalAttentionWriter(b, geometry);
    this.#active = b.input(memoryActiveName, "bool", []);
    this.#slots = new SlotAttentionWriter(b, geometry, {
      hasBias: design.hasSlotBias,
      hasLogSum: design.linearMemory?.fusion === "shared-normalizer",
    });
  }

  get positions(): Value | undefined {
    return this.#local.positions;
  }

  attend(layer: number, inputs: AttentionInputs): Value {
    if (!this.#slotLayers.includes(layer)) return this.#local.attend(layer, inputs);
    const [output = inputs.query, opening] = this.#local.attendBy(layer, inputs, (parts, names) =>
      this.#write(layer, inputs, parts, names),
    );
    if (opening !== undefined) this.#openings.push(opening);
    return output;
  }

  #write(
    layer: number,
    inputs: AttentionInputs,
    parts: AttentionParts,
    names: readonly string[],
  ): readonly Value[] {
    const b = this.#b;
    const memory = this.#memory;
    const buffers =
      memory === undefined ? undefined : declareLinearMemory(b, this.#geometry, layer, memory.featureCount);
    return b.if(
      this.#active,
      (then) => {
        const [attention = parts.query, ...rest] = this.#slots.write(then, layer, parts);
        if (memory === undefined || buffers === undefined) return [attention, ...rest];
        const [newKeys = attention, newValues = attention, logSum] = rest;
        const features =
          memory.featureCount === undefined
            ? writeElu1Features
            : makeLearnedFeatures(this.#geometry, this.#weights, layer, "query", memory.featureCount);
        const { output, total } = writeMemoryRead(then, this.#geometry, inputs.query, buffers, features);
        const gate = this.#writeGate(then, layer, memory, attention, total, logSum);
        const fused = writeConvexFusion(then, this.#geometry, attention, output, gate);
        return [fused, newKeys, newValues, writeOpening(then, gate)];
      },
      (otherwise) => [
        ...writeAttention(otherwise, this.#geometry, parts),
        ...(memory === undefined ? [] : [writeNoOpening(otherwise, this.#geometry.queryHeadCount)]),
      ],
      names,
    );
  }

  /** Writes g `[T, H]`. */
  #writeGate(
    b: GraphBuilder,
    layer: number,
    { readGateRank }: LinearMemoryDesign,
    attention: Value,
    total: Value,
    logSum: Value | undefined,
  ): Value {
    const logit = writeReadGateLogit(b, this.#geometry, this.#weights, readGateRank, layer, attention);
    if (logSum === undefined) return b.sigmoid(logit);
    const share = b.log(b.reshape(total, [tokensSymbol, this.#geometry.queryHeadCount]));
    return b.sigmoid(b.add(logit, b.sub(share, logSum)));
  }

  finish(): readonly Value[] {
    if (this.#openings.length === 0) return this.#local.finish();
    const openings = this.#b.named(gateOpeningName, this.#b.concat(this.#openings, 1));
    return [...this.#local.finish(), openings];
  }
}

/** Begins the attention of the policy `plus`, which has a bias, a memory, or both. */
export function beginPlusAttention(
  b: GraphBuilder,
  geometry: AttentionGeometry,
  weights: WeightReader,
  design: PlusAttentionDesign,
): AttentionWriter {
  return new PlusAttentionWriter(b, geometry, weights, design);
}
