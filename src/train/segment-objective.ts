/**
 * Training what joins the memory: the loss of tokens past the window, read segment by segment as inference reads
 * them, over a base that stays frozen (EdgeInfinite, arXiv 2503.22196, section 3.3; arXiv 2508.00370).
 *
 * The state is detached between segments: each segment's graph gives its own gradients, so that memory does not
 * grow with the document. Before the first commit nothing is trained, since nothing that is trained takes part.
 */

import { differentiate, gradientName } from "../autodiff/differentiate.ts";
import { InternalError, InvalidRequestError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { type ContextSettings, localCapacityTokens } from "../memory/geometry.ts";
import { pastKeysName } from "../memory/local-attention.ts";
import type { MemoryPolicy } from "../memory/policy.ts";
import type { NamedTensors, Runtime, RuntimeSession } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { TrainingDocument } from "./data/document-source.ts";
import type { DocumentLoss, Objective } from "./objective.ts";
import { addScaled } from "./parameters.ts";
import {
  addNextTokenLoss,
  lossFeeds,
  lossNames,
  type RunShape,
  specializeForTraining,
} from "./training-graph.ts";
import { pickFeeds, type WeightTensors } from "./weight-tensors.ts";

/** Is a way to remember with the inference graph it writes, both made from the trained tensors' names and shapes. */
export interface SegmentedModel {
  readonly context: ContextSettings;
  readonly policy: MemoryPolicy;
  readonly inference: Graph;
}

/** Says what is trained. */
export interface SegmentOptions {
  /** Makes the model for settings; called once for each. */
  readonly makeModel: (context: ContextSettings) => SegmentedModel;
  /** Settings that steps take in turn: a gate that has seen only one does not serve another. */
  readonly contexts: readonly ContextSettings[];
  readonly base: WeightTensors;
  readonly trained: WeightTensors;
  readonly runtime: Runtime;
  /** Segments of a document that are learned from, behind those that fill the cache. */
  readonly segmentCount: number;
}

/** Is a model compiled for training. */
interface Stage extends AsyncDisposable {
  readonly context: ContextSettings;
  readonly policy: MemoryPolicy;
  /** Reads the first C tokens. */
  readonly fill: RuntimeSession;
  /** Reads T tokens behind a commit, where nothing is to be learned. */
  readonly read: RuntimeSession;
  /** Reads T tokens behind a commit; gives their loss, and its gradients. */
  readonly learn: RuntimeSession;
  /** Reads T tokens behind a commit, as if there were no memory; gives their loss. */
  readonly frozen: RuntimeSession;
  readonly commit: RuntimeSession | undefined;
}

function placesOf(policy: MemoryPolicy, tokenCount: number): number {
  const empty = policy.createState();
  const places = empty.feeds(tokenCount)[pastKeysName(0)]?.shape[2] ?? 0;
  empty.release();
  return places;
}

async function createStage(options: SegmentOptions, context: ContextSettings): Promise<Stage> {
  const { base, trained, runtime } = options;
  const { policy, inference } = options.makeModel(context);
  const { sinkTokens, slotTokens, windowTokens, segmentTokens: tokens } = context;
  const names = [...trained.keys()];
  const freed = [...base.keys(), ...names];
  const capacity = localCapacityTokens(context);
  const filling = {
    tokens: capacity,
    places: placesOf(policy, capacity),
    path: "base",
    logitRows: 1,
  } as const;
  const learning = { tokens, places: sinkTokens + slotTokens + windowTokens, path: "gated" } as const;
  const graphOf = (shape: RunShape): Graph => specializeForTraining(inference, policy, shape, freed);
  const withLoss = addNextTokenLoss(graphOf(learning));
  const graphs = {
    fill: graphOf(filling),
    read: graphOf({ ...learning, logitRows: 1 }),
    learn: differentiate(withLoss, { loss: lossNames.loss, parameters: names }),
    frozen: addNextTokenLoss(graphOf({ ...learning, path: "base" })),
    commit: policy.buildCommitGraph(),
  };
  const sessions: RuntimeSession[] = [];
  const compile = async (graph: Graph): Promise<RuntimeSession> => {
    const session = await runtime.createSession(graph);
    sessions.push(session);
    return session;
  };
  const close = async (): Promise<void> => {
    for (const session of sessions) await session[Symbol.asyncDispose]();
  };
  try {
    const [fill, read] = [await compile(graphs.fill), await compile(graphs.read)];
    const [learn, frozen] = [await compile(graphs.learn), await compile(graphs.frozen)];
    const commit = graphs.commit && (await compile(graphs.commit));
    return { context, policy, fill, read, learn, frozen, commit, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Reads a document into a state, and adds up the losses of its segments. */
async function readDocument(
  { context, policy, fill, read, commit }: Stage,
  learn: RuntimeSession,
  fixed: NamedTensors,
  { tokens, lossWeights }: TrainingDocument,
  onOutputs: (outputs: Readonly<Record<string, HostTensor>>) => void,
  signal: AbortSignal | undefined,
): Promise<DocumentLoss> {
  const state = policy.createState();
  const capacity = localCapacityTokens(context);
  let [loss, weight] = [0, 0];
  const run = async (session: RuntimeSession, count: number, feeds: NamedTensors) => {
    signal?.throwIfAborted();
    const outputs = await session.run(pickFeeds(session, fixed, feeds, state.feeds(count)));
    state.absorb(outputs, count);
    return outputs;
  };
  try {
    await run(fill, capacity, lossFeeds(tokens, lossWeights, 0, capacity, 1).feeds);
    for (let from = capacity; from < tokens.length; from += context.segmentTokens) {
      await state.commit(commit);
      const count = Math.min(context.segmentTokens, tokens.length - from);
      const part = lossFeeds(tokens, lossWeights, from, count);
      if (part.weight === 0) {
        await run(read, count, lossFeeds(tokens, lossWeights, from, count, 1).feeds);
        continue;
      }
      const outputs = await run(learn, count, part.feeds);
      onOutputs(outputs);
      loss += hostFloats(outputs[lossNames.loss], lossNames.loss)[0] ?? Number.NaN;
      weight += part.weight;
    }
  } finally {
    state.release();
  }
  return { loss, weight, tokenCount: tokens.length };
}

/** Is the objective, with what tells whether it begins where it should. */
export interface SegmentObjective extends Objective {
  /** Computes the loss of a document as if there were no memory: what closed gates must give. */
  measureFrozen(document: TrainingDocument, step: number, signal?: AbortSignal): Promise<DocumentLoss>;
}

/**
 * Creates the objective.
 * @throws {@link InvalidRequestError} when there are no settings, or no segments to learn from.
 */
export function createSegmentObjective(options: SegmentOptions): SegmentObjective {
  const { contexts, trained, base, segmentCount } = options;
  if (contexts.length === 0 || !(Number.isSafeInteger(segmentCount) && segmentCount > 0)) {
    throw new InvalidRequestError({
      where: "segment objective",
      what: "there is nothing to learn from",
      got: `${contexts.length} settings, ${segmentCount} segments`,
      expected: "one of each, or more",
    });
  }
  const stages = new Map<ContextSettings, Promise<Stage>>();
  const contextOf = (step: number): ContextSettings => {
    const context = contexts[step % contexts.length];
    if (context !== undefined) return context;
    throw new InternalError({ where: "segment objective", what: "no settings", got: step });
  };
  const stageAt = (step: number): Promise<Stage> => {
    const context = contextOf(step);
    const stage = stages.get(context) ?? createStage(options, context);
    stages.set(context, stage);
    return stage;
  };
  const names = [...trained.keys()];
  const fixed = { ...Object.fromEntries(base), ...Object.fromEntries(trained) };
  return {
    parameters: new Map([...trained].map(([name, { data }]) => [name, data])),
    lengthTokens(step) {
      const context = contextOf(step);
      return localCapacityTokens(context) + segmentCount * context.segmentTokens;
    },
    async accumulate(document, sums, step, signal) {
      const stage = await stageAt(step);
      const add = (outputs: Readonly<Record<string, HostTensor>>): void => {
        const gradients = names.map((name) => [name, hostFloats(outputs[gradientName(name)], name)] as const);
        addScaled(sums, new Map(gradients), 1);
      };
      return readDocument(stage, stage.learn, fixed, document, add, signal);
    },
    async measureFrozen(document, step, signal) {
      const stage = await stageAt(step);
      return readDocument(stage, stage.frozen, fixed, document, () => {}, signal);
    },
    async [Symbol.asyncDispose]() {
      for (const stage of stages.values()) await (await stage)[Symbol.asyncDispose]();
    },
  };
}
