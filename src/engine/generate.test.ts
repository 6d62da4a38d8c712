import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { InvalidRequestError } from "../errors.ts";
import { memoryModelFolder } from "../files/model-folder.ts";
import { loadScriptedModel } from "../testing/scripted-model.ts";
import { createScriptedRuntime } from "../testing/scripted-runtime.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import type { FinishEvent, GenerateEvent, GenerateOptions, TokenEvent } from "./generate.ts";
import { loadModelOn } from "./load-model.ts";
import type { Model } from "./model.ts";
import type { Session } from "./session.ts";

let nextReply = "";
let model: Model;
beforeAll(async () => {
  // A small cache costs less; the replies go on through its commits.
  const context = { sinkTokens: 2, windowTokens: 40, segmentTokens: 20 };
  model = await loadScriptedModel({ replies: (_prompt) => nextReply, context });
});

/** Begins a session whose model is about to say something. */
async function say(reply: string): Promise<{ session: Session; ids: readonly number[] }> {
  nextReply = reply;
  const session = model.createSession();
  await session.append("Go.");
  const ids = model.tokenizer?.encode(reply, { addSpecialTokens: false, continuation: true }) ?? [];
  return { session, ids };
}

interface Answer {
  readonly text: string;
  readonly tokens: readonly TokenEvent[];
  readonly finish: FinishEvent | undefined;
}

async function collect(session: Session, options?: GenerateOptions): Promise<Answer> {
  const events: GenerateEvent[] = [];
  for await (const event of session.generate(options)) events.push(event);
  const tokens = events.filter((event) => event.type === "token");
  const finish = events.at(-1);
  expect(events.slice(0, -1).every(({ type }) => type === "token")).toBe(true);
  return {
    text: tokens.map(({ text }) => text).join(""),
    tokens,
    finish: finish?.type === "finish" ? finish : undefined,
  };
}

async function answerTo(reply: string, options?: GenerateOptions): Promise<Answer> {
  const { session } = await say(reply);
  return collect(session, options);
}

