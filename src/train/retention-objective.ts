/**
 * Training the retention score: how much attention will a token receive once it has left the window?
 *
 *   loss = sum over layers and key/value heads, and tokens j that leave within the document, of
 *          -(t log s + (1 - t) log(1 - s)),   s = sigmoid(score[j]), t = the teacher's largest later attention
 *
 * The score is a network on the normed input of the layer's attention. No gradient goes through the base: its forward
 * pass gives inputs and targets alike (Locret, arXiv 2410.01805; TRIM-KV, arXiv 2512.03324). Targets may be pooled over
 * neighbours, as SnapKV pools (arXiv 2404.14469, section 4.2): a name is of no use without its last part.
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
import type { AttentionInputs, AttentionWriter } from "../memory/policy.ts";
import { TokenNetworksWriter } from "../memory/token-networks.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import type { ModelFamily } from "../models/family.ts";
import type { NamedTensors, Runtime, RuntimeSession } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { addGradients } from "./add-gradients.ts";
import type { Objective } from "./objective.ts";
import {
  firstFarPosition,
  queryWeightsName,
  TeacherAttentionWriter,
  teacherFeeds,
} from "./teacher-attention.ts";
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
  /** A token is worth what the most wanted of so many around it is, an odd number; default 1. */
  readonly kernelTokens?: number;
  /** Whether attention counts by the loss weight of the token that pays it, in [0, 1]; default: all of it counts. */
  readonly weighsQueries?: boolean;
}

/** float32 `[1, T]`: 1 for tokens that count. */
const countedName = "counted_tokens";
/** float32 `[T, T]`: which tokens are pooled. */
const bandName = "target_band";

/** Writes the loss of scores `[N, K, T]` against targets of the same shape, in a form that never overflows. */
function writeLoss(b: GraphBuilder, scores: Value, targets: Value, counted: Value): Value {
  // log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)
  const magnitude = b.max(scores, b.neg(scores));
  const softplus = b.add(b.max(scores, b.scalar(0)), b.log(b.add(b.scalar(1), b.exp(b.neg(magnitude)))));
  const losses = b.sub(softplus, b.mul(scores, targets));
  return b.reduceSum(b.mul(losses, counted), [0, 1, 2], false);
}

/** Pools targets `[K, T]`, of which none is below 0: the largest that the rows of a band `[T, T]` reach. */
function poolTargets(b: GraphBuilder, targets: Value, heads: number, band: Value): Value {
  return b.reduceMax(b.mul(b.reshape(targets, [heads, 1, tokensSymbol]), band), [2], false);
}

/** Gives a band: 1 for the places that are nearer than half a kernel. */
function bandFeed(lengthTokens: number, kernelTokens: number): HostTensor {
  const near = (index: number): number =>
    Math.abs(Math.floor(index / lengthTokens) - (index % lengthTokens)) < kernelTokens / 2 ? 1 : 0;
  const band = Float32Array.from({ length: lengthTokens ** 2 }, (_, index) => near(index));
  return hostTensor("float32", [lengthTokens, lengthTokens], band);
}

/** Writes teacher, scores and loss in the place of a policy's attention. */
function beginRetention(b: GraphBuilder, options: RetentionOptions): AttentionWriter {
  const { config, trained, rank, kernelTokens = 1, weighsQueries = false } = options;
  const { geometry } = config;
  const weights = new WeightReader("retention in training", describeWeights(trained));
  const network = { kind: "retention", name: "retention", rank, end: "plain" } as const;
  const networks = new TokenNetworksWriter(b, geometry, weights, [network]);
  const targets: Value[] = [];
  const shape = [1, geometry.keyValueHeadCount, tokensSymbol];
  const band = kernelTokens > 1 && b.input(bandName, "float32", [tokensSymbol, tokensSymbol]);
  const pool = (target: Value): Value =>
    band ? poolTargets(b, target, geometry.keyValueHeadCount, band) : target;
  const onLayer = (layer: number, { hidden }: AttentionInputs, target: Value): void => {
    networks.note(layer, hidden);
    targets.push(b.reshape(pool(target), shape));
  };
  const teacher = new TeacherAttentionWriter(b, geometry, onLayer, weighsQueries);
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

function checkOptions({ config, contexts, lengthTokens, kernelTokens = 1 }: RetentionOptions): void {
  if (!(Number.isSafeInteger(kernelTokens) && kernelTokens > 0 && kernelTokens % 2 === 1)) {
    const where = "kernelTokens";
    throw new InvalidRequestError({
      where,
      what: "out of range",
      got: kernelTokens,
      expected: "an odd whole number",
    });
  }
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
  const { kernelTokens = 1, weighsQueries = false } = options;
  const { geometry } = config;
  const session: RuntimeSession = await runtime.createSession(buildGraph(options), signal);
  const scoreCount = memoryLayers(geometry).length * geometry.keyValueHeadCount;
  const fixed = {
    ...Object.fromEntries(base),
    ...Object.fromEntries(trained),
    ...(kernelTokens > 1 && { [bandName]: bandFeed(lengthTokens, kernelTokens) }),
  };
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
      if (weighsQueries) checkQueryWeights(lossWeights);
      const context = contextAt(step);
      const counted = Float32Array.from({ length: lengthTokens }, (_, position) =>
        firstFarPosition(context, position) < usedTokens ? 1 : 0,
      );
      const tokenFeeds = lossFeeds(tokens, lossWeights, 0, lengthTokens, 1).feeds;
      const own = {
        ...feedsOf(context),
        [countedName]: hostTensor("float32", [1, lengthTokens], counted),
        [queryWeightsName]: hostTensor("float32", [lengthTokens, 1], Float32Array.from(lossWeights)),
      };
      const results = await session.run(pickFeeds(session, fixed, tokenFeeds, own));
      addGradients(sums, results);
      const [loss = Number.NaN] = hostFloats(results[lossNames.loss], lossNames.loss);
      const weight = counted.reduce((sum, value) => sum + value, 0) * scoreCount;
      return { loss, weight, tokenCount: lengthTokens };
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

/** Refuses weights by which a target would be no probability. */
function checkQueryWeights(lossWeights: Float32Array): void {
  const most = lossWeights.reduce((most, weight) => Math.max(most, weight), 0);
  if (most <= 1) return;
  throw new InvalidRequestError({
    where: "weighsQueries",
    what: "a document weighs a token more than 1, and its attention would count as more than all there is",
    got: most,
    expected: "weights in [0, 1]",
    remedy: 'Divide the "weights" of the recall documents by the largest of them.',
  });
}

function refuse(): never {
  throw new InvalidRequestError({ where: "contexts", what: "there are none", expected: "one or more" });
}
