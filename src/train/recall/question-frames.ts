/**
 * How a question stands in a document, and where its answer ends.
 */

import { InvalidModelError } from "../../errors.ts";
import type { ChatMessage } from "../../text/chat-message.ts";
import { renderChat } from "../../text/chat-template.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";

/** Puts a question into a document. */
export interface QuestionFrame {
  /** Returns what is read before the answer. */
  ask(question: string): string;
  /** Returns what is read before the answer where the text before is the model's own reply: it ends that too. */
  askOn(question: string): string;
  /** Returns what is written: the answer with what ends it, such as a line break or a token. */
  reply(answer: string): string;
}

const askPlainly = (question: string): string => `\n\nQuestion: ${question}\nAnswer:`;

/** Asks in plain text, and ends an answer with a line break. */
export const plainFrame: QuestionFrame = {
  ask: askPlainly,
  askOn: askPlainly,
  reply: (answer) => ` ${answer}\n`,
};

/**
 * Asks as a user in a conversation, in the words of the tokenizer's chat template.
 * @throws {@link InvalidModelError} when there is no template, or it writes answers in another way than it opens them.
 */
export function makeChatFrame(tokenizer: Tokenizer): QuestionFrame {
  const { chatTemplate, specialTokens } = tokenizer;
  const render = (messages: readonly ChatMessage[]): string =>
    renderChat(chatTemplate, messages, { addGenerationPrompt: true, specialTokens });
  const opening = (question: string): string => render([{ role: "user", content: question }]);
  const mark = "\ufdd0";
  const messages: ChatMessage[] = [
    { role: "user", content: mark },
    { role: "assistant", content: mark },
  ];
  const whole = renderChat(chatTemplate, messages, { addGenerationPrompt: false, specialTokens });
  const asked = opening(mark);
  const [before, after, ...others] = whole.slice(asked.length).split(mark);
  if (!whole.startsWith(asked) || before === undefined || after === undefined || others.length > 0) {
    throw new InvalidModelError({
      where: "chat template",
      what: "an answer does not stand behind its own opening",
      got: whole,
      expected: "a conversation that goes on where the prompt for an answer ends",
      remedy: "Use the plain frame.",
    });
  }
  return {
    ask: opening,
    askOn: (question) => render([...messages, { role: "user", content: question }]).split(mark)[2] ?? "",
    reply: (answer) => before + answer + after,
  };
}