describe("a generation", () => {
  it("gives each token once, and texts that are together the whole text", async () => {
    const reply = "the abc, 和 é 😀 the123's\n\n";
    const { session, ids } = await say(reply);
    const promptTokens = session.lengthTokens;
    const { text, tokens, finish } = await collect(session);
    expect(text).toBe(reply);
    expect(tokens.map(({ id }) => id)).toEqual(ids);
    expect(finish).toEqual({
      type: "finish",
      reason: "stop",
      stopString: undefined,
      usage: {
        promptTokens,
        completionTokens: ids.length,
        totalTokens: promptTokens + ids.length,
      },
    });
  });

  it("begins with the tokens that are forced, an end-of-text token too, and goes on from them", async () => {
    const { session } = await say("abc");
    const promptTokens = session.lengthTokens;
    const end = [...model.eosTokenIds][0] ?? 0;
    const forcedIds = [...(model.tokenizer?.encode("xy", { addSpecialTokens: false }) ?? []), end];
    const ids = model.tokenizer?.encode("abc", { addSpecialTokens: false, continuation: true }) ?? [];
    const all = [...forcedIds, ...ids];
    const { tokens, finish } = await collect(session, { forcedIds });
    expect(tokens.map(({ id }) => id)).toEqual(all);
    expect(finish).toMatchObject({ reason: "stop", usage: { promptTokens, completionTokens: all.length } });
    expect(session.lengthTokens).toBe(promptTokens + all.length);
    // No more than was asked for.
    expect((await collect(session, { forcedIds, maxNewTokens: 2 })).text).toBe("xy");
  });

  it("leaves the end-of-text token out of the session", async () => {
    const { session, ids } = await say("abc");
    const before = session.lengthTokens;
    await collect(session);
    expect(session.lengthTokens).toBe(before + ids.length);
    // The same choice is made again at once: an empty answer.
    expect(await collect(session)).toMatchObject({
      text: "",
      tokens: [],
      finish: { reason: "stop", usage: { completionTokens: 0 } },
    });
  });

  it("goes on after end-of-text when told to, and gives such tokens no text", async () => {
    const { session, ids } = await say("abc");
    const { text, tokens, finish } = await collect(session, {
      ignoreEos: true,
      maxNewTokens: ids.length + 4,
    });
    expect(text).toBe("abc");
    expect(tokens.map(({ id }) => id)).toEqual([...ids, 1, 1, 1, 1]);
    expect(finish?.reason).toBe("length");
  });

  it("gives exactly maxNewTokens tokens, and all of them without a limit", async () => {
    for (const maxNewTokens of [1, 2, 3]) {
      const { text, finish } = await answerTo("xyzxyz", { maxNewTokens });
      expect(text).toBe("xyz".slice(0, maxNewTokens));
      expect(finish).toMatchObject({ reason: "length", usage: { completionTokens: maxNewTokens } });
    }
    const { session } = await say("xyz".repeat(200));
    // 512 by default; the rest is still to come.
    expect(await collect(session)).toMatchObject({ finish: { usage: { completionTokens: 512 } } });
    const rest = await collect(session, { maxNewTokens: Number.POSITIVE_INFINITY });
    expect(rest).toMatchObject({ finish: { reason: "stop", usage: { completionTokens: 600 - 512 } } });
  });

  it("says stop when the limit comes with the end itself only if it saw the end", async () => {
    // Three tokens are the whole answer, but the fourth, end-of-text, was never chosen.
    expect(await answerTo("xyz", { maxNewTokens: 3 })).toMatchObject({ finish: { reason: "length" } });
    expect(await answerTo("xyz", { maxNewTokens: 4 })).toMatchObject({ finish: { reason: "stop" } });
  });

  it("goes on where it was left at the limit", async () => {
    const { session } = await say("the abc 😀 和.");
    let text = "";
    for (let turn = 0; turn < 30; turn++) text += (await collect(session, { maxNewTokens: 1 })).text;
    // A call that ends within a character says so; the next one completes it.
    expect(text.replaceAll("\ufffd", "")).toBe("the abc 😀 和.");
  });

  it("refuses an empty session", async () => {
    nextReply = "a";
    const session = model.createSession();
    await expect(collect(session)).rejects.toThrow(/the session is empty.*Append a prompt first/);
    await session.append("Go.");
    expect((await collect(session)).text).toBe("a");
  });

  it("refuses options out of range by name, and the session goes on working", async () => {
    const { session } = await say("abc");
    const before = session.lengthTokens;
    const refused: readonly [string, object][] = [
      ...[0, -1, 1.5, Number.NaN, Number.NEGATIVE_INFINITY, "7", null].map(
        (maxNewTokens): [string, object] => ["maxNewTokens", { maxNewTokens }],
      ),
      ["temperature", { temperature: -1 }],
      ["topP", { topP: 0 }],
      ["stop[0]", { stop: "" }],
      ["stop[1]", { stop: ["a", ""] }],
      ["stop[0]", { stop: [3] }],
      ["stop", { stop: 3 }],
      ["token id 1", { forcedIds: [1, 1_000_000] }],
    ];
    for (const [name, options] of refused) {
      const generating = collect(session, options as GenerateOptions);
      await expect(generating).rejects.toThrow(InvalidRequestError);
      await expect(collect(session, options as GenerateOptions)).rejects.toHaveProperty("where", name);
    }
    expect(session.lengthTokens).toBe(before);
    expect((await collect(session)).text).toBe("abc");
  });
});

