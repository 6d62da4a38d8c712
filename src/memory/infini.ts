/**
 * Infini-attention: a linear memory behind local attention, mixed by one learned number a head (Munkhdalai et al.,
 * arXiv 2404.07143, section 2.1, equations 3 to 6).
 *
 *   write   M += sigma(K)^T V,   or, by the delta rule,   M += sigma(K)^T (V - sigma(K) M / (sigma(K) z))
 *           z += sum sigma(K),   sigma(x) = elu(x) + 1
 *   read    A_mem = sigma(q) M / (sigma(q) z)
 *   out_h = sigmoid(beta_h) A_mem,h + (1 - sigmoid(beta_h)) A_local,h
 *
 * Where it must differ here: the paper attends within a segment alone and writes each segment when it ends; here sinks
 * and window stay exact besides, and what leaves them is written at a commit, by T tokens, so that every token is in
 * one place only, as under `paper`. The paper has a memory a head and trains all weights; here query heads of a group
 * share one, the base is frozen, and beta is all that is trained.
 * Untrained, beta is -4 in every head: the gates are 1.8% open, where training begins.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { type Adapter, designOf } from "./adapter.ts";
import type { AttentionGeometry, ContextSettings } from "./geometry.ts";
import type { MemoryPolicy } from "./policy.ts";
import { beginGatedAttention, beginWithAdapter, createSegmentedPolicy } from "./segmented-policies.ts";

/** Is beta where nothing is trained, and where training begins: sigmoid(-4) = 0.018. */
export const untrainedBeta = -4;

/** Names a layer's beta, `[H]`. */
export const betaName = (layer: number): string => `layers.${layer}.read_gate.beta`;

/** Writes the gate of a layer, the same for all tokens: beta `[H]` to `[1, H]`, in (0, 1). */
function writeScalarGate(b: GraphBuilder, { queryHeadCount: H }: AttentionGeometry, beta: Value): Value {
  return b.sigmoid(b.reshape(beta, [1, H]));
}

/**
 * Creates the policy of Infini-attention.
 * @param adapter its betas and its update rule; without one beta is {@link untrainedBeta} and the rule `linear`.
 * @throws {@link InvalidRequestError} for an adapter of another variant.
 */
export function createInfiniPolicy(
  geometry: AttentionGeometry,
  context: ContextSettings,
  adapter: Adapter | undefined,
): MemoryPolicy {
  const { queryHeadCount: H } = geometry;
  if (adapter === undefined) {
    const untrained = hostTensor("float32", [H], new Float32Array(H).fill(untrainedBeta));
    return createSegmentedPolicy("infini", geometry, context, {
      updateRule: "linear",
      beginAttention: (b) =>
        beginGatedAttention(b, geometry, (branch) =>
          writeScalarGate(branch, geometry, branch.constant("beta", untrained)),
        ),
    });
  }
  const { updateRule } = designOf(adapter, "infini").linearMemory;
  return createSegmentedPolicy("infini", geometry, context, {
    updateRule,
    beginAttention: (b) =>
      beginWithAdapter(adapter, (weights) =>
        beginGatedAttention(b, geometry, (branch, layer) =>
          writeScalarGate(branch, geometry, weights.take(branch, betaName(layer), [H])),
        ),
      ),
  });
}
