/**
 * A session: one stream of tokens and what the model remembers of it.
 *
 * One thing at a time: a call while another is under way is refused, so that no order of tokens is ever
 * left to chance.
 */

import { DisposedError, InvalidRequestError } from "../errors.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import { type ChatEvent, type ChatModel, type ChatOptions, chat } from "./chat.ts";
import { type GenerateEvent, type GenerateOptions, generate, prepareGeneration } from "./generate.ts";
import { sessionBytes } from "./memory-estimate.ts";
import { type AppendOptions, type AppendResult, type InputEncoding, prefill } from "./prefill.ts";
import { type ScoreResult, score } from "./score.ts";
import type { SessionCore } from "./session-core.ts";
import { encodeSession, type SessionIdentity } from "./session-file.ts";
import { gatherStats, type SessionStats } from "./stats.ts";
import type { SessionInput } from "./token-input.ts";

/** Is what a session needs of its model. */
export interface SessionModel extends ChatModel {
  readonly isDisposed: boolean;
  readonly identity: SessionIdentity;
  readonly weightBytes: number;
  readonly fullCacheBytesPerToken: number;
}

/**
 * Reads, generates, saves. Made by {@link Model.createSession}.
 * @example
 * const session = model.createSession();
 * await session.append("Once upon a time");
 * for await (const event of session.generate({ maxNewTokens: 50 })) {
 *   if (event.type === "token") process.stdout.write(event.text);
 * }
 */
export class Session implements Disposable {
  readonly #model: SessionModel;
  #live: SessionCore | undefined;
  #activity: string | undefined;

  /** @internal */
  constructor(model: SessionModel, core: SessionCore) {
    this.#model = model;
    this.#live = core;
  }

  get #core(): SessionCore {
    if (this.#live !== undefined && !this.#model.isDisposed) return this.#live;
    const what = this.#live === undefined ? "the session has been disposed" : "the model has been disposed";
    throw new DisposedError({ where: "session", what, remedy: "Create a new one." });
  }

  /** Takes the session for one call; gives its core. */
  #begin(activity: string): SessionCore {
    const core = this.#core;
    if (this.#activity !== undefined) {
      throw new InvalidRequestError({
        where: `session.${activity}`,
        what: "the session is busy",
        got: `${this.#activity} under way`,
        expected: "one call at a time",
        remedy: "Await the earlier call, or work on a clone.",
      });
    }
    this.#activity = activity;
    return core;
  }

  async #exclusively<Result>(
    activity: string,
    work: (core: SessionCore) => Promise<Result>,
  ): Promise<Result> {
    const core = this.#begin(activity);
    try {
      return await work(core);
    } finally {
      this.#activity = undefined;
    }
  }

  async *#stream<Event>(
    activity: string,
    events: (core: SessionCore) => AsyncGenerator<Event, void, void>,
  ): AsyncGenerator<Event, void, void> {
    const core = this.#begin(activity);
    try {
      yield* events(core);
    } finally {
      this.#activity = undefined;
    }
  }

  /** Tokens of the stream so far. */
  get lengthTokens(): number {
    return this.#core.state.lengthTokens;
  }

  /** Bytes of the state, last logits included; constant but for the policy `full`. */
  get stateBytes(): number {
    return sessionBytes(this.#core.state.sizeBytes, this.#model.vocabularySize);
  }

  /** After the last token read, float32 `[V]`; undefined in an empty session. */
  get logits(): Float32Array | undefined {
    return this.#core.logits;
  }

  /** Tells what the session holds, what it costs and how fast it has been. */
  get stats(): SessionStats {
    const { weightBytes, fullCacheBytesPerToken } = this.#model;
    return gatherStats(this.#core.state, this.#core.speed, {
      policy: this.#core.inference.policy.name,
      weightBytes,
      stateBytes: this.stateBytes,
      fullCacheBytes: fullCacheBytesPerToken * this.lengthTokens,
    });
  }

  /**
   * Reads text or token ids after what was read before. Ends early, with what was read kept, on abort.
   * @param input text is encoded piece by piece; a stream of text may be endless.
   * @throws {@link InvalidRequestError} when the input is empty or holds an id out of range (nothing is read
   * then), does not fit the policy, or the session is busy; {@link DisposedError}; the signal's reason on abort.
   */
  append(input: SessionInput, options: AppendOptions = {}): Promise<AppendResult> {
    return this.#exclusively("append", (core) => prefill(core, input, options, this.#encodingOf(options)));
  }

  /**
   * Reads as {@link append} does and tells how likely each token was, given all that the session remembers of
   * those before it. Perplexity is `exp` of the mean of the negated likelihoods.
   * @throws as {@link append} does.
   */
  score(input: SessionInput, options: AppendOptions = {}): Promise<ScoreResult> {
    return this.#exclusively("score", (core) => score(core, input, options, this.#encodingOf(options)));
  }

  #encodingOf({ addSpecialTokens }: AppendOptions): InputEncoding {
    const { tokenizer, vocabularySize } = this.#model;
    return { tokenizer, vocabularySize, ...(addSpecialTokens !== undefined && { addSpecialTokens }) };
  }

  /**
   * Generates tokens after what was read. What was yielded is part of the session, also when the loop is left;
   * so are tokens whose text was still held back then.
   * @throws {@link InvalidRequestError} on options out of range, or when the session is empty or busy;
   * {@link DisposedError}; the signal's reason on abort.
   */
  generate(options: GenerateOptions = {}): AsyncGenerator<GenerateEvent, void, void> {
    return this.#stream("generate", (core) =>
      generate(core, prepareGeneration(options, this.#model), this.#model),
    );
  }

  /**
   * Takes a turn of a conversation: renders the messages with the model's chat template, reads what is new
   * since the last turn, and generates the answer. What was appended before the first turn stays its context.
   * When the messages are not those of the last turns, the session starts over and reads them all.
   */
  chat(messages: readonly ChatMessage[], options: ChatOptions = {}): AsyncGenerator<ChatEvent, void, void> {
    return this.#stream("chat", (core) => chat(core, messages, options, this.#model));
  }

  /** Saves the session; {@link Model.restoreSession} goes on from there, bit for bit. */
  save(): Promise<Uint8Array> {
    return this.#exclusively("save", async (core) => encodeSession(this.#model.identity, core));
  }

  /** Makes an independent copy. @throws {@link InvalidRequestError} when the session is busy. */
  clone(): Session {
    const core = this.#begin("clone");
    try {
      return new Session(this.#model, core.clone());
    } finally {
      this.#activity = undefined;
    }
  }

  /** Starts over, empty. @throws {@link InvalidRequestError} when the session is busy. */
  reset(): void {
    this.#begin("reset").reset();
    this.#activity = undefined;
  }

  /** Ends the session and lets its memory go; using it afterwards throws {@link DisposedError}. */
  dispose(): void {
    // A call under way ends by itself; its state is then let go with it.
    if (this.#activity === undefined) this.#live?.state.release();
    this.#live = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
