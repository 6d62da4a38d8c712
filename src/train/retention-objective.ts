/**
 * Training the retention score: how much attention will a token receive once it has left the window?
 *
 *   loss = sum over layers and key/value heads, and tokens j that leave within the document, of
 *          -(t log s + (1 - t) log(1 - s)),   s = sigmoid(score[j]), t = the teacher's largest later attention
 *
 * The score is a network on the normed input of the layer's attention. No gradient goes through the base: its forward
 * pass gives inputs and targets alike (Locret, arXiv 2410.01805; TRIM-KV, arXiv 2512.03324).
 */

import { differentiate } from "../autodiff/differentiate.ts";
import { InvalidRequestError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import { freeConstants } from "../graph/free-constants.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { pruneGraph } from "../graph/rewrite.ts";
import { specializeGraph } from "../graph/specialize.ts";
import { WeightReader } from "../graph/weights.ts";
import { type ContextSettings, memoryLayers } from "../memory/geometry.ts";
import { tokensSymbol } from "../memory/local-attention.ts";
import type { AttentionWriter } from "../memory/policy.ts";
import { TokenNetworksWriter } from "../memory/token-networks.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import type { ModelFamily } from "../models/family.ts";
import type { NamedTensors, Runtime, RuntimeSession } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { addGradients } from "./add-gradients.ts";
import type { Objective } from "./objective.ts";
import { firstFarPosition, TeacherAttentionWriter, teacherFeeds } from "./teacher-attention.ts";
import { lossFeeds, lossNames } from "./training-graph.ts";
import { describeWeights, pickFeeds, type WeightTensors } from "./weight-tensors.ts";

/** Says what is trained. */
export interface RetentionOptions {
  readonly family: ModelFamily;
  readonly config: DecoderConfig;
  readonly base: WeightTensors;
  /** `layers.{i}.retention.*` of all layers with a memory. */
  readonly trained: WeightTensors;
  readonly rank: number;
  readonly runtime: Runtime;
  /** Settings that steps take in turn: they say when a token leaves. */
  readonly contexts: readonly ContextSettings[];
  /** Length of documents, tokens; at most the positions of the model. */
  readonly lengthTokens: number;
}

/** float32 `[1, T]`: 1 for tokens that count. */
const countedName = "counted_tokens";

/** Writes the loss of scores `[N, K, T]` against targets of the same shape, in a form that never overflows. */
function writeLoss(b: GraphBuilder, scores: Value, targets: Value, counted: Value): Value {
  // log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)
  const magnitude = b.max(scores, b.neg(scores));
  const softplus = b.add(b.max(scores, b.scalar(0)), b.log(b.add(b.scalar(1), b.exp(b.neg(magnitude)))));
  const losses = b.sub(softplus, b.mul(scores, targets));
  return b.reduceSum(b.mul(losses, counted), [0, 1, 2], false);
}

/** Writes teacher, scores and loss in the place of a policy's attention. */
function beginRetention(
  b: GraphBuilder,
  { config: { geometry }, trained, rank }: RetentionOptions,
): AttentionWriter {
  const weights = new WeightReader("retention in training", describeWeights(trained));
  const network = { kind: "retention", name: "retention", rank, end: "plain" } as const;
  const networks = new TokenNetworksWriter(b, geometry, weights, [network]);
  const targets: Value[] = [];
  const shape = [1, geometry.keyValueHeadCount, tokensSymbol];
  const teacher = new TeacherAttentionWriter(b, geometry, (layer, { hidden }, target) => {
    networks.note(layer, hidden);
    targets.push(b.reshape(target, shape));
  });
  const counted = b.input(countedName, "float32", [1, tokensSymbol]);
  return {
    positions: undefined,
    attend: (layer, inputs) => teacher.attend(layer, inputs),
    finish: () => [b.named(lossNames.loss, writeLoss(b, networks.finish(), b.concat(targets, 0), counted))],
  };
}

function buildGraph(options: RetentionOptions): Graph {
  const { family, config, base, trained, lengthTokens } = options;
  const policy = { beginAttention: (b: GraphBuilder) => beginRetention(b, options) };
  const whole = family.buildInferenceGraph("retention", config, describeWeights(base), policy);
  const fixed = specializeGraph(whole, {
    dims: { [tokensSymbol]: lengthTokens, N: 1 },
    outputs: [lossNames.loss],
  });
  const left = new Set(fixed.initializers.map(({ value }) => value.name));
  const names = [...base.keys(), ...trained.keys()].filter((name) => left.has(name));
  const parameters = [...trained.keys()];
  return pruneGraph(differentiate(freeConstants(fixed, names), { loss: lossNames.loss, parameters }));
}

function checkOptions({ config, contexts, lengthTokens }: RetentionOptions): void {
  const { maxPositions } = config.geometry;
  const least = Math.max(...contexts.map((context) => firstFarPosition(context, context.sinkTokens)));
  if (lengthTokens <= maxPositions && lengthTokens > least) return;
  throw new InvalidRequestError({
    where: "lengthTokens",
    what: "nothing leaves the window of such documents, or they are longer than the teacher was trained for",
    got: lengthTokens,
    expected: `${least + 1} to ${maxPositions}`,
    remedy: "Train with a smaller window, or longer documents.",
  });
}

/**
 * Creates the objective.
 * @throws {@link InvalidRequestError} when documents are too long for the teacher, or too short for the window.
 */
export async function createRetentionObjective(
  options: RetentionOptions,
  signal?: AbortSignal,
): Promise<Objective> {
  checkOptions(options);
  const { config, base, trained, contexts, lengthTokens, runtime } = options;
  const { geometry } = config;
  const session: RuntimeSession = await runtime.createSession(buildGraph(options), signal);
  const scoreCount = memoryLayers(geometry).length * geometry.keyValueHeadCount;
  const fixed = { ...Object.fromEntries(base), ...Object.fromEntries(trained) };
  const ofContext = new Map<ContextSettings, NamedTensors>();
  const contextAt = (step: number): ContextSettings =>
    contexts[step % contexts.length] ?? contexts[0] ?? refuse();
  const feedsOf = (context: ContextSettings): NamedTensors => {
    const feeds = ofContext.get(context) ?? teacherFeeds(geometry, context, lengthTokens);
    ofContext.set(context, feeds);
    return feeds;
  };
  return {
    parameters: new Map([...trained].map(([name, { data }]) => [name, data])),
    lengthTokens: () => lengthTokens,
    async accumulate({ tokens, lossWeights, usedTokens }, sums, step, aborted) {
      aborted?.throwIfAborted();
      const context = contextAt(step);
      const counted = Float32Array.from({ length: lengthTokens }, (_, position) =>
        firstFarPosition(context, position) < usedTokens ? 1 : 0,
      );
      const tokenFeeds = lossFeeds(tokens, lossWeights, 0, lengthTokens, 1).feeds;
      const own = { ...feedsOf(context), [countedName]: hostTensor("float32", [1, lengthTokens], counted) };
      const results = await session.run(pickFeeds(session, fixed, tokenFeeds, own));
      addGradients(sums, results);
      const [loss = Number.NaN] = hostFloats(results[lossNames.loss], lossNames.loss);
      const weight = counted.reduce((sum, value) => sum + value, 0) * scoreCount;
      return { loss, weight, tokenCount: lengthTokens };
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

function refuse(): never {
  throw new InvalidRequestError({ where: "contexts", what: "there are none", expected: "one or more" });
}