describe("half a character", () => {
  it("is held back with its tokens until it is whole", async () => {
    const { session, ids } = await say("a😀b");
    const { tokens } = await collect(session);
    expect(tokens.every(({ text }) => !text.includes("\ufffd"))).toBe(true);
    expect(tokens[0]).toEqual({ type: "token", id: ids[0], text: "a" });
    // Two tokens and more for the emoji: its text comes with the last of them.
    expect(tokens.length).toBeGreaterThan(3);
    expect(tokens.slice(1, -1).map(({ text }) => text)).toEqual([...tokens.slice(2, -1).map(() => ""), "😀"]);
    expect(tokens.at(-1)?.text).toBe("b");
  });

  it("comes as U+FFFD when the generation ends in it, once", async () => {
    const { tokens, text } = await answerTo("a😀b", { maxNewTokens: 2 });
    expect(tokens).toHaveLength(2);
    expect(text).toBe("a\ufffd");
  });

  it("is completed from the prompt's last token", async () => {
    const ids = model.tokenizer?.encode("😀", { addSpecialTokens: false }) ?? [];
    expect(ids.length).toBeGreaterThan(1);
    const platform = {
      openFolder: () => Promise.reject(new Error("not by name")),
      createRuntime: async () => createScriptedRuntime({ reply: () => ids.slice(1), endTokenId: 1 }),
    };
    const scripted = await loadModelOn(platform, createTinyModelFolder());
    const session = scripted.createSession();
    await session.append(ids.slice(0, 1));
    expect((await collect(session)).text).toBe("😀");
  });
});

describe("a stop string", () => {
  it("ends the text before it, wherever tokens begin and end", async () => {
    const reply = "x the abc\n\nUser: and so on";
    for (const stop of ["\n\nUser:", "bc\n", " abc", "the a", "User", "er: an"]) {
      const { text, finish } = await answerTo(reply, { stop });
      expect(text).toBe(reply.slice(0, reply.indexOf(stop)));
      expect(finish).toMatchObject({ reason: "stop", stopString: stop });
    }
  });

  it("is the first of several that is complete", async () => {
    const { text, finish } = await answerTo("one two three", { stop: ["three", "two", "o t"] });
    expect(text).toBe("one tw".slice(0, 4));
    expect(finish?.stopString).toBe("two");
  });

  it("counts its tokens: they are in the session and in the usage", async () => {
    const { session } = await say("xy. and more");
    const before = session.lengthTokens;
    const { tokens, finish } = await collect(session, { stop: ". a" });
    expect(finish?.usage.completionTokens).toBe(tokens.length);
    expect(session.lengthTokens).toBe(before + tokens.length);
    expect(tokens.at(-1)?.text).toBe("");
  });

  it("that only begins is given out when it does not go on, or at the end", async () => {
    const { tokens, text } = await answerTo("ab-1 ab-2", { stop: "b-2 " });
    expect(text).toBe("ab-1 ab-2");
    // Tokens "ab", "-", "1", " ab", "-", "2": each third one decides.
    expect(tokens.map((event) => event.text)).toEqual(["", "", "ab-1", "", "", " ab-2"]);
    expect((await answerTo("ab-1 ab-2", { stop: "b-2 ", maxNewTokens: 6 })).finish?.reason).toBe("length");
    expect((await answerTo("ab-1 ab-2", { stop: "2 " })).finish).toMatchObject({
      reason: "stop",
      stopString: undefined,
    });
  });

  it("cuts nothing else: for any text and any stops, the text is what stands before the first match", async () => {
    const alphabet = fc.constantFrom("a", "b", "abc", " the", "\n", "和", "😀", ".");
    const text = fc.array(alphabet, { minLength: 1, maxLength: 14 }).map((parts) => parts.join(""));
    const stops = fc.array(
      fc.array(alphabet, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("")),
      { maxLength: 3 },
    );
    await fc.assert(
      fc.asyncProperty(text, stops, async (reply, stop) => {
        const answer = await answerTo(reply, { stop });
        // The match that ends first wins, and of those the longest.
        const matches = stop
          .map((each) => ({ each, start: reply.indexOf(each) }))
          .filter(({ start }) => start >= 0)
          .sort((a, b) => a.start + a.each.length - b.start - b.each.length || a.start - b.start);
        const [first] = matches;
        expect(answer.text).toBe(first === undefined ? reply : reply.slice(0, first.start));
        expect(answer.finish?.stopString).toBe(first?.each);
        expect(answer.finish?.reason).toBe("stop");
      }),
      { numRuns: 40 },
    );
  });
});

