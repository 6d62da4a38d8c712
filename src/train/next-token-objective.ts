/**
 * Pre-training: the loss of the next token with full attention over a document, and the gradient of all weights.
 *
 * The graph is the inference graph of the policy `full`, differentiated. Weights are fed, so that a step of the
 * optimizer is seen by the next run without anything being built anew.
 */

import { differentiate, gradientName } from "../autodiff/differentiate.ts";
import { InvalidRequestError } from "../errors.ts";
import type { WeightEntry } from "../graph/weights.ts";
import { pastKeysName } from "../memory/local-attention.ts";
import { createPolicy } from "../memory/policies.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import type { ModelFamily } from "../models/family.ts";
import type { NamedTensors, Runtime, RuntimeSession } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { Objective } from "./objective.ts";
import { addScaled } from "./parameters.ts";
import { addNextTokenLoss, lossFeeds, lossNames, specializeForTraining } from "./training-graph.ts";

/** Holds weights by name, with their shapes: float32, changed in place by training. */
export type WeightTensors = ReadonlyMap<string, HostTensor<"float32">>;

/** Says what is trained. */
export interface NextTokenOptions {
  readonly family: ModelFamily;
  readonly config: DecoderConfig;
  readonly weights: WeightTensors;
  readonly runtime: Runtime;
  /** Length of documents, tokens; at most the positions of the model. */
  readonly lengthTokens: number;
}

/** Describes weights that are in memory as if a file held them: graphs take names, dtypes and shapes from it. */
export function describeWeights(weights: WeightTensors): Map<string, WeightEntry> {
  const source = {
    name: "weights in training",
    sizeBytes: 0,
    read: () => Promise.reject(new Error("weights in training are fed, not read")),
    close: async () => {},
  };
  return new Map(
    [...weights].map(([name, { dtype, shape, data }]) => [
      name,
      { name, dtype, shape, source, offset: 0, lengthBytes: data.byteLength },
    ]),
  );
}

/** Names the inputs of a session that are among the feeds. */
function pickFeeds(session: RuntimeSession, ...feeds: readonly NamedTensors[]): NamedTensors {
  const all = Object.assign({}, ...feeds) as NamedTensors;
  return Object.fromEntries(
    session.inputNames.flatMap((name) => (all[name] === undefined ? [] : [[name, all[name]]])),
  );
}

/**
 * Creates the objective of pre-training.
 * @throws {@link InvalidRequestError} when documents are longer than the model has positions.
 */
export async function createNextTokenObjective(
  options: NextTokenOptions,
  signal?: AbortSignal,
): Promise<Objective> {
  const { family, config, weights, runtime, lengthTokens } = options;
  const { maxPositions } = config.geometry;
  if (lengthTokens > maxPositions) {
    throw new InvalidRequestError({
      where: "lengthTokens",
      what: "documents are longer than the model has positions",
      got: lengthTokens,
      expected: `<= ${maxPositions}`,
      remedy: "Raise max_position_embeddings, or train on shorter documents.",
    });
  }
  const names = [...weights.keys()];
  const context = { sinkTokens: 0, slotTokens: 0, windowTokens: 1, segmentTokens: lengthTokens };
  const policy = createPolicy("full", { geometry: config.geometry, context, adapter: undefined });
  const inference = family.buildInferenceGraph("pre-training", config, describeWeights(weights), policy);
  const stateFeeds = policy.createState().feeds(lengthTokens);
  const places = stateFeeds[pastKeysName(0)]?.shape[2] ?? 0;
  const shape = { tokens: lengthTokens, places, path: "base" } as const;
  const forward = addNextTokenLoss(specializeForTraining(inference, policy, shape, names));
  const outputs = [lossNames.loss];
  const graph = differentiate(forward, { loss: lossNames.loss, parameters: names, outputs });
  const session = await runtime.createSession(graph, signal);
  const fixed = { ...stateFeeds, ...Object.fromEntries(weights) };
  return {
    parameters: new Map([...weights].map(([name, { data }]) => [name, data])),
    lengthTokens: () => lengthTokens,
    async accumulate({ tokens, lossWeights }, sums, _step, aborted) {
      aborted?.throwIfAborted();
      const { feeds, weight } = lossFeeds(tokens, lossWeights, 0, lengthTokens);
      const results = await session.run(pickFeeds(session, fixed, feeds));
      const gradients = names.map((name) => [name, hostFloats(results[gradientName(name)], name)] as const);
      addScaled(sums, new Map(gradients), 1);
      const [loss = Number.NaN] = hostFloats(results[lossNames.loss], lossNames.loss);
      return { loss, weight, tokenCount: lengthTokens };
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}
