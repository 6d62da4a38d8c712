/**
 * Writes what a model generates, as it comes.
 */

import type { ChatEvent } from "../engine/chat.ts";
import type { FinishEvent } from "../engine/generate.ts";
import type { Session } from "../engine/session.ts";
import { assertFiniteLogits } from "./read-input.ts";
import type { TextOutput } from "./terminal.ts";

/** A model may write what a terminal would take for commands. */
function withoutControls(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]/gu, "\uFFFD");
}

/** Folds over the events of one generation. */
export class AnswerWriter {
  readonly #output: TextOutput;
  readonly #asJson: boolean;
  /** What was written so far. */
  text = "";
  /** Undefined until the end, and when it was stopped before. */
  finish: FinishEvent | undefined;

  constructor(output: TextOutput, asJson: boolean) {
    this.#output = output;
    this.#asJson = asJson;
  }

  /**
   * Writes a generation to its end, or until nobody reads it any more. The event of its end is kept, not written.
   * @throws as `generate` does, and {@link InternalError} when logits are not finite.
   */
  async write(session: Session, events: AsyncIterable<ChatEvent>): Promise<void> {
    try {
      for await (const event of events) {
        if (event.type === "finish") this.finish = event;
        else if (this.#asJson) await this.#output.json(event);
        if (event.type === "token") await this.#take(event.text);
        assertFiniteLogits(session);
        if (this.#output.isClosed) break;
      }
    } finally {
      if (!this.#asJson && this.text !== "" && !this.text.endsWith("\n")) await this.#output.line();
    }
  }

  async #take(text: string): Promise<void> {
    this.text += text;
    if (!this.#asJson) await this.#output.write(this.#output.isInteractive ? withoutControls(text) : text);
  }
}
