import { describe, expect, it } from "vitest";
import { loadModel } from "../engine/node.ts";
import { createTinyModelFolder } from "../testing/index.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import type { ChatEvent } from "./chat.ts";

async function answerOf(events: AsyncIterable<ChatEvent>): Promise<string> {
  let text = "";
  for await (const event of events) if (event.type === "token") text += event.text;
  return text;
}

describe("a conversation after an answer that the caller did not see whole", () => {
  const question: ChatMessage = { role: "user", content: "hello" };
  const generation = { maxNewTokens: 20, ignoreEos: true };

  it("goes on when a stop string ended the answer, reading only what is new", async () => {
    await using model = await loadModel(createTinyModelFolder(), { threads: 1 });
    const session = model.createSession();
    await session.append("What was read before.");
    const whole = await answerOf(session.clone().chat([question], generation));
    const content = await answerOf(session.chat([question], { ...generation, stop: whole.slice(5, 7) }));
    expect(content).toBe(whole.slice(0, 5));
    const lengthTokens = session.lengthTokens;
    const messages = [question, { role: "assistant", content }, { role: "user", content: "more" }];
    const events = session.chat(messages, { maxNewTokens: 2 });
    const { value: first } = await events.next();
    expect(first).toMatchObject({ type: "prefill-finish", reusedTokens: lengthTokens });
    expect(await answerOf(events)).not.toBe("");
  });

  it("goes on when the caller left in the middle of it", async () => {
    await using model = await loadModel(createTinyModelFolder(), { threads: 1 });
    const session = model.createSession();
    await session.append("What was read before.");
    let content = "";
    for await (const event of session.chat([question], generation)) {
      if (event.type === "token") content += event.text;
      if (content.length > 4) break;
    }
    const lengthTokens = session.lengthTokens;
    const messages = [question, { role: "assistant", content }, { role: "user", content: "more" }];
    const { value: first } = await session.chat(messages, { maxNewTokens: 2 }).next();
    expect(first).toMatchObject({ type: "prefill-finish", reusedTokens: lengthTokens });
  });
});