describe("events come as soon as their text is certain", () => {
  it("with a tokenizer", async () => {
    const { session, ids } = await say("xyz.");
    const before = session.lengthTokens;
    for await (const event of session.generate()) {
      if (event.type === "finish") continue;
      // The token is being read while the consumer has it: at most this one is in, and all before it are.
      const index = ids.indexOf(event.id);
      expect([before + index, before + index + 1]).toContain(session.lengthTokens);
    }
  });

  it("without one: token ids still work, and text and stop strings are refused clearly", async () => {
    const tiny = createTinyModelFolder();
    const config = await tiny.readText("config.json");
    const weights = await tiny.open("model.safetensors");
    const folder = memoryModelFolder("tiny", {
      "config.json": config,
      "model.safetensors": await weights.read(0, weights.sizeBytes),
    });
    const platform = {
      openFolder: () => Promise.reject(new Error("not by name")),
      createRuntime: async () => createScriptedRuntime({ reply: () => [5, 6, 7], endTokenId: 1 }),
    };
    const model = await loadModelOn(platform, folder);
    expect(model.tokenizer).toBeUndefined();
    const session = model.createSession();
    await expect(session.append("text")).rejects.toThrow(/no tokenizer.json.*token ids/);
    await session.append([9, 8]);
    await expect(collect(session, { stop: "a" })).rejects.toThrow(/^stop: stop strings need a tokenizer/);
    await expect(session.chat([{ role: "user", content: "a" }]).next()).rejects.toThrow(/^chat: .*tokenizer/);
    const events: GenerateEvent[] = [];
    for await (const event of session.generate()) {
      events.push(event);
      expect(session.lengthTokens).toBeLessThanOrEqual(2 + events.length);
    }
    expect(events.slice(0, -1)).toEqual([5, 6, 7].map((id) => ({ type: "token", id, text: "" })));
    expect(events.at(-1)).toMatchObject({ type: "finish", reason: "stop" });
  });

  it("also for special tokens, which have no text", async () => {
    const { session, ids } = await say("a");
    let count = 0;
    for await (const event of session.generate({ ignoreEos: true, maxNewTokens: 50 })) {
      if (event.type === "token" && ++count === ids.length + 3) break;
    }
    expect(session.lengthTokens).toBe(4 + ids.length + 3);
  });
});

describe("an ordinary cache at its end", () => {
  it("ends the generation for length, and refuses to read on", async () => {
    const model = await loadScriptedModel({
      replies: ["xyz".repeat(50)],
      policy: "full",
      model: createTinyModelFolder({ maxPositions: 20 }),
    });
    const session = model.createSession();
    await session.append([5, 6, 7, 8]);
    const { text, finish } = await collect(session);
    expect(text).toBe("xyzxyzxyzxyzxyzx");
    expect(finish).toMatchObject({
      reason: "length",
      usage: { promptTokens: 4, completionTokens: 16, totalTokens: 20 },
    });
    await expect(session.append([5])).rejects.toThrow(
      /outgrow the full cache, got "21 tokens", expected at most 20/,
    );
    expect(await collect(session)).toMatchObject({ text: "", finish: { reason: "length" } });
  });

  it("refuses what does not fit with nothing read, ids or text", async () => {
    const model = await loadScriptedModel({
      replies: ["a"],
      policy: "full",
      model: createTinyModelFolder({ maxPositions: 20 }),
    });
    const session = model.createSession();
    await session.append([5, 6]);
    await expect(session.append(new Array(19).fill(5))).rejects.toThrow(/got "21 tokens"/);
    expect(session.lengthTokens).toBe(2);
    await expect(session.append("xyz".repeat(20))).rejects.toThrow(/got "62 tokens"/);
    expect(session.lengthTokens).toBe(2);
    await session.append(new Array(18).fill(5));
    expect(session.lengthTokens).toBe(20);
  });
});
