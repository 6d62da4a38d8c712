/**
 * The loaded graphs of a model: reads tokens into states. All sessions of a model share it.
 *
 * Runs of different sessions take turns: they would only slow each other down on the same cores, and their
 * working memory would add up.
 */

import { DisposedError, UnsupportedError } from "../errors.ts";
import type { MemoryPolicy, MemoryState } from "../memory/policy.ts";
import { inferenceNames } from "../models/decoder.ts";
import { Mutex } from "../runtime/mutex.ts";
import type { RuntimeSession } from "../runtime/runtime.ts";
import {
  hostFloats,
  hostMemory,
  releaseTensors,
  type Tensor,
  type TensorMemory,
} from "../runtime/tensor-memory.ts";
import { hostTensor } from "../tensor/host-tensor.ts";

/** Says where and in what graphs compute. */
export interface InferenceOptions {
  /** Where states live: on the host, unless the runtime has a place for them. */
  readonly memory?: TensorMemory | undefined;
  /** Whether products are computed in float16, whose range numbers can leave. */
  readonly isHalf?: boolean;
}

/**
 * Refuses logits that are not numbers. An infinity anywhere in a run makes them so: the next norm makes NaN of it,
 * and a token's NaN goes into what every later one attends to. (In the last layer, only the last token counts.)
 */
function assertFinite(logits: Float32Array): void {
  if (logits.every(Number.isFinite)) return;
  throw new UnsupportedError({
    where: "dtype",
    what: "a product of this model has left the range of float16",
    got: "f16",
    expected: "numbers up to 65504",
    remedy: 'Load it with dtype "q8" or "f32".',
  });
}

/** Runs a model's graphs. */
export class Inference implements AsyncDisposable {
  readonly policy: MemoryPolicy;
  /** Where states live. */
  readonly memory: TensorMemory;
  readonly #forward: RuntimeSession<Tensor>;
  readonly #commit: RuntimeSession<Tensor> | undefined;
  readonly #isHalf: boolean;
  readonly #mutex = new Mutex();
  #isDisposed = false;

  constructor(
    policy: MemoryPolicy,
    forward: RuntimeSession<Tensor>,
    commit: RuntimeSession<Tensor> | undefined,
    { memory = hostMemory, isHalf = false }: InferenceOptions = {},
  ) {
    this.policy = policy;
    this.#forward = forward;
    this.#commit = commit;
    this.memory = memory;
    this.#isHalf = isHalf;
  }

  /** Creates an empty state. @throws {@link OutOfMemoryError} when there is no room for it. */
  createState(): MemoryState {
    return this.policy.createState(this.memory);
  }

  /**
   * Reads one run of tokens, after a commit when one is due.
   * @param tokenIds at least one, at most {@link MemoryState.roomTokens} after the commit.
   * @param logitRowCount N, how many of the last ones have logits.
   * @returns the logits of those, float32 `[N, V]`.
   * @throws {@link UnsupportedError} when float16 could not hold a product; the state is as it was then.
   */
  read(state: MemoryState, tokenIds: readonly number[], logitRowCount = 1): Promise<Float32Array> {
    return this.#mutex.run(async () => {
      this.#assertOpen();
      await this.memory.ready();
      const count = tokenIds.length;
      const rows = BigInt64Array.from({ length: logitRowCount }, (_, row) =>
        BigInt(count - logitRowCount + row),
      );
      const outputs = await this.#forward.run({
        ...state.feeds(count),
        [inferenceNames.tokenIds]: hostTensor("int64", [count], BigInt64Array.from(tokenIds, BigInt)),
        [inferenceNames.logitRows]: hostTensor("int64", [logitRowCount], rows),
      });
      const logits = hostFloats(outputs[inferenceNames.logits], inferenceNames.logits);
      try {
        if (this.#isHalf) assertFinite(logits);
        state.absorb(outputs, count);
      } finally {
        releaseTensors(outputs);
      }
      return logits;
    });
  }

  /** Moves the oldest segment of a state into its memory. */
  commit(state: MemoryState): Promise<void> {
    return this.#mutex.run(async () => {
      this.#assertOpen();
      await state.commit(this.#commit);
    });
  }

  /** Work that still waits when the model ends is refused, not run. */
  #assertOpen(): void {
    if (!this.#isDisposed) return;
    throw new DisposedError({
      where: "model",
      what: "the model has been disposed",
      remedy: "Load it again.",
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    await this.#mutex.run(async () => {
      await this.#forward[Symbol.asyncDispose]();
      await this.#commit?.[Symbol.asyncDispose]();
    });
  }
}
