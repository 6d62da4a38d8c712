/**
 * A loaded model: weights once, any number of sessions.
 */

import { DisposedError } from "../errors.ts";
import type { ContextSettings } from "../memory/geometry.ts";
import type { PolicyName } from "../memory/policy.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { Inference } from "./inference.ts";
import type { MemoryEstimate } from "./memory-estimate.ts";
import { Session, type SessionModel } from "./session.ts";
import { SessionCore } from "./session-core.ts";
import { decodeSession, type SessionIdentity } from "./session-file.ts";

/** Is what a model is made of. */
export interface LoadedParts {
  readonly name: string;
  readonly config: DecoderConfig;
  readonly context: ContextSettings;
  readonly tokenizer: Tokenizer | undefined;
  readonly eosTokenIds: ReadonlySet<number>;
  readonly identity: SessionIdentity;
  readonly memoryEstimate: MemoryEstimate;
  readonly notices: readonly string[];
  readonly runtimeName: string;
  readonly inference: Inference;
}

/**
 * Holds a checkpoint's weights and makes sessions. Made by `loadModel`.
 * @example
 * await using model = await loadModel("HuggingFaceTB/SmolLM2-135M-Instruct");
 * const session = model.createSession();
 */
export class Model implements AsyncDisposable {
  readonly #parts: LoadedParts;
  readonly #shared: SessionModel;
  #disposed = false;

  /** @internal */
  constructor(parts: LoadedParts) {
    this.#parts = parts;
    const isDisposed = (): boolean => this.#disposed;
    this.#shared = {
      tokenizer: parts.tokenizer,
      eosTokenIds: parts.eosTokenIds,
      vocabularySize: parts.config.vocabularySize,
      identity: parts.identity,
      weightBytes: parts.memoryEstimate.weightBytes,
      fullCacheBytesPerToken: parts.memoryEstimate.fullCacheBytesPerToken,
      get isDisposed() {
        return isDisposed();
      },
    };
  }

  /** The folder or hub id that it was loaded from. */
  get name(): string {
    return this.#parts.name;
  }

  /** Digests that tell model, adapter and settings apart from others. */
  get identity(): SessionIdentity {
    return this.#parts.identity;
  }

  /** The checkpoint's configuration, made uniform. */
  get config(): DecoderConfig {
    return this.#parts.config;
  }

  /** The sizes of the cache's regions. */
  get context(): ContextSettings {
    return this.#parts.context;
  }

  /** How sessions remember. */
  get policy(): PolicyName {
    return this.#parts.inference.policy.name;
  }

  /** Turns text into token ids and back; undefined when the checkpoint has no `tokenizer.json`. */
  get tokenizer(): Tokenizer | undefined {
    return this.#parts.tokenizer;
  }

  /** Tokens that end an answer. */
  get eosTokenIds(): ReadonlySet<number> {
    return this.#parts.eosTokenIds;
  }

  /** The memory needed by the weights and by a session, in bytes. */
  get memoryEstimate(): MemoryEstimate {
    return this.#parts.memoryEstimate;
  }

  /** Things the user should know, in full sentences: such as that nothing is remembered without an adapter. */
  get notices(): readonly string[] {
    return this.#parts.notices;
  }

  /** Names the runtime and device. */
  get runtimeName(): string {
    return this.#parts.runtimeName;
  }

  #assertOpen(): void {
    if (this.#disposed) {
      throw new DisposedError({
        where: "model",
        what: "the model has been disposed",
        remedy: "Load it again.",
      });
    }
  }

  /** Creates an empty session. @throws {@link DisposedError} */
  createSession(): Session {
    this.#assertOpen();
    const { inference } = this.#parts;
    return new Session(this.#shared, new SessionCore(inference, inference.createState()));
  }

  /**
   * Restores what {@link Session.save} gave; it goes on bit for bit where it was.
   * @throws {@link InvalidRequestError} when the bytes are damaged, or of another model, adapter or setting;
   * {@link UnsupportedError} when they are of a newer version; {@link DisposedError}.
   */
  async restoreSession(bytes: Uint8Array): Promise<Session> {
    this.#assertOpen();
    const { inference, identity, config } = this.#parts;
    const snapshot = decodeSession(
      bytes,
      identity,
      inference.policy,
      config.vocabularySize,
      inference.memory,
    );
    const core = new SessionCore(inference, snapshot.state);
    core.logits = snapshot.logits;
    core.recentIds = snapshot.recentIds;
    core.transcript = snapshot.transcript;
    return new Session(this.#shared, core);
  }

  /** Lets the weights go, after the run under way; sessions cannot be used afterwards. */
  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#parts.inference[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}
