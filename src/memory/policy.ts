/**
 * What a memory policy is: how a model's attention remembers its stream.
 *
 * A policy has two halves. In graphs it writes the attention of each layer (and perhaps a commit graph); on
 * the host it keeps a session's state, feeds it to the graphs and takes in what they give. Engine and models
 * know only these interfaces, so that variants and baselines plug in here.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { NamedTensors, RuntimeSession } from "../runtime/runtime.ts";
import type { Tensor, TensorMemory } from "../runtime/tensor-memory.ts";
import type { ArraySize } from "./state-arrays.ts";

/** Names a policy. */
export type PolicyName =
  | "paper"
  | "plus"
  | "infini"
  | "keydiff"
  | "h2o"
  | "snapkv"
  | "pyramidkv"
  | "streaming"
  | "full";

/** Is what one layer's attention works on, none of it rotated. */
export interface AttentionInputs {
  /** `[T, H, D]` float32. */
  readonly query: Value;
  /** `[T, K, D]` float32. */
  readonly key: Value;
  /** `[T, K, D]` float32. */
  readonly value: Value;
  /** What the projections were computed from, `[T, E]` float32. */
  readonly hidden: Value;
}

/** Writes the attention of one inference graph. */
export interface AttentionWriter {
  /** The positions of the new tokens, int64 `[T]`; only for models that have learned a vector for each. */
  readonly positions: Value | undefined;
  /** Writes a layer's attention; gives the heads' outputs side by side, `[T, H*D]`, before the output projection. */
  attend(layerIndex: number, inputs: AttentionInputs): Value;
  /** Ends the writing; gives the graph's outputs that the state takes in. */
  finish(): readonly Value[];
}

/** Counts where the tokens of a stream are. Their sum is the stream's length. */
export interface TokenCounts {
  readonly sinks: number;
  readonly slots: number;
  readonly local: number;
  readonly memory: number;
  /** Tokens that nothing remembers: always 0 but in baselines that forget. */
  readonly dropped: number;
}

/** Is one named array of a state, as it is saved. */
export interface StateArray {
  readonly name: string;
  readonly data: Float32Array | Float64Array;
}

/** Is what a session remembers. Every method leaves it valid; a failed run changes nothing. */
export interface MemoryState {
  /** Tokens of the stream so far. */
  readonly lengthTokens: number;
  readonly commitCount: number;
  /** Bytes that the state occupies. */
  readonly sizeBytes: number;
  readonly tokenCounts: TokenCounts;
  /** Whether attention reads the memory: `gated`, or only what is exact: `base`. */
  readonly path: "base" | "gated";
  /**
   * Mean opening of the read gates over the tokens that passed them, by layer with a memory and query head; empty when
   * none has.
   */
  readonly gateOpening: readonly (readonly number[])[];
  /** Tokens that can be read before a commit is due (0: now); never more than one run may read. */
  readonly roomTokens: number;
  /** Gives what the inference graph needs to read `tokenCount` more tokens. */
  feeds(tokenCount: number): NamedTensors;
  /** Takes in what the inference graph gave for them. */
  absorb(outputs: NamedTensors, tokenCount: number): void;
  /** Moves the oldest segment out of the local cache; needs the policy's commit graph, if there is one. */
  commit(session: RuntimeSession<Tensor> | undefined): Promise<void>;
  clone(): MemoryState;
  /** Gives the arrays that, with the length, are the whole state. Copies. */
  exportArrays(): Promise<readonly StateArray[]>;
  /** Lets the state's memory go; it cannot be used afterwards. */
  release(): void;
}

/** Remembers streams in one way. */
export interface MemoryPolicy {
  readonly name: PolicyName;
  /** Most tokens of a stream; Infinity when the state does not grow. */
  readonly maxLengthTokens: number;
  /** What to do about streams that are longer; undefined when none is. */
  readonly lengthRemedy?: string;
  /** Bytes of a state that has read `lengthTokens` tokens; constant when the policy is bounded. */
  stateBytesAt(lengthTokens: number): number;
  beginAttention(builder: GraphBuilder): AttentionWriter;
  /**
   * Gives the inputs that choose which parts of the inference graph are evaluated, by the number of new tokens and
   * the path: what {@link MemoryState.feeds} has of them.
   */
  switches(tokenCount: number, path: MemoryState["path"]): NamedTensors;
  /** Writes the graph that a commit runs; undefined when the host can do it alone. */
  buildCommitGraph(): Graph | undefined;
  /** Makes an empty state, on the host unless another memory is given. */
  createState(memory?: TensorMemory): MemoryState;
  /** Lists names and element counts of the arrays of a state of that length, in order. */
  arraySizes(lengthTokens: number): readonly ArraySize[];
  /**
   * Makes a state from its length and arrays.
   * @param arrays as {@link MemoryState.exportArrays} gave them, sizes already checked.
   */
  restoreState(
    lengthTokens: number,
    arrays: ReadonlyMap<string, Float32Array | Float64Array>,
    memory?: TensorMemory,
  ): MemoryState;
}
