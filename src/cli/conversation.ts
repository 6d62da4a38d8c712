/**
 * A conversation: a session, the messages it has read, and how it is cleared, saved and loaded.
 */

import type { GenerateOptions } from "../engine/generate.ts";
import type { Model } from "../engine/model.ts";
import type { Session } from "../engine/session.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { loadSession, saveSession } from "./session-files.ts";
import type { Terminal } from "./terminal.ts";

/** Takes turns with a model. */
export class Conversation {
  readonly #model: Model;
  readonly #opening: readonly ChatMessage[];
  readonly #terminal: Terminal;
  readonly #asJson: boolean;
  #session: Session;
  /** The session before the first message; undefined when that is an empty one. */
  #start: Session | undefined;
  #messages: readonly ChatMessage[];

  /** @param opening the messages that every conversation begins with, such as the system's. */
  constructor(model: Model, opening: readonly ChatMessage[], terminal: Terminal, asJson: boolean) {
    this.#model = model;
    this.#opening = opening;
    this.#terminal = terminal;
    this.#asJson = asJson;
    this.#session = model.createSession();
    this.#messages = opening;
  }

  get session(): Session {
    return this.#session;
  }

  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /** Remembers the session as it is now as where a conversation starts, unless one is under way. */
  markStart(): void {
    if (this.#messages === this.#opening) this.#start = this.#session.clone();
  }

  /** Goes back to where the conversation started. */
  clear(): void {
    this.#session.dispose();
    this.#session = this.#start?.clone() ?? this.#model.createSession();
    this.#messages = this.#opening;
  }

  /** Saves the session and its messages. @returns the bytes of the session. */
  save(path: string): Promise<number> {
    return saveSession(path, this.#session, this.#messages);
  }

  /** Goes on from a saved session; on an error the present one stays. */
  async load(path: string): Promise<void> {
    const { session, messages } = await loadSession(this.#model, path);
    this.#session.dispose();
    this.#session = session;
    // A session without messages was read as plain text: it is what the conversation starts from.
    this.#start = messages.length === 0 ? session.clone() : undefined;
    this.#messages = messages.length === 0 ? this.#opening : messages;
  }

  /**
   * Takes a turn: writes the answer as it comes. Ctrl-C ends the answer, and what was written of it stays part of
   * the conversation; when nothing was, or on an error, the turn has not been.
   */
  async takeTurn(content: string, generate: GenerateOptions): Promise<void> {
    const { interrupts, stdout } = this.#terminal;
    const before = this.#session.clone();
    const messages = [...this.#messages, { role: "user", content }];
    const answer = new AnswerWriter(stdout, this.#asJson);
    using scope = interrupts.open();
    const { signal } = scope;
    try {
      await answer.write(this.#session, this.#session.chat(messages, { ...generate, signal }));
    } catch (error) {
      if (!signal.aborted || answer.text === "") {
        this.#session.dispose();
        this.#session = before;
      }
      if (!signal.aborted) throw error;
      await this.#terminal.stderr.line("(stopped)");
      if (answer.text === "") return;
    }
    if (this.#session !== before) before.dispose();
    this.#messages = [...messages, { role: "assistant", content: answer.text }];
    if (this.#asJson && answer.finish !== undefined)
      await stdout.json({ ...answer.finish, stats: this.#session.stats });
  }
}
