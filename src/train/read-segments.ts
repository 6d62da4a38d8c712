/**
 * Reading documents in training as inference reads them: the first C tokens, then segments behind commits. Before the
 * first commit nothing is learned, since nothing that is trained takes part.
 *
 * The gradient of a loss goes back through at most k segments before its own: truncated back-propagation through time
 * (Williams & Peng, 1990). A document is cut into chunks of k + 1 segments, the first of which may have fewer, and the
 * gradient is exact within a chunk, with the state before it held fixed. Within a chunk segments are read, the state
 * before each commit is kept, and then the chunk is walked back: each segment runs again with the gradients of the
 * state that it left, and gives those of the state that it got. So memory grows with k and not with the document; with
 * k = 0 each segment is a chunk: the state is detached, and nothing is kept or run again.
 */

import { InternalError } from "../errors.ts";
import { localCapacityTokens } from "../memory/geometry.ts";
import type { MemoryState } from "../memory/policy.ts";
import { SegmentedState } from "../memory/segmented-state.ts";
import type { NamedTensors, RuntimeSession } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { DocumentLoss } from "./objective.ts";
import type { SegmentStage } from "./segment-stage.ts";
import { lossNames, tokenFeeds } from "./training-graph.ts";
import { pickFeeds } from "./weight-tensors.ts";

/** Is what a run gave. */
export type RunOutputs = Readonly<Record<string, HostTensor>>;

/** Is what the loss of a segment needs. */
export interface SegmentFeeds {
  readonly feeds: Record<string, HostTensor>;
  /** Sum of the weights of its tokens. */
  readonly weight: number;
}

/** Takes part in the reading of a document. */
export interface SegmentHooks {
  /** Gives what the loss of `count` tokens from `from` on needs. */
  feedsAt(from: number, count: number): SegmentFeeds;
  /** Gives what runs without a loss are fed of `count` tokens from `from` on; their ids where it is left out. */
  plainFeedsAt?(from: number, count: number): NamedTensors;
  /** Takes in what a run that learns gave. */
  onLearned(outputs: RunOutputs): void | Promise<void>;
  /** Takes in what every run gave for its tokens. */
  onRun?(outputs: RunOutputs, count: number): void;
  onCommit?(state: MemoryState): void;
}

/** Is T tokens behind a commit. */
interface Segment extends SegmentFeeds {
  readonly from: number;
  readonly count: number;
}

/** Says how a document is read. */
export interface SegmentReading {
  readonly stage: SegmentStage;
  /** What reads segments that have a loss. */
  readonly which: "learn" | "frozen";
  /** Weights by their names. */
  readonly fixed: NamedTensors;
  /** Their number beyond C must be a multiple of T. */
  readonly tokens: Int32Array;
  readonly hooks: SegmentHooks;
  readonly signal: AbortSignal | undefined;
}

