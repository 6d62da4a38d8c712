import { beforeAll, describe, expect, it } from "vitest";
import { InvalidModelError, InvalidRequestError } from "../errors.ts";
import { type ModelFolder, memoryModelFolder } from "../files/model-folder.ts";
import { loadScriptedModel } from "../testing/scripted-model.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import type { ChatEvent, ChatOptions } from "./chat.ts";
import type { Model } from "./model.ts";
import type { Session } from "./session.ts";

const user = (content: string): ChatMessage => ({ role: "user", content });
const assistant = (content: string): ChatMessage => ({ role: "assistant", content });

interface Turn {
  readonly text: string;
  readonly newTokens: number;
  readonly reusedTokens: number;
  readonly types: readonly string[];
}

async function take(
  session: Session,
  messages: readonly ChatMessage[],
  options?: ChatOptions,
): Promise<Turn> {
  const events: ChatEvent[] = [];
  for await (const event of session.chat(messages, options)) events.push(event);
  const prefill = events.find((event) => event.type === "prefill-finish");
  return {
    text: events.map((event) => (event.type === "token" ? event.text : "")).join(""),
    newTokens: prefill?.newTokens ?? Number.NaN,
    reusedTokens: prefill?.reusedTokens ?? Number.NaN,
    types: events.map(({ type }) => type),
  };
}

interface Talk {
  readonly prompts: string[];
  readonly reply: (turn: number) => string;
}

let talk: Talk;
const loadTalkingModel = (model?: ModelFolder): Promise<Model> =>
  loadScriptedModel({
    ...(model !== undefined && { model }),
    // Holds the streams of these tests whole, so that the script sees all of them.
    context: { windowTokens: 250, segmentTokens: 100 },
    replies(prompt) {
      talk.prompts.push(prompt);
      return talk.reply(talk.prompts.length);
    },
  });
let sharedModel: Model;
beforeAll(async () => {
  sharedModel = await loadTalkingModel();
});

/** A model that answers "answer 1", "answer 2", ... and tells what each stream was. */
async function loadTalker(
  options: { readonly reply?: (turn: number) => string; readonly model?: ModelFolder } = {},
): Promise<{ model: Model; prompts: string[] }> {
  talk = { prompts: [], reply: options.reply ?? ((turn) => `answer ${turn}`) };
  const model = options.model === undefined ? sharedModel : await loadTalkingModel(options.model);
  return { model, prompts: talk.prompts };
}

/** The tiny model with other settings of its tokenizer. */
async function withTokenizerConfig(config: Record<string, unknown>): Promise<ModelFolder> {
  const tiny = createTinyModelFolder();
  const weights = await tiny.open("model.safetensors");
  return memoryModelFolder("tiny", {
    "config.json": await tiny.readText("config.json"),
    "tokenizer.json": await tiny.readText("tokenizer.json"),
    "tokenizer_config.json": JSON.stringify({ bos_token: "<|begin|>", eos_token: "<|end|>", ...config }),
    "model.safetensors": await weights.read(0, weights.sizeBytes),
  });
}

const firstPrompt = "<|begin|>user\nHi<|end|>\n<|begin|>assistant\n";
const nextPrompt = (text: string): string => `<|end|>\n<|begin|>user\n${text}<|end|>\n<|begin|>assistant\n`;
/** Asserts that a turn read its own new messages and nothing before them. */
async function expectReuse(
  session: Session,
  messages: readonly ChatMessage[],
  newText = nextPrompt("And?"),
): Promise<void> {
  const reusedTokens = session.lengthTokens;
  const newTokens = sharedModel.tokenizer?.encode(newText, { addSpecialTokens: false }).length;
  expect(await take(session, messages)).toMatchObject({ reusedTokens, newTokens });
}
const countTokens = (model: Model, text: string): number =>
  model.tokenizer?.encode(text, { addSpecialTokens: false }).length ?? Number.NaN;

