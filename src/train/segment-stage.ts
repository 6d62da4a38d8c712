/**
 * Reading documents in training as inference reads them: the first C tokens, then segments behind commits, over a
 * base that stays frozen (EdgeInfinite, arXiv 2503.22196, section 3.3; arXiv 2508.00370).
 *
 * The state is detached between segments: each segment's graph gives its own gradients, so that memory does not
 * grow with the document. Before the first commit nothing is learned, since nothing that is trained takes part.
 */

import { differentiate } from "../autodiff/differentiate.ts";
import { InvalidRequestError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { pruneGraph } from "../graph/rewrite.ts";
import { type ContextSettings, localCapacityTokens } from "../memory/geometry.ts";
import { pastKeysName } from "../memory/local-attention.ts";
import type { MemoryPolicy, MemoryState } from "../memory/policy.ts";
import type { NamedTensors, Runtime, RuntimeSession } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { DocumentLoss } from "./objective.ts";
import { lossNames, type RunShape, specializeForTraining, tokenFeeds } from "./training-graph.ts";
import { pickFeeds } from "./weight-tensors.ts";

/** Is a way to remember with the inference graph that it writes. */
export interface SegmentedModel {
  readonly context: ContextSettings;
  readonly policy: MemoryPolicy;
  readonly inference: Graph;
}

/** Says how a model is compiled for training. */
export interface StageOptions {
  readonly model: SegmentedModel;
  /** Names of the weights that are fed: trained ones and frozen ones. */
  readonly fed: readonly string[];
  /** Names of the values of which the gradient of the loss is wanted. */
  readonly wanted: readonly string[];
  /** Puts the loss on a graph, as its first output, in the place of the outputs that it is computed from. */
  readonly addLoss: (graph: Graph) => Graph;
  readonly runtime: Runtime;
}

/** Is a model compiled for training. */
export interface SegmentStage extends AsyncDisposable {
  readonly context: ContextSettings;
  readonly policy: MemoryPolicy;
  /** Reads the first C tokens. */
  readonly fill: RuntimeSession;
  /** Reads T tokens behind a commit, where nothing is to be learned. */
  readonly read: RuntimeSession;
  /** Reads T tokens behind a commit; gives their loss, and its gradients. */
  readonly learn: RuntimeSession;
  /** Reads T tokens behind a commit, as if nothing were trained; gives their loss. */
  readonly frozen: RuntimeSession;
  readonly commit: RuntimeSession | undefined;
}

function placesOf(policy: MemoryPolicy, tokenCount: number): number {
  const empty = policy.createState();
  const places = empty.feeds(tokenCount)[pastKeysName(0)]?.shape[2] ?? 0;
  empty.release();
  return places;
}

/** Compiles a model for training. */
export async function createSegmentStage(options: StageOptions): Promise<SegmentStage> {
  const { model, fed, wanted, addLoss, runtime } = options;
  const { context, policy, inference } = model;
  const { sinkTokens, slotTokens, windowTokens, segmentTokens: tokens } = context;
  const capacity = localCapacityTokens(context);
  const filling = { tokens: capacity, places: placesOf(policy, capacity), path: "base" } as const;
  const learning = { tokens, places: sinkTokens + slotTokens + windowTokens, path: "gated" } as const;
  const graphOf = (shape: RunShape): Graph => specializeForTraining(inference, policy, shape, fed);
  const learnt = addLoss(graphOf(learning));
  const others = learnt.outputs.flatMap(({ name }) => (name === lossNames.loss ? [] : [name]));
  const graphs = {
    fill: pruneGraph(graphOf(filling), others),
    read: pruneGraph(graphOf(learning), others),
    learn: differentiate(learnt, { loss: lossNames.loss, parameters: wanted }),
    frozen: addLoss(graphOf({ ...learning, path: "base" })),
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

/** Is what a run gave. */
export type RunOutputs = Readonly<Record<string, HostTensor>>;

/** Takes part in the reading of a document. */
export interface SegmentHooks {
  /** Gives what the loss of `count` tokens from `from` on needs, and the sum of its weights. */
  feedsAt(
    from: number,
    count: number,
  ): { readonly feeds: Record<string, HostTensor>; readonly weight: number };
  /** Gives what runs without a loss are fed of `count` tokens from `from` on; their ids where it is left out. */
  plainFeedsAt?(from: number, count: number): NamedTensors;
  /** Takes in what a run that learns gave. */
  onLearned(outputs: RunOutputs): void | Promise<void>;
  /** Takes in what every run gave for its tokens. */
  onRun?(outputs: RunOutputs, count: number): void;
  onCommit?(state: MemoryState): void;
}

/**
 * Reads a document into a state, and adds up the losses of its segments.
 * @param learn what reads segments that have a loss.
 * @param fixed weights by their names.
 * @param tokens their number beyond C must be a multiple of T.
 */
export async function readSegments(
  { context, policy, fill, read, commit }: SegmentStage,
  learn: RuntimeSession,
  fixed: NamedTensors,
  tokens: Int32Array,
  hooks: SegmentHooks,
  signal: AbortSignal | undefined,
): Promise<DocumentLoss> {
  const state = policy.createState();
  const capacity = localCapacityTokens(context);
  const idsAt = (from: number, count: number): NamedTensors => tokenFeeds(tokens, from, count);
  const { plainFeedsAt = idsAt } = hooks;
  let [loss, weight] = [0, 0];
  const run = async (session: RuntimeSession, count: number, feeds: NamedTensors): Promise<RunOutputs> => {
    signal?.throwIfAborted();
    const outputs = await session.run(pickFeeds(session, fixed, feeds, state.feeds(count)));
    state.absorb(outputs, count);
    hooks.onRun?.(outputs, count);
    return outputs;
  };
  try {
    await run(fill, capacity, plainFeedsAt(0, capacity));
    for (let from = capacity; from < tokens.length; from += context.segmentTokens) {
      await state.commit(commit);
      hooks.onCommit?.(state);
      const count = Math.min(context.segmentTokens, tokens.length - from);
      const part = hooks.feedsAt(from, count);
      if (part.weight === 0) {
        await run(read, count, plainFeedsAt(from, count));
        continue;
      }
      const outputs = await run(learn, count, part.feeds);
      await hooks.onLearned(outputs);
      loss += hostFloats(outputs[lossNames.loss], lossNames.loss)[0] ?? Number.NaN;
      weight += part.weight;
    }
  } finally {
    state.release();
  }
  return { loss, weight, tokenCount: tokens.length };
}

/** Compiles stages when steps first need them; steps take settings in turn. */
export class SegmentStages implements AsyncDisposable {
  readonly #contexts: readonly ContextSettings[];
  readonly #create: (context: ContextSettings) => Promise<SegmentStage>;
  readonly #stages = new Map<ContextSettings, Promise<SegmentStage>>();

  /** @throws {@link InvalidRequestError} when there are no settings. */
  constructor(
    contexts: readonly ContextSettings[],
    create: (context: ContextSettings) => Promise<SegmentStage>,
  ) {
    this.#contexts = contexts;
    this.#create = create;
    this.contextAt(0);
  }

  /** Returns the settings of a step. */
  contextAt(step: number): ContextSettings {
    const context = this.#contexts[step % this.#contexts.length];
    if (context !== undefined) return context;
    throw new InvalidRequestError({
      where: "contexts",
      what: "there is nothing to learn from: no settings",
      got: this.#contexts.length,
      expected: "one or more",
    });
  }

  /** Returns the stage of a step. */
  stageAt(step: number): Promise<SegmentStage> {
    const context = this.contextAt(step);
    const stage = this.#stages.get(context) ?? this.#create(context);
    this.#stages.set(context, stage);
    return stage;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stage of this.#stages.values()) await (await stage)[Symbol.asyncDispose]();
  }
}
