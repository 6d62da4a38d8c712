/**
 * Whole tiny decoders to differentiate: the inference graph of a checkpoint, specialised, with cross entropy on top,
 * fed as in the middle of a stream.
 */

import { openHeldWeights, streamHeldWeights } from "../../../src/engine/held-weights.ts";
import { quantizedFormats, quantizeWeights } from "../../../src/engine/quantized-weights.ts";
import { collectBytes } from "../../../src/files/byte-source.ts";
import { openCheckpointWeights } from "../../../src/files/checkpoint-files.ts";
import type { ModelFolder } from "../../../src/files/model-folder.ts";
import { GraphBuilder } from "../../../src/graph/builder.ts";
import { freeConstants } from "../../../src/graph/free-constants.ts";
import type { Graph, Initializer } from "../../../src/graph/graph.ts";
import { specializeGraph } from "../../../src/graph/specialize.ts";
import type { WeightEntry } from "../../../src/graph/weights.ts";
import { type Adapter, openAdapter } from "../../../src/memory/adapter.ts";
import { gateOpeningName } from "../../../src/memory/gate-openings.ts";
import { type AttentionGeometry, memoryLayers } from "../../../src/memory/geometry.ts";
import { pastKeysName } from "../../../src/memory/local-attention.ts";
import { createPolicy, keepsSlots } from "../../../src/memory/policies.ts";
import type { MemoryPolicy, MemoryState, PolicyName } from "../../../src/memory/policy.ts";
import { inferenceNames } from "../../../src/models/decoder.ts";
import { loadModelFamily } from "../../../src/models/registry.ts";
import { readConstant } from "../../../src/runtime/read-constant.ts";
import { createReferenceRuntime } from "../../../src/runtime/reference/interpreter.ts";
import type { NamedTensors } from "../../../src/runtime/runtime.ts";
import { hostTensors } from "../../../src/runtime/tensor-memory.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host-tensor.ts";
import {
  createTinyAdapterFolder,
  createTinyModelFolder,
  type TinyModelOptions,
} from "../../../src/testing/tiny-model.ts";

/** Sinks, window and segments of a few tokens, so that commits come soon. */
const context = { sinkTokens: 2, slotTokens: 0, windowTokens: 4, segmentTokens: 3 };

const sizes = { hiddenSize: 16, queryHeadCount: 4, keyValueHeadCount: 2, headSize: 4, mlpSize: 10 };

/** Is a training graph with everything that it is fed. */
export interface TinyTraining {
  /** Has the output `loss`, and what the state takes in; weights are inputs. */
  readonly graph: Graph;
  readonly feeds: Readonly<Record<string, HostTensor>>;
  /** Names of the base's weights. */
  readonly base: readonly string[];
  /** Names of the adapter's weights. */
  readonly adapter: readonly string[];
  /** The graph of a commit, and what the last one was fed; undefined without a memory. */
  readonly commit:
    | { readonly graph: Graph; readonly feeds: Readonly<Record<string, HostTensor>> }
    | undefined;
}

/** Is a stream that has been read: its state, and what its last commit was fed. */
interface ReadStream {
  readonly state: MemoryState;
  readonly commitFeeds: Readonly<Record<string, HostTensor>>;
}

/** Reads tokens into a state; commits when it is due. */
async function readStream(
  policy: MemoryPolicy,
  inference: Graph,
  tokens: readonly number[],
): Promise<ReadStream> {
  const runtime = createReferenceRuntime();
  await using session = await runtime.createSession(inference);
  const commitGraph = policy.buildCommitGraph();
  const commit = commitGraph === undefined ? undefined : await runtime.createSession(commitGraph);
  let commitFeeds: Readonly<Record<string, HostTensor>> = {};
  const recorded = commit && {
    ...commit,
    run(feeds: NamedTensors) {
      commitFeeds = Object.fromEntries(
        Object.entries(hostTensors(feeds)).map(([name, tensor]) => [name, structuredClone(tensor)]),
      );
      return commit.run(feeds);
    },
    [Symbol.asyncDispose]: () => commit[Symbol.asyncDispose](),
  };
  const state = policy.createState();
  let read = 0;
  while (read < tokens.length) {
    if (state.roomTokens === 0) await state.commit(recorded);
    const part = tokens.slice(read, read + Math.min(state.roomTokens, context.segmentTokens));
    const outputs = await session.run({ ...state.feeds(part.length), ...tokenFeeds(part) });
    state.absorb(outputs, part.length);
    read += part.length;
  }
  return { state, commitFeeds };
}

function tokenFeeds(tokens: readonly number[]): Record<string, HostTensor> {
  const int64 = (values: readonly number[]) =>
    hostTensor("int64", [values.length], BigInt64Array.from(values, BigInt));
  return {
    [inferenceNames.tokenIds]: int64(tokens),
    [inferenceNames.logitRows]: int64(tokens.map((_, row) => row)),
  };
}