describe("a conversation", () => {
  it("reads the template's text as it is, then answers", async () => {
    const { model, prompts } = await loadTalker();
    const session = model.createSession();
    const turn = await take(session, [user("Hi")]);
    expect(turn).toMatchObject({
      text: "answer 1",
      reusedTokens: 0,
      newTokens: countTokens(model, firstPrompt),
    });
    expect(turn.types[0]).toBe("prefill-finish");
    expect(turn.types.slice(1, -1).every((type) => type === "token")).toBe(true);
    expect(turn.types.at(-1)).toBe("finish");
    // The template's own beginning-of-text token is the only one.
    expect(prompts).toEqual([firstPrompt]);
  });

  it("reads only what is new in each later turn", async () => {
    const { model, prompts } = await loadTalker();
    const session = model.createSession();
    const messages = [user("Hi")];
    let stream = firstPrompt;
    for (const text of ["And?", "Oh, 和?", "the abc"]) {
      const { text: reply } = await take(session, messages);
      const reusedTokens = session.lengthTokens;
      messages.push(assistant(reply), user(text));
      stream += reply + nextPrompt(text);
      const turn = await take(session.clone(), messages);
      expect(turn).toMatchObject({ reusedTokens, newTokens: countTokens(model, nextPrompt(text)) });
      expect(prompts.at(-1)).toBe(stream);
      prompts.pop();
    }
    expect(session.lengthTokens).toBeLessThan(countTokens(model, stream));
  });

  it("starts over when its history was edited, in any place", async () => {
    const histories: readonly (readonly ChatMessage[])[] = [
      [user("Ho"), assistant("answer 1"), user("And?")],
      [user("Hi"), assistant("another answer"), user("And?")],
      [{ role: "system", content: "Be kind." }, user("Hi"), assistant("answer 1"), user("And?")],
      [user("Hi")],
      [user("And?")],
    ];
    for (const messages of histories) {
      const { model, prompts } = await loadTalker();
      const session = model.createSession();
      await take(session, [user("Hi")]);
      const turn = await take(session, messages);
      expect(turn.reusedTokens).toBe(0);
      expect(turn.newTokens).toBe(countTokens(model, prompts[1] ?? ""));
      expect(prompts[1]?.startsWith("<|begin|>")).toBe(true);
      expect(prompts[1]?.endsWith("<|begin|>assistant\n")).toBe(true);
      expect(session.lengthTokens).toBe(turn.newTokens + countTokens(model, "answer 2"));
    }
  });

  it("starts over when it was edited after several turns", async () => {
    const { model, prompts } = await loadTalker();
    const session = model.createSession();
    await take(session, [user("Hi")]);
    const messages = [user("Hi"), assistant("answer 1"), user("And?")];
    await expectReuse(session, messages);
    const edited = [...messages, assistant("no answer of mine"), user("Oh?")];
    expect(await take(session, edited)).toMatchObject({ reusedTokens: 0 });
    const text = `${firstPrompt}answer 1${nextPrompt("And?")}no answer of mine${nextPrompt("Oh?")}`;
    expect(prompts.at(-1)).toBe(text);
  });

  it("goes on after turns that were cut: by maxNewTokens, by break, by an abort", async () => {
    const cut: readonly ((session: Session) => Promise<string>)[] = [
      async (session) => (await take(session, [user("Hi")], { maxNewTokens: 4 })).text,
      async (session) => {
        let text = "";
        for await (const event of session.chat([user("Hi")])) {
          if (event.type !== "token") continue;
          text += event.text;
          if (text.length >= 4) break;
        }
        return text;
      },
      async (session) => {
        const controller = new AbortController();
        let text = "";
        const reading = (async () => {
          for await (const event of session.chat([user("Hi")], { signal: controller.signal })) {
            if (event.type === "token") text += event.text;
            if (text.length >= 4) controller.abort(new Error("enough"));
          }
        })();
        await expect(reading).rejects.toThrow("enough");
        return text;
      },
    ];
    for (const cutTurn of cut) {
      const { model, prompts } = await loadTalker();
      const session = model.createSession();
      const text = await cutTurn(session);
      expect(text).toBe("answ");
      const reusedTokens = session.lengthTokens;
      expect(await take(session, [user("Hi"), assistant(text), user("And?")])).toMatchObject({
        reusedTokens,
      });
      expect(prompts.at(-1)).toBe(`${firstPrompt}answ${nextPrompt("And?")}`);
    }
  });

  it("goes on after an answer that a stop string ended, which the caller never saw", async () => {
    const { model } = await loadTalker({ reply: () => "the abc. STOP and more" });
    const session = model.createSession();
    await session.append("the abc");
    const { text } = await take(session, [user("Hi")], { stop: "STOP" });
    expect(text).toBe("the abc. ");
    await expectReuse(session, [user("Hi"), assistant(text), user("And?")]);
  });

  it("does not read an answer's last white space twice, whether a template keeps it or not", async () => {
    const { model, prompts } = await loadTalker({ reply: () => " yes.\n " });
    for (const content of [" yes.\n ", "yes.", " yes.\n"]) {
      const session = model.createSession();
      await take(session, [user("Hi")]);
      await expectReuse(session, [user("Hi"), assistant(content), user("And?")]);
      expect(prompts.at(-1)).toBe(`${firstPrompt} yes.\n ${nextPrompt("And?")}`);
    }
  });

  it("goes on after an answer that was nothing at all", async () => {
    const { model } = await loadTalker({ reply: () => "" });
    const session = model.createSession();
    expect((await take(session, [user("Hi")])).text).toBe("");
    await expectReuse(session, [user("Hi"), assistant(""), user("And?")]);
  });

  it("knows its own answer when it comes in parts", async () => {
    const { model } = await loadTalker();
    const session = model.createSession();
    await take(session, [user("Hi")]);
    const parts = { role: "assistant", content: [{ type: "text", text: "answer 1" }] } as const;
    await expectReuse(session, [user("Hi"), parts, user("And?")]);
  });

  it("knows its own answer under a template that trims it", async () => {
    const model = await withTokenizerConfig({
      chat_template:
        "{% for m in messages %}{{ '<|begin|>' + m.role + '\n' + m.content | trim + '<|end|>\n' }}{% endfor %}" +
        "{% if add_generation_prompt %}{{ '<|begin|>assistant\n' }}{% endif %}",
    });
    const { model: talker } = await loadTalker({ model, reply: () => " \n the abc. \n" });
    const session = talker.createSession();
    const { text } = await take(session, [user("Hi")]);
    expect(text).toBe(" \n the abc. \n");
    for (const content of [text, text.trim()])
      await expectReuse(session.clone(), [user("Hi"), assistant(content), user("And?")]);
  });

  it("starts over under a template that rewrites earlier answers", async () => {
    const model = await withTokenizerConfig({
      chat_template:
        "{% for m in messages %}{{ m.role + ':' + m.content.split('/')[-1] + '\n' }}{% endfor %}assistant:",
    });
    const { model: talker, prompts } = await loadTalker({ model, reply: () => "hmm/yes" });
    const session = talker.createSession();
    const { text } = await take(session, [user("Hi")]);
    expect(await take(session, [user("Hi"), assistant(text), user("And?")])).toMatchObject({
      reusedTokens: 0,
    });
    expect(prompts.at(-1)).toBe("user:Hi\nassistant:yes\nuser:And?\nassistant:");
  });

  it("gives the template tools and variables", async () => {
    const model = await withTokenizerConfig({
      chat_template: "{{ tools[0].name }} {{ mood }} {{ messages[0].content }}:",
    });
    const { model: talker, prompts } = await loadTalker({ model });
    const session = talker.createSession();
    await take(session, [user("Hi")], { tools: [{ name: "clock" }], templateVariables: { mood: "glad" } });
    expect(prompts).toEqual(["clock glad Hi:"]);
  });
});

