/**
 * The attention of all layers apart from the rest of a model: what a teacher's was computed from and what it gave, as
 * outputs of its graph, and a student's over the same inputs, as a graph of its own.
 */

import { GraphBuilder } from "../graph/builder.ts";
import type { Dim } from "../graph/dim.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { pruneGraph } from "../graph/rewrite.ts";
import { type AttentionGeometry, memoryLayers } from "../memory/geometry.ts";
import { tokensSymbol } from "../memory/local-attention.ts";
import type { AttentionInputs, MemoryPolicy } from "../memory/policy.ts";

const inputParts = ["query", "key", "value", "hidden"] as const;
const inputName = (part: (typeof inputParts)[number], layer: number): string => `attention_${part}.${layer}`;

/** Names the attention that a teacher's layer gave, `[T, H*D]`. */
export const teacherAttentionName = (layer: number): string => `teacher_attention.${layer}`;
/** Names the attention that a student's layer gave, `[T, H*D]`. */
export const studentAttentionName = (layer: number): string => `student_attention.${layer}`;
/** Names the mean square of the attention that each layer with a memory gave, `[N]`. */
export const attentionPowerName = "attention_power";

/** Gives a policy whose graphs have the inputs of each layer's attention, and what it gives, as outputs too. */
export function withAttentionOutputs(policy: MemoryPolicy, geometry: AttentionGeometry): MemoryPolicy {
  const remembering = new Set(memoryLayers(geometry));
  return {
    ...policy,
    beginAttention(b) {
      const writer = policy.beginAttention(b);
      const noted: Value[] = [];
      const powers: Value[] = [];
      return {
        positions: writer.positions,
        attend(layer, inputs) {
          const attention = writer.attend(layer, inputs);
          for (const part of inputParts) noted.push(b.named(inputName(part, layer), inputs[part]));
          noted.push(b.named(teacherAttentionName(layer), attention));
          if (remembering.has(layer))
            powers.push(b.reshape(b.reduceMean(b.mul(attention, attention), [0, 1], true), [1]));
          return attention;
        },
        finish: () => [...writer.finish(), ...noted, b.named(attentionPowerName, b.concat(powers, 0))],
      };
    },
  };
}

/** Writes the attention of all layers, each by itself, over inputs named as {@link withAttentionOutputs} names them. */
export function buildAttentionGraph(policy: MemoryPolicy, geometry: AttentionGeometry): Graph {
  const { queryHeadCount: H, keyValueHeadCount: K, headSize: D, hiddenSize: E, layerKinds } = geometry;
  const b = new GraphBuilder("attention");
  const writer = policy.beginAttention(b);
  const shapes: { readonly [Part in keyof AttentionInputs]: readonly Dim[] } = {
    query: [tokensSymbol, H, D],
    key: [tokensSymbol, K, D],
    value: [tokensSymbol, K, D],
    hidden: [tokensSymbol, E],
  };
  const attention = layerKinds.map((_, layer) => {
    const take = (part: keyof AttentionInputs): Value =>
      b.input(inputName(part, layer), "float32", shapes[part]);
    const inputs = { query: take("query"), key: take("key"), value: take("value"), hidden: take("hidden") };
    return b.named(studentAttentionName(layer), writer.attend(layer, inputs));
  });
  return pruneGraph(b.finish([...attention, ...writer.finish()]));
}
