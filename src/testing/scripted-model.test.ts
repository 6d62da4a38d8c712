import { describe, expect, it } from "vitest";
import type { GenerateEvent, GenerateOptions } from "../engine/generate.ts";
import type { Session } from "../engine/session.ts";
import { loadScriptedModel } from "./scripted-model.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "./tiny-model.ts";

async function answer(session: Session, options?: GenerateOptions): Promise<string> {
  let text = "";
  for await (const event of session.generate(options)) if (event.type === "token") text += event.text;
  return text;
}

async function collect<Event>(events: AsyncIterable<Event>): Promise<Event[]> {
  const all: Event[] = [];
  for await (const event of events) all.push(event);
  return all;
}

const tinyContext = { sinkTokens: 2, windowTokens: 9, segmentTokens: 5 };

describe("loadScriptedModel", () => {
  it("answers with the replies in turn, each ended by the model itself, again from the first", async () => {
    await using model = await loadScriptedModel({ replies: ["One, 和 two.", "Three."] });
    const session = model.createSession();
    await session.append("Go.");
    expect(await answer(session)).toBe("One, 和 two.");
    await session.append(" And?");
    const events: GenerateEvent[] = await collect(session.generate());
    expect(events.map((event) => (event.type === "token" ? event.text : event.reason))).toEqual([
      ..."Three.",
      "stop",
    ]);
    const other = model.createSession();
    await other.append("Go.");
    expect(await answer(other, { temperature: 1, seed: 5, repetitionPenalty: 1.3 })).toBe("One, 和 two.");
  });

  it("answers to the text of the whole conversation", async () => {
    const prompts: string[] = [];
    await using model = await loadScriptedModel({
      replies(prompt) {
        prompts.push(prompt);
        return `heard ${prompt.length}`;
      },
    });
    const session = model.createSession();
    const messages = [{ role: "user", content: "Hi" }] as const;
    const first = "<|begin|>user\nHi<|end|>\n<|begin|>assistant\n";
    const events = await collect(session.chat(messages));
    const reply = events.map((event) => (event.type === "token" ? event.text : "")).join("");
    expect(reply).toBe(`heard ${first.length}`);
    await collect(
      session.chat([...messages, { role: "assistant", content: reply }, { role: "user", content: "Yo" }]),
    );
    const second = `${first}${reply}<|end|>\n<|begin|>user\nYo<|end|>\n<|begin|>assistant\n`;
    expect(prompts).toEqual([first, second]);
  });

  it("goes on through commits, for every policy, and stops at maxNewTokens", async () => {
    // The tiny tokenizer has no merge for these: a token a character.
    const reply = "quick fox jumps ".repeat(10);
    for (const policy of ["paper", "streaming", "full"] as const) {
      await using model = await loadScriptedModel({
        replies: [reply],
        adapter: createTinyAdapterFolder(),
        policy,
        context: tinyContext,
      });
      const session = model.createSession();
      await session.append("A prompt of more than sixteen tokens.");
      expect(await answer(session, { maxNewTokens: 100 })).toBe(reply.slice(0, 100));
      expect(session.stats.commitCount).toBe(
        policy === "full" ? 0 : Math.ceil((session.lengthTokens - 16) / 5),
      );
      expect(await answer(session)).toBe(reply.slice(100));
      expect(session.stats.tokens.memory > 0).toBe(policy === "paper");
    }
  });

  it("keeps sessions, clones and restored sessions apart", async () => {
    await using model = await loadScriptedModel({ replies: ["first reply", "second reply"] });
    const [a, b] = [model.createSession(), model.createSession()];
    await a.append("x");
    await b.append("y");
    expect(await answer(a, { maxNewTokens: 5 })).toBe("first");
    const twin = a.clone();
    const saved = await a.save();
    expect(await answer(b)).toBe("second reply");
    expect(await answer(a)).toBe(" reply");
    expect(await answer(twin)).toBe(" reply");
    expect(await answer(await model.restoreSession(saved))).toBe(" reply");
  });

  it("takes a prompt of several appends, longer than a segment, as one turn", async () => {
    await using model = await loadScriptedModel({ replies: ["one", "two"], context: tinyContext });
    const session = model.createSession();
    await session.append("some text that takes many runs");
    await session.append(" and some more");
    expect(await answer(session)).toBe("one");
    await session.append("?");
    expect(await answer(session)).toBe("two");
  });

  it("fails after the tokens it is told to, with the error it is told to", async () => {
    const failWith = new Error("no more");
    await using model = await loadScriptedModel({ replies: ["quick"], failAfterTokens: 3, failWith });
    const session = model.createSession();
    await session.append("Go.");
    const texts: string[] = [];
    const reading = async (): Promise<void> => {
      for await (const event of session.generate()) if (event.type === "token") texts.push(event.text);
    };
    await expect(reading()).rejects.toBe(failWith);
    expect(texts).toEqual(["q", "u", "i"]);
    await using early = await loadScriptedModel({ replies: ["abc"], failAfterTokens: 0 });
    await expect(early.createSession().append("Go.")).rejects.toMatchObject({ code: "out-of-memory" });
  });

  it("takes its time, so that aborts can be tested", async () => {
    await using model = await loadScriptedModel({ replies: ["a".repeat(500)], delayMs: 5 });
    const session = model.createSession();
    await session.append("Go.");
    const signal = AbortSignal.timeout(40);
    await expect(answer(session, { signal })).rejects.toBeInstanceOf(DOMException);
    const read = session.lengthTokens - 4;
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(20);
  });

  it("refuses to load without replies, or heads that cannot carry the script", async () => {
    await expect(loadScriptedModel({ replies: [] })).rejects.toThrow("there is no reply");
    const model = createTinyModelFolder({ headSize: 2 });
    await expect(loadScriptedModel({ replies: ["a"], model })).rejects.toThrow(
      "scripted runtime: the model's heads are too narrow to carry the script, got 2, expected a head width >= 3.",
    );
  });
});