/** Adds `loss = -mean log softmax(logits)[label]`, labels int64 `[T, 1]`. */
function addLoss(graph: Graph): Graph {
  const b = GraphBuilder.extend(graph);
  const logits = graph.outputs.find(({ name }) => name === inferenceNames.logits);
  if (logits === undefined) throw new Error("no logits");
  const labels = b.input("labels", "int64", [logits.shape[0] ?? 1, 1]);
  const picked = b.gatherElements(b.logSoftmax(logits, 1), labels, 1);
  const loss = b.named("loss", b.neg(b.reduceMean(picked, [0, 1], false)));
  return b.finish([loss, ...graph.outputs.filter((output) => output !== logits)]);
}

/** Chooses a tiny model to train. */
export interface TinyTrainingOptions extends TinyModelOptions {
  /** How matrices are held; default as in the checkpoint, in float32. */
  readonly held?: "q8" | "q4";
}

/** Opens the weights of a folder, as they are or in blocks. */
async function openWeights(
  folder: ModelFolder,
  held: TinyTrainingOptions["held"],
): Promise<ReadonlyMap<string, WeightEntry>> {
  const { tensors } = await openCheckpointWeights(folder);
  if (held === undefined) return tensors;
  const weights = quantizeWeights(tensors, quantizedFormats[held]);
  return openHeldWeights(await collectBytes("held", streamHeldWeights(weights, { fused: [] })), weights);
}

/** Makes a policy, with a tiny adapter where it needs one. */
async function openPolicy(
  name: PolicyName,
  geometry: AttentionGeometry,
): Promise<{ readonly policy: MemoryPolicy; readonly adapter: Adapter | undefined }> {
  const variant = name === "paper" || name === "plus" ? name : undefined;
  const folder =
    variant && createTinyAdapterFolder({ ...geometry, variant, gatedLayers: memoryLayers(geometry) });
  const adapter = folder && (await openAdapter(folder));
  const slotTokens = keepsSlots(name) ? 3 : 0;
  const policy = createPolicy(name, { geometry, context: { ...context, slotTokens }, adapter });
  return { policy, adapter };
}

/**
 * Makes the training graph of a tiny random model that reads `tokenCount` tokens in the middle of a stream: past
 * two commits, where the policy has any.
 */
export async function makeTinyTraining(
  policyName: PolicyName,
  tokenCount: number,
  { held, ...options }: TinyTrainingOptions = {},
): Promise<TinyTraining> {
  const folder = createTinyModelFolder({ ...sizes, ...options });
  const json = await folder.readJson("config.json");
  const family = await loadModelFamily("tiny", json);
  const config = family.readConfig("tiny", json);
  const { policy, adapter } = await openPolicy(policyName, config.geometry);
  const weights = await openWeights(folder, held);
  const inference = family.buildInferenceGraph("tiny", config, weights, policy);
  const draw = (count: number): number[] =>
    Array.from(
      { length: count },
      (_, index) => (index * index * 31 + index * 17 + 5) % config.vocabularySize,
    );
  const { state, commitFeeds } = await readStream(policy, inference, draw(policyName === "full" ? 5 : 18));
  const streamFeeds = hostTensors(state.feeds(tokenCount));
  const places = streamFeeds[pastKeysName(0)]?.shape.at(-2) ?? 0;
  const specialized = specializeGraph(inference, {
    dims: { T: tokenCount, P: places, N: tokenCount },
    inputs: hostTensors(policy.switches(tokenCount, state.path)),
    outputs: inference.outputs.map(({ name }) => name).filter((name) => name !== gateOpeningName),
  });
  const isWeight = ({ value, data }: Initializer): boolean =>
    data.kind === "external" && value.dtype === "float32" && !value.name.endsWith(":scales");
  const constants = specialized.initializers.filter(isWeight);
  const names = constants.map(({ value }) => value.name);
  const values = await Promise.all(
    constants.map(
      async (constant) => [constant.value.name, await readConstant(constant, undefined)] as const,
    ),
  );
  const labels = BigInt64Array.from(draw(tokenCount + 3).slice(3), BigInt);
  const commitGraph = policy.buildCommitGraph();
  return {
    graph: addLoss(freeConstants(specialized, names)),
    feeds: {
      ...streamFeeds,
      ...tokenFeeds(draw(tokenCount + 1).slice(1)),
      ...Object.fromEntries(values),
      labels: hostTensor("int64", [tokenCount, 1], labels),
    },
    base: names.filter((name) => !adapter?.tensors.has(name)),
    adapter: names.filter((name) => adapter?.tensors.has(name)),
    commit: commitGraph && {
      graph: specializeGraph(commitGraph, { dims: { P: places } }),
      feeds: commitFeeds,
    },
  };
}