describe("context that was appended before a conversation", () => {
  const context = "the abc the abc. ";

  it("stays before it, and is not read again", async () => {
    const { model, prompts } = await loadTalker({ reply: () => "yes" });
    const session = model.createSession();
    await session.append(context);
    const contextTokens = session.lengthTokens;
    expect(await take(session, [user("Hi")])).toMatchObject({ reusedTokens: contextTokens });
    expect(prompts.at(-1)).toBe(`<|begin|>${context}${firstPrompt}`);
    await expectReuse(session, [user("Hi"), assistant("yes"), user("And?")]);
    expect(prompts.at(-1)).toBe(`<|begin|>${context}${firstPrompt}yes${nextPrompt("And?")}`);
  });

  it("refuses an edited history, which would lose it, and goes on with the right one", async () => {
    const { model } = await loadTalker({ reply: () => "yes" });
    const session = model.createSession();
    await session.append(context);
    await take(session, [user("Hi")]);
    const before = session.lengthTokens;
    const edited = take(session, [user("Ho"), assistant("yes"), user("And?")]);
    await expect(edited).rejects.toThrow(/do not continue this session's conversation.*Clone the session/);
    await expect(take(session, [user("Ho")])).rejects.toThrow(InvalidRequestError);
    expect(session.lengthTokens).toBe(before);
    await expectReuse(session, [user("Hi"), assistant("yes"), user("And?")]);
  });

  it("serves any number of conversations through clones", async () => {
    const { model, prompts } = await loadTalker({ reply: () => "yes" });
    const session = model.createSession();
    await session.append(context);
    const reusedTokens = session.lengthTokens;
    for (const text of ["Hi", "Ho"])
      expect(await take(session.clone(), [user(text)])).toMatchObject({ reusedTokens });
    expect(prompts.slice(1).map((prompt) => prompt.slice(0, 9 + context.length))).toEqual(
      [1, 2].map(() => `<|begin|>${context}`),
    );
    expect(session.lengthTokens).toBe(reusedTokens);
  });
});

describe("a saved, restored or cloned conversation", () => {
  it("goes on without reading anything again", async () => {
    const { model } = await loadTalker();
    const session = model.createSession();
    await take(session, [user("Hi")]);
    const messages = [user("Hi"), assistant("answer 1"), user("And?")];
    const restored = await model.restoreSession(await session.save());
    for (const each of [restored, session.clone(), session]) await expectReuse(each, messages);
  });

  it("starts over after reset", async () => {
    const { model, prompts } = await loadTalker();
    const session = model.createSession();
    await take(session, [user("Hi")]);
    session.reset();
    expect(session.lengthTokens).toBe(0);
    expect(session.logits).toBeUndefined();
    expect(await take(session, [user("Hi"), assistant("answer 1"), user("And?")])).toMatchObject({
      reusedTokens: 0,
    });
    expect(prompts[1]).toBe(`${firstPrompt}answer 1${nextPrompt("And?")}`);
  });
});

describe("a turn that is refused", () => {
  it("reads nothing and loses nothing", async () => {
    const { model } = await loadTalker();
    const session = model.createSession();
    await take(session, [user("Hi")]);
    const before = session.lengthTokens;
    const refused: readonly [unknown, object, RegExp][] = [
      [[], {}, /^messages: .*empty array/],
      ["Hi", {}, /^messages: /],
      [[{ role: "user" }], {}, /^messages\[0\]\.content/],
      [[{ role: "", content: "a" }], {}, /^messages\[0\]\.role/],
      [[{ role: "user", content: [{ type: "image_url" }] }], {}, /kind of content is not supported/],
      [[user("Ho")], { maxNewTokens: 0 }, /^maxNewTokens/],
      [[user("Ho")], { temperature: Number.NaN }, /^temperature/],
      [[user("Ho")], { stop: "" }, /^stop\[0\]/],
      [[user("Ho")], { signal: AbortSignal.abort(new Error("enough")) }, /^enough/],
    ];
    for (const [messages, options, reason] of refused) {
      await expect(take(session, messages as ChatMessage[], options)).rejects.toThrow(reason);
      expect(session.lengthTokens).toBe(before);
    }
    await expectReuse(session, [user("Hi"), assistant("answer 1"), user("And?")]);
  });

  it("says that there is no chat template", async () => {
    const { model } = await loadTalker({ model: await withTokenizerConfig({}) });
    const session = model.createSession();
    await expect(take(session, [user("Hi")])).rejects.toThrow(InvalidModelError);
    await expect(take(session, [user("Hi")])).rejects.toThrow(/^chat template: this model has none/);
    await session.append("Hi");
  });

  it("passes on what the template itself refuses", async () => {
    const model = await withTokenizerConfig({
      chat_template: "{{ raise_exception('Only a user may begin') }}",
    });
    const { model: talker } = await loadTalker({ model });
    await expect(take(talker.createSession(), [user("Hi")])).rejects.toThrow(/Only a user may begin/);
  });
});
