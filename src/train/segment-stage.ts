/**
 * Models compiled to read documents in training: graphs of the first C tokens, of segments behind commits, and of
 * commits, over a base that stays frozen (EdgeInfinite, arXiv 2503.22196, section 3.3; arXiv 2508.00370).
 */

import { differentiate } from "../autodiff/differentiate.ts";
import { InvalidRequestError } from "../errors.ts";
import { freeConstants } from "../graph/free-constants.ts";
import type { Graph } from "../graph/graph.ts";
import { pruneGraph } from "../graph/rewrite.ts";
import { type AttentionGeometry, type ContextSettings, localCapacityTokens } from "../memory/geometry.ts";
import { pastKeysName } from "../memory/local-attention.ts";
import type { MemoryPolicy } from "../memory/policy.ts";
import type { Runtime, RuntimeSession } from "../runtime/runtime.ts";
import { buildCarriedGraphs, type CarriedState } from "./carried-state.ts";
import { lossNames, type RunShape, specializeForTraining } from "./training-graph.ts";

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
  /** Goes back through segments; a state is detached between them where it is left out. */
  readonly bptt?: {
    /** Segments before its own that the gradient of a loss goes back through at most; from 1. */
    readonly depth: number;
    readonly geometry: AttentionGeometry;
  };
}

/** Is what a stage goes back through segments with. */
export interface StageBptt {
  readonly depth: number;
  readonly state: CarriedState;
  /** Gives the gradients of the state before a commit from those behind it. */
  readonly retreat: RuntimeSession;
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
  /** Takes weights, of a policy whose commits have some, besides what a state gives. */
  readonly commit: RuntimeSession | undefined;
  /** Undefined where the state is detached between segments. */
  readonly bptt: StageBptt | undefined;
}

function placesOf(policy: MemoryPolicy, tokenCount: number): number {
  const empty = policy.createState();
  const places = empty.feeds(tokenCount)[pastKeysName(0)]?.shape[2] ?? 0;
  empty.release();
  return places;
}

/** Writes the commit graph of a policy, whose weights are fed. */
function writeCommit(policy: MemoryPolicy, fed: readonly string[]): Graph | undefined {
  const graph = policy.buildCommitGraph();
  const weights = new Set(graph?.initializers.map(({ value }) => value.name));
  return (
    graph &&
    freeConstants(
      graph,
      fed.filter((name) => weights.has(name)),
    )
  );
}

/** Compiles a model for training. */
export async function createSegmentStage(options: StageOptions): Promise<SegmentStage> {
  const { model, fed, wanted, addLoss, runtime, bptt } = options;
  const { context, policy, inference } = model;
  const { sinkTokens, slotTokens, windowTokens, segmentTokens: tokens } = context;
  const capacity = localCapacityTokens(context);
  const filling = { tokens: capacity, places: placesOf(policy, capacity), path: "base" } as const;
  const learning = { tokens, places: sinkTokens + slotTokens + windowTokens, path: "gated" } as const;
  const graphOf = (shape: RunShape): Graph => specializeForTraining(inference, policy, shape, fed);
  const learnt = addLoss(graphOf(learning));
  const others = learnt.outputs.flatMap(({ name }) => (name === lossNames.loss ? [] : [name]));
  const committing = writeCommit(policy, fed);
  const carried =
    bptt === undefined || committing === undefined
      ? undefined
      : buildCarriedGraphs({
          ...{ geometry: bptt.geometry, context, wanted, loss: lossNames.loss },
          ...{ segment: learnt, commit: committing },
        });
  const graphs = {
    fill: pruneGraph(graphOf(filling), others),
    read: pruneGraph(graphOf(learning), others),
    learn: carried?.learn ?? differentiate(learnt, { loss: lossNames.loss, parameters: wanted }),
    frozen: addLoss(graphOf({ ...learning, path: "base" })),
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
    const commit = committing && (await compile(committing));
    const back = carried &&
      bptt && { depth: bptt.depth, state: carried.state, retreat: await compile(carried.retreat) };
    return { context, policy, fill, read, learn, frozen, commit, bptt: back, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
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
