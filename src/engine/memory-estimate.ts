/**
 * How much memory a model and its sessions will need, from headers alone.
 */

import { UnsupportedError } from "../errors.ts";
import { type ContextSettings, localCapacityTokens } from "../memory/geometry.ts";
import type { PolicyName } from "../memory/policy.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import { elementCount } from "../tensor/shape.ts";
import type { Checkpoint, HeldDType } from "./checkpoint.ts";
import { heldBytes } from "./held-weights.ts";
import type { ModelParts } from "./model-parts.ts";
import type { QuantizedDType } from "./quantized-weights.ts";
import { recentTokenCount } from "./session-core.ts";

/** Is what an estimate is made from. */
type EstimatedParts = Pick<ModelParts, "family" | "config" | "context" | "policy" | "weights" | "adapter">;

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

/** Names how weights can be asked to be held. */
export type WeightDType = "f32" | "f16" | QuantizedDType;

/** Lists how weights can be asked to be held. */
export const weightDTypes: readonly (WeightDType | "auto")[] = ["auto", "f32", "f16", "q8", "q4"];

/**
 * Returns how a checkpoint's weights will be held: `auto` changes nothing of what it says.
 * @throws {@link UnsupportedError} when its weights cannot be held so.
 */
export function resolveDType(
  dtype: WeightDType | "auto" | undefined,
  { ownDType, family }: Pick<Checkpoint, "ownDType" | "family">,
): HeldDType {
  if (dtype === undefined || dtype === "auto") return ownDType;
  if (dtype === "f32" || dtype === "f16" || !family.hasTransposedMatrices) return dtype;
  throw new UnsupportedError({
    where: "dtype",
    what: `this version does not quantise ${family.modelType}, which keeps its matrices transposed`,
    got: dtype,
    expected: "f32 or f16",
  });
}

/**
 * Returns the bytes of the weights in memory. A tied embedding counts twice: the look-up keeps its rows as they
 * are stored, the output projection has them in the order of its kernel. In float16 both use the same rows.
 */
function weightBytes({ family, config, weights, adapter }: EstimatedParts, dtype: HeldDType): number {
  let bytes = 0;
  const heldWeights = new Map(weights.hold(dtype)?.map((weight) => [weight.name, weight]));
  for (const { name, shape, lengthBytes } of weights.tensors.values()) {
    const weight = heldWeights.get(name);
    const inFile = weight === undefined ? lengthBytes : heldBytes(weight);
    const isInBlocks = weight !== undefined && typeof weight.format !== "string";
    const inProduct = isInBlocks ? inFile : 4 * elementCount(shape);
    const isEmbedding = family.isEmbedding(name);
    if (dtype === "f16" && shape.length === 2) {
      bytes += inFile;
      continue;
    }
    if (isEmbedding) bytes += inFile;
    if (!isEmbedding || config.tiedEmbeddings) bytes += inProduct;
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
export function estimate(parts: EstimatedParts, dtype: HeldDType): MemoryEstimate {
  const { config, context, policy } = parts;
  const longest = Number.isFinite(policy.maxLengthTokens)
    ? policy.maxLengthTokens
    : localCapacityTokens(context);
  return {
    policy: policy.name,
    context,
    weightBytes: weightBytes(parts, dtype),
    stateBytes: sessionBytes(policy.stateBytesAt(longest), config.vocabularySize),
    fullCacheBytesPerToken: fullCacheBytesPerToken(config),
  };
}
