/**
 * Pre-training: the loss of the next token with full attention over a document, and the gradient of all weights.
 *
 * The graph is the inference graph of the policy `full`, differentiated. Weights are fed, so that a step of the
 * optimizer is seen by the next run without anything being built anew.
 */

import { differentiate } from "../autodiff/differentiate.ts";
import { InvalidRequestError } from "../errors.ts";
import { pastKeysName } from "../memory/local-attention.ts";
import { createPolicy } from "../memory/policies.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import type { ModelFamily } from "../models/family.ts";
import type { NamedTensors, Runtime, RuntimeSession } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { addGradients } from "./add-gradients.ts";
import { splitCausalAttention } from "./causal-blocks.ts";
import type { Objective } from "./objective.ts";
import { addNextTokenLoss, lossFeeds, lossNames, specializeForTraining } from "./training-graph.ts";
import { describeWeights, pickFeeds, type WeightTensors } from "./weight-tensors.ts";

/** Says how long documents are from a step on: short ones first teach most of the language at a lower price. */
export interface LengthStage {
  readonly fromStep: number;
  readonly lengthTokens: number;
}

/** Says what is trained. */
export interface NextTokenOptions {
  readonly family: ModelFamily;
  readonly config: DecoderConfig;
  readonly weights: WeightTensors;
  readonly runtime: Runtime;
  /** Lengths of documents, tokens, each from a step on; the first from step 0. At most the model's positions. */
  readonly lengths: readonly LengthStage[];
}

/** Checks lengths of documents. @throws {@link InvalidRequestError} naming the one that does not fit. */
export function checkLengths(lengths: readonly LengthStage[], maxPositions: number): void {
  const refuse = (what: string, got: unknown, expected: string): never => {
    const remedy = "Raise max_position_embeddings, or train on shorter documents.";
    throw new InvalidRequestError({ where: "lengths", what, got, expected, remedy });
  };
  if (lengths[0]?.fromStep !== 0) refuse("they do not begin at step 0", lengths[0]?.fromStep, "0");
  for (const [index, { fromStep, lengthTokens }] of lengths.entries()) {
    if (!(lengthTokens >= 2 && lengthTokens <= maxPositions))
      refuse("documents are longer than the model has positions", lengthTokens, `2 to ${maxPositions}`);
    const before = lengths[index - 1]?.fromStep ?? -1;
    if (fromStep <= before) refuse("they are not in the order of steps", fromStep, `more than ${before}`);
  }
}

/** Returns the length of the documents of a step, tokens. */
export function lengthAt(lengths: readonly LengthStage[], step: number): number {
  return lengths.findLast(({ fromStep }) => fromStep <= step)?.lengthTokens ?? 0;
}

/** Is the graph of one length, compiled, with the feeds that never change. */
interface LengthSession {
  readonly session: RuntimeSession;
  readonly stateFeeds: NamedTensors;
}

async function createLengthSession(
  { family, config, weights, runtime }: NextTokenOptions,
  lengthTokens: number,
): Promise<LengthSession> {
  const names = [...weights.keys()];
  const context = { sinkTokens: 0, slotTokens: 0, windowTokens: 1, segmentTokens: lengthTokens };
  const policy = createPolicy("full", { geometry: config.geometry, context, adapter: undefined });
  const inference = family.buildInferenceGraph("pre-training", config, describeWeights(weights), policy);
  const stateFeeds = policy.createState().feeds(lengthTokens);
  const places = stateFeeds[pastKeysName(0)]?.shape[2] ?? 0;
  const shape = { tokens: lengthTokens, places, path: "base" } as const;
  const whole = specializeForTraining(inference, policy, shape, names);
  const forward = addNextTokenLoss(splitCausalAttention(whole, shape));
  const outputs = [lossNames.loss];
  const graph = differentiate(forward, { loss: lossNames.loss, parameters: names, outputs });
  return { session: await runtime.createSession(graph), stateFeeds };
}

/**
 * Creates the objective of pre-training.
 * @throws {@link InvalidRequestError} when documents are longer than the model has positions.
 */
export function createNextTokenObjective(options: NextTokenOptions): Objective {
  const { config, weights, lengths } = options;
  checkLengths(lengths, config.geometry.maxPositions);
  const sessions = new Map<number, Promise<LengthSession>>();
  const sessionOf = (lengthTokens: number): Promise<LengthSession> => {
    const session = sessions.get(lengthTokens) ?? createLengthSession(options, lengthTokens);
    sessions.set(lengthTokens, session);
    return session;
  };
  const fixed = Object.fromEntries(weights);
  return {
    parameters: new Map([...weights].map(([name, { data }]) => [name, data])),
    lengthTokens: (step) => lengthAt(lengths, step),
    async accumulate({ tokens, lossWeights }, sums, _step, signal) {
      signal?.throwIfAborted();
      const { session, stateFeeds } = await sessionOf(tokens.length);
      const { feeds, weight } = lossFeeds(tokens, lossWeights, 0, tokens.length);
      const results = await session.run(pickFeeds(session, fixed, stateFeeds, feeds));
      addGradients(sums, results);
      const [loss = Number.NaN] = hostFloats(results[lossNames.loss], lossNames.loss);
      return { loss, weight, tokenCount: tokens.length };
    },
    async [Symbol.asyncDispose]() {
      for (const made of sessions.values()) await (await made).session[Symbol.asyncDispose]();
    },
  };
}
