/**
 * Training graphs: an inference graph of fixed sizes with the loss of the next token on top.
 *
 *   loss = sum over rows n of w[n] * -log softmax(logits[n])[label[n]]
 *
 * The sum is not divided: losses and gradients of several runs are added up, and divided once by all weights.
 */

import { InternalError } from "../errors.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { freeConstants } from "../graph/free-constants.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { specializeGraph } from "../graph/specialize.ts";
import type { MemoryPolicy } from "../memory/policy.ts";
import { inferenceNames } from "../models/decoder.ts";
import { hostTensors } from "../runtime/tensor-memory.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";

/** Names what a loss graph has that inference graphs do not. */
export const lossNames = {
  /** int64 `[T, 1]`: the token that follows each row. */
  labels: "labels",
  /** float32 `[T, V]`: the distribution of the token that follows each row. */
  targets: "target_probabilities",
  /** float32 `[T, 1]`. */
  weights: "loss_weights",
  /** float32 `[]`: the weighted sum. */
  loss: "loss",
} as const;

/** Is what runs of one training graph have in common. */
export interface RunShape {
  /** T: tokens of a run, from 2. */
  readonly tokens: number;
  /** P: places of the cache. */
  readonly places: number;
  /** Whether the memory is read. */
  readonly path: "base" | "gated";
  /** N: rows whose logits are given; all by default. */
  readonly logitRows?: number;
}

/**
 * Fixes the sizes of an inference graph.
 * @param freed constants that become float32 inputs of the same names, where the graph still has them: weights that
 * change, or that graphs share.
 */
export function specializeForTraining(
  inference: Graph,
  policy: MemoryPolicy,
  { tokens: T, places: P, path, logitRows: N = T }: RunShape,
  freed: readonly string[],
): Graph {
  const inputs = hostTensors(policy.switches(T, path));
  const graph = specializeGraph(inference, { dims: { T, P, N }, inputs });
  const left = new Set(graph.initializers.map(({ value }) => value.name));
  return freeConstants(
    graph,
    freed.filter((name) => left.has(name)),
  );
}

function putLoss(graph: Graph, write: (b: GraphBuilder, logits: Value, weights: Value) => Value): Graph {
  const logits = graph.outputs.find(({ name }) => name === inferenceNames.logits);
  if (logits === undefined) throw new InternalError({ where: `graph ${graph.name}`, what: "no logits" });
  const b = GraphBuilder.extend(graph);
  const weights = b.input(lossNames.weights, "float32", [logits.shape[0] ?? 1, 1]);
  const loss = b.named(lossNames.loss, b.neg(b.reduceSum(write(b, logits, weights), [0, 1], false)));
  return b.finish([loss, ...graph.outputs.filter((output) => output !== logits)]);
}

/** Puts the loss on a graph that gives logits; it takes their place, as the first output. */
export function addNextTokenLoss(graph: Graph): Graph {
  return putLoss(graph, (b, logits, weights) => {
    const labels = b.input(lossNames.labels, "int64", [logits.shape[0] ?? 1, 1]);
    return b.mul(b.gatherElements(b.logSoftmax(logits, 1), labels, 1), weights);
  });
}

/**
 * Puts the cross entropy with fed distributions on a graph that gives logits:
 *
 *   loss = sum over rows n of w[n] * -sum over v of target[n, v] log softmax(logits[n])[v]
 *
 * Less the entropy of the targets it is the divergence from them; where they are one token each it is their loss.
 */
export function addCrossEntropy(graph: Graph): Graph {
  return putLoss(graph, (b, logits, weights) => {
    const targets = b.input(lossNames.targets, "float32", logits.shape);
    return b.mul(b.mul(b.logSoftmax(logits, 1), targets), weights);
  });
}

const int64 = (shape: readonly number[], at: (row: number) => number): HostTensor =>
  hostTensor(
    "int64",
    shape,
    BigInt64Array.from({ length: shape[0] ?? 0 }, (_, row) => BigInt(at(row))),
  );

/** Gives the ids of `count` tokens of a document, from `from` on. */
export function tokenFeeds(tokens: Int32Array, from: number, count: number): Record<string, HostTensor> {
  return { [inferenceNames.tokenIds]: int64([count], (row) => tokens[from + row] ?? 0) };
}

/**
 * Gives what a training graph is fed of the tokens of a document.
 * @param from the first token that the run reads; the token behind the last is the last label.
 * @param logitRows how many rows, from the first on, have logits.
 * @returns the feeds, and the sum of the weights.
 */
export function lossFeeds(
  tokens: Int32Array,
  lossWeights: Float32Array,
  from: number,
  count: number,
  logitRows: number = count,
): { readonly feeds: Record<string, HostTensor>; readonly weight: number } {
  const isLast = (row: number): boolean => from + row + 1 >= tokens.length;
  const weights = Float32Array.from({ length: count }, (_, row) =>
    isLast(row) ? 0 : (lossWeights[from + row + 1] ?? 0),
  );
  const feeds = {
    ...tokenFeeds(tokens, from, count),
    [inferenceNames.logitRows]: int64([logitRows], (row) => row),
    [lossNames.labels]: int64([count, 1], (row) => (isLast(row) ? 0 : (tokens[from + row + 1] ?? 0))),
    [lossNames.weights]: hostTensor("float32", [count, 1], weights),
  };
  return { feeds, weight: weights.reduce((sum, weight) => sum + weight, 0) };
}
