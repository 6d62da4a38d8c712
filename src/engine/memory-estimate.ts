/**
 * How much memory a model and its sessions will need, from headers alone.
 */

import type { TensorEntry } from "../files/safetensors.ts";
import type { Adapter } from "../memory/adapter.ts";
import { type ContextSettings, localCapacityTokens } from "../memory/geometry.ts";
import type { MemoryPolicy, PolicyName } from "../memory/policy.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import { elementCount } from "../tensor/shape.ts";
import { recentTokenCount } from "./session-core.ts";

/** Tells the memory needed, in bytes. */
export interface MemoryEstimate {
  readonly policy: PolicyName;
  readonly context: ContextSettings;
  /** Weights in memory, shared by all sessions. */
  readonly weightBytes: number;
  /** One session; for the policy `full` at the model's longest stream. */
  readonly stateBytes: number;
  /** What an ordinary KV cache takes a token, in float32. */
  readonly fullCacheBytesPerToken: number;
}

/** Returns the bytes of float32 weights, and of the embedding's stored form that the look-up keeps. */
function weightBytes(
  config: DecoderConfig,
  tensors: Iterable<TensorEntry>,
  adapter: Adapter | undefined,
): number {
  let bytes = 0;
  for (const { name, shape, lengthBytes } of tensors) {
    const isEmbedding = name === "model.embed_tokens.weight";
    bytes += isEmbedding ? lengthBytes : 4 * elementCount(shape);
    if (isEmbedding && config.tiedEmbeddings) bytes += 4 * elementCount(shape);
  }
  for (const { shape } of adapter?.tensors.values() ?? []) bytes += 4 * elementCount(shape);
  return bytes;
}

/** Returns what an ordinary KV cache takes a token, in bytes of float32. */
function fullCacheBytesPerToken({ geometry }: DecoderConfig): number {
  return 2 * 4 * geometry.layerCount * geometry.keyValueHeadCount * geometry.headSize;
}

/** Returns the bytes of a session: its memory, the last logits and the last tokens' ids. */
export function sessionBytes(stateBytes: number, vocabularySize: number): number {
  return stateBytes + 4 * (vocabularySize + recentTokenCount);
}

/** Estimates the memory of a model that is about to be loaded. */
export function estimate(
  config: DecoderConfig,
  context: ContextSettings,
  policy: MemoryPolicy,
  tensors: ReadonlyMap<string, TensorEntry>,
  adapter: Adapter | undefined,
): MemoryEstimate {
  const longest = Number.isFinite(policy.maxLengthTokens)
    ? policy.maxLengthTokens
    : localCapacityTokens(context);
  return {
    policy: policy.name,
    context,
    weightBytes: weightBytes(config, tensors.values(), adapter),
    stateBytes: sessionBytes(policy.stateBytesAt(longest), config.vocabularySize),
    fullCacheBytesPerToken: fullCacheBytesPerToken(config),
  };
}
