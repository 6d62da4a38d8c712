/**
 * What an architecture is: the parts that a decoder is put together from, and the names of its tensors.
 *
 * A family differs from Llama in some parts and takes the others as they are. Sizes and numbers, which differ
 * between checkpoints of a family, are in the configuration.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import type { WeightReader } from "../graph/weights.ts";
import type { AttentionWriter } from "../memory/policy.ts";
import type { DecoderConfig } from "./decoder-config.ts";

/** Is what every part writes with. */
export interface LayerContext {
  readonly builder: GraphBuilder;
  readonly config: DecoderConfig;
  readonly weights: WeightReader;
  readonly architecture: DecoderArchitecture;
}

/** Is what the projections of attention give, `[T, heads, D]` each. */
export interface Projections {
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
}

/** Is one layer as its layout sees it. */
export interface LayerParts {
  readonly config: DecoderConfig;
  /** Writes the norm of that name within the layer. */
  norm(name: string, x: Value): Value;
  attend(hidden: Value): Value;
  feedForward(hidden: Value): Value;
  /** Adds what a part of the layer gives to the residual stream. */
  join(x: Value, change: Value): Value;
}

/** Writes a layer: the residual stream `[T, E]` before it to that behind it. */
export type LayerLayout = (parts: LayerParts, x: Value) => Value;

/** Names the tensors of a checkpoint, without `.weight` and `.bias`. */
export interface TensorNames {
  readonly embedding: string;
  /** Of the norm of embeddings, where there is one. */
  readonly embeddingNorm: string;
  /** Before the number of a layer. */
  readonly layers: string;
  /** Within a layer: of attention, and within that of its output. */
  readonly attention: string;
  readonly output: string;
  /** Within a layer. */
  readonly mlp: string;
  readonly finalNorm: string;
  readonly head: string;
}

/** Describes how a family's decoders are put together. */
export interface DecoderArchitecture {
  readonly names: TensorNames;
  readonly layout: LayerLayout;
  /** Writes the embeddings `[T, E]` of token ids, before they are scaled and normalised. */
  readonly writeEmbedding: (context: LayerContext, tokenIds: Value, attention: AttentionWriter) => Value;
  /** Writes `x W^T (+ b)` with the tensors `prefix.weight` and `prefix.bias`. */
  readonly writeLinear: (
    context: LayerContext,
    x: Value,
    prefix: string,
    outSize: number,
    inSize: number,
    hasBias: boolean,
  ) => Value;
  /** Writes the normalisation of the last axis, of width `size`. */
  readonly writeNorm: (context: LayerContext, x: Value, prefix: string, size: number) => Value;
  /** Names, within a layer, of matrices that multiply the same x, group by group; without `.weight`. */
  readonly multipliedTogether: readonly (readonly string[])[];
  readonly writeProjections: (context: LayerContext, prefix: string, hidden: Value) => Projections;
  readonly writeMlp: (context: LayerContext, prefix: string, hidden: Value) => Value;
  /** Whether a checkpoint may carry a tensor that no graph needs. */
  readonly isBuffer: (name: string) => boolean;
}
