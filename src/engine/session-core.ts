/**
 * The core of a session: its state and the reading of tokens into it, one run after another.
 *
 * Between two runs it is always whole: an abort or an error leaves the tokens taken in so far, no more, no less.
 */

import { InvalidRequestError } from "../errors.ts";
import type { MemoryState } from "../memory/policy.ts";
import type { Inference } from "./inference.ts";
import { type ReadingKind, SpeedMeter } from "./stats.ts";
import type { ChatTranscript } from "./transcript.ts";

/** How many of the last tokens a session remembers by id, for the repetition penalty and for decoding. */
export const recentTokenCount = 64;

/** Is the mutable heart of a session. */
export class SessionCore {
  readonly inference: Inference;
  readonly speed: SpeedMeter = new SpeedMeter();
  state: MemoryState;
  /** After the last token read, float32 `[V]`. */
  logits: Float32Array | undefined;
  recentIds: readonly number[] = [];
  transcript: ChatTranscript | undefined;

  constructor(inference: Inference, state: MemoryState) {
    this.inference = inference;
    this.state = state;
  }

  /** Refuses more tokens than the policy can hold. @throws {@link InvalidRequestError} */
  assertFits(tokenCount: number): void {
    const { maxLengthTokens, name, lengthRemedy } = this.inference.policy;
    const total = this.state.lengthTokens + tokenCount;
    if (total <= maxLengthTokens) return;
    throw new InvalidRequestError({
      where: "append",
      what: `the stream would outgrow the ${name} cache`,
      got: `${total} tokens`,
      expected: `at most ${maxLengthTokens}`,
      ...(lengthRemedy !== undefined && { remedy: lengthRemedy }),
    });
  }

  /**
   * Makes room if need be and tells how many tokens the next run can read.
   * @param kind - of that run, whose speed counts this too.
   * @throws {@link InvalidRequestError} when the policy is full.
   */
  async makeRoom(kind: ReadingKind): Promise<number> {
    if (this.state.roomTokens > 0) return this.state.roomTokens;
    this.assertFits(1);
    const start = performance.now();
    await this.inference.commit(this.state);
    this.speed.count(kind, 0, start);
    return this.state.roomTokens;
  }

  /**
   * Reads one run of tokens, at most what {@link makeRoom} told.
   * @returns the logits of the last `logitRowCount` of them, float32 `[N, V]`.
   */
  async read(tokenIds: readonly number[], kind: ReadingKind, logitRowCount = 1): Promise<Float32Array> {
    const start = performance.now();
    const logits = await this.inference.read(this.state, tokenIds, logitRowCount);
    // A copy, so that no session holds on to the rows of a whole run.
    this.logits = logitRowCount === 1 ? logits : logits.slice(-logits.length / logitRowCount);
    this.recentIds = [...this.recentIds, ...tokenIds.slice(-recentTokenCount)].slice(-recentTokenCount);
    this.speed.count(kind, tokenIds.length, start);
    return logits;
  }

  /** Reads one generated token. */
  async readOne(tokenId: number): Promise<void> {
    await this.makeRoom("decode");
    await this.read([tokenId], "decode");
  }

  /** Starts over, empty. */
  reset(): void {
    this.state.release();
    this.state = this.inference.createState();
    this.logits = undefined;
    this.recentIds = [];
    this.transcript = undefined;
  }

  clone(): SessionCore {
    const twin = new SessionCore(this.inference, this.state.clone());
    twin.logits = this.logits;
    twin.recentIds = this.recentIds;
    twin.transcript = this.transcript;
    return twin;
  }
}