/** Gives a session that is fed weights too. */
function feedWeights(session: RuntimeSession | undefined, fixed: NamedTensors): RuntimeSession | undefined {
  return (
    session && {
      ...{ inputNames: session.inputNames, outputNames: session.outputNames },
      run: (feeds, outputs) => session.run({ ...pickFeeds(session, fixed), ...feeds }, outputs),
      [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
    }
  );
}

/** Reads one document into a state. */
class SegmentReader {
  readonly #reading: SegmentReading;
  readonly #state: MemoryState;
  readonly #commit: RuntimeSession | undefined;
  #loss = 0;
  #weight = 0;

  constructor(reading: SegmentReading) {
    this.#reading = reading;
    this.#state = reading.stage.policy.createState();
    this.#commit = feedWeights(reading.stage.commit, reading.fixed);
  }

  async read(): Promise<DocumentLoss> {
    const { stage, which, tokens } = this.#reading;
    const { segmentTokens } = stage.context;
    const capacity = localCapacityTokens(stage.context);
    const mostSegments = which === "learn" ? 1 + (stage.bptt?.depth ?? 0) : 1;
    const segmentCount = Math.ceil((tokens.length - capacity) / segmentTokens);
    try {
      await this.#advance(stage.fill, capacity, this.#plainFeeds(0, capacity));
      for (let done = 0; done < segmentCount; ) {
        // The chunk that is not whole comes first: there is least to go back to.
        const count = (segmentCount - done) % mostSegments || mostSegments;
        await this.#readChunk(capacity + done * segmentTokens, count);
        done += count;
      }
    } finally {
      this.#state.release();
    }
    return { loss: this.#loss, weight: this.#weight, tokenCount: tokens.length };
  }

  /**
   * Reads segments that follow one another, and goes back through them.
   * @param from the first token of the first.
   */
  async #readChunk(from: number, segmentCount: number): Promise<void> {
    const { stage, which, tokens, hooks } = this.#reading;
    const { segmentTokens } = stage.context;
    const segments = Array.from({ length: segmentCount }, (_, index): Segment => {
      const first = from + index * segmentTokens;
      const count = Math.min(segmentTokens, tokens.length - first);
      return { from: first, count, ...hooks.feedsAt(first, count) };
    });
    // Behind the last that has a loss there is nothing to go back from.
    const last = segments.findLastIndex(({ weight }) => weight !== 0);
    const kept: MemoryState[] = [];
    for (const [index, { from: first, count, feeds, weight }] of segments.entries()) {
      if (last > 0 && index <= last) kept.push(this.#state.clone());
      await this.#state.commit(this.#commit);
      hooks.onCommit?.(this.#state);
      if (index !== last) {
        await this.#advance(stage.read, count, this.#plainFeeds(first, count));
        continue;
      }
      const above = stage.bptt?.state.noGradient();
      const outputs = await this.#advance(stage[which], count, { ...feeds, ...above });
      await this.#takeIn(outputs, weight);
      await this.#walkBack(segments.slice(0, last), kept, outputs);
    }
  }

  /**
   * Goes back through segments that were read.
   * @param kept the states before the commits of all of them and of the one behind them.
   * @param behind what the one behind them gave.
   */
  async #walkBack(
    segments: readonly Segment[],
    kept: readonly MemoryState[],
    behind: RunOutputs,
  ): Promise<void> {
    const { stage, signal } = this.#reading;
    const { bptt, learn } = stage;
    let outputs = behind;
    for (const [index, segment] of [...segments.entries()].toReversed()) {
      // The first is needed for nothing else.
      const before = index === 0 ? kept[0] : kept[index]?.clone();
      const left = kept[index + 1];
      if (bptt === undefined || before === undefined || !(left instanceof SegmentedState))
        throw new InternalError({
          where: "truncated back-propagation",
          what: "nothing was kept to go back to",
        });
      signal?.throwIfAborted();
      const feeds = pickFeeds(bptt.retreat, left.commitFeeds(), bptt.state.behindCommit(outputs));
      const above = bptt.state.behindSegment(await bptt.retreat.run(feeds));
      await before.commit(this.#commit);
      outputs = await this.#run(learn, { ...segment.feeds, ...above }, before, segment.count);
      await this.#takeIn(outputs, segment.weight);
      before.release();
      left.release();
    }
  }

  async #takeIn(outputs: RunOutputs, weight: number): Promise<void> {
    await this.#reading.hooks.onLearned(outputs);
    this.#loss += hostFloats(outputs[lossNames.loss], lossNames.loss)[0] ?? Number.NaN;
    this.#weight += weight;
  }

  #plainFeeds(from: number, count: number): NamedTensors {
    const { hooks, tokens } = this.#reading;
    return hooks.plainFeedsAt?.(from, count) ?? tokenFeeds(tokens, from, count);
  }

  async #run(
    session: RuntimeSession,
    feeds: NamedTensors,
    state: MemoryState,
    count: number,
  ): Promise<RunOutputs> {
    const { fixed, signal } = this.#reading;
    signal?.throwIfAborted();
    return session.run(pickFeeds(session, fixed, feeds, state.feeds(count)));
  }

  /** Runs tokens into the state. */
  async #advance(session: RuntimeSession, count: number, feeds: NamedTensors): Promise<RunOutputs> {
    const outputs = await this.#run(session, feeds, this.#state, count);
    this.#state.absorb(outputs, count);
    this.#reading.hooks.onRun?.(outputs, count);
    return outputs;
  }
}

/** Reads a document into a state, and adds up the losses of its segments. */
export function readSegments(reading: SegmentReading): Promise<DocumentLoss> {
  return new SegmentReader(reading).read();
}
