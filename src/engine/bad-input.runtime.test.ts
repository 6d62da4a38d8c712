import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  bitsOf,
  collectEvents,
  loadTiny,
  logitsOf,
  tinyCapacity,
  tinyIds,
} from "../../test/support/tiny-sessions.ts";
import { DisposedError, InvalidRequestError } from "../errors.ts";
import type { Model } from "./model.ts";
import type { Session } from "./session.ts";
import type { SessionInput } from "./token-input.ts";

const C = tinyCapacity;
let model: Model;
let V: number;
beforeAll(async () => {
  model = await loadTiny("paper");
  V = model.config.vocabularySize;
});
afterAll(() => model.dispose());

async function sessionOf(ids: readonly number[]): Promise<Session> {
  const session = model.createSession();
  await session.append(ids);
  return session;
}

/** Asserts that something leaves a session as it was, to the last bit, and usable. */
async function expectUntouched(work: (session: Session) => Promise<unknown>): Promise<void> {
  for (const length of [0, C + 9]) {
    const session = model.createSession();
    if (length > 0) await session.append(tinyIds(length));
    const before = bitsOf(await session.save());
    await work(session);
    expect(bitsOf(await session.save())).toBe(before);
    await session.append([5, 6, 7]);
    expect(session.lengthTokens).toBe(length + 3);
  }
}

describe("an input to append is refused", () => {
  const cases: readonly (readonly [string, () => unknown, RegExp])[] = [
    ["an empty array", () => [], /^append: there is nothing to append/],
    ["an empty typed array", () => new Int32Array(), /nothing to append/],
    [
      "an id of the vocabulary's size",
      () => [5, V],
      /^token id 1: out of range, got 282, expected .* 0 to 281/,
    ],
    ["a negative id", () => [-1], /^token id 0: out of range, got -1/],
    ["NaN", () => [5, 6, Number.NaN], /^token id 2: out of range, got NaN/],
    ["infinity", () => [Number.POSITIVE_INFINITY], /got Infinity/],
    ["a fraction", () => [1.5], /^token id 0: out of range, got 1.5/],
    ["a BigInt", () => [5n], /^token id 0: out of range, got 5/],
    ["a numeral", () => ["5"], /^token id 0: out of range, got "5"/],
    ["a hole", () => new Array(3), /^token id 0: out of range, got undefined/],
    ["null within", () => [null], /got null/],
    ["an id that is out of range far behind good ones", () => [...tinyIds(20_000), V], /^token id 20000/],
    ["an unsigned id out of range", () => Uint32Array.of(4_000_000_000), /got 4000000000/],
    ["a typed array of floats", () => Float32Array.of(1), /neither text nor token ids, got "object"/],
    ["bytes", () => Uint8Array.of(1), /neither text nor token ids/],
    ["64-bit integers", () => BigInt64Array.of(1n), /neither text nor token ids/],
    ["a number", () => 5, /neither text nor token ids, got "number"/],
    ["undefined", () => undefined, /neither text nor token ids, got "undefined"/],
    ["null", () => null, /neither text nor token ids, got "null"/],
    ["an object", () => ({ text: "a" }), /neither text nor token ids/],
  ];
  it.each(cases)("%s", async (_, make, reason) => {
    await expectUntouched(async (session) => {
      const appending = session.append(make() as SessionInput);
      await expect(appending).rejects.toThrow(InvalidRequestError);
      await expect(session.append(make() as SessionInput)).rejects.toThrow(reason);
    });
  });

  it("empty text, also where a beginning-of-text token would come with it", async () => {
    const session = model.createSession();
    await expect(session.append("")).rejects.toThrow(/nothing to append/);
    await expect(session.append("", { addSpecialTokens: false })).rejects.toThrow(/nothing to append/);
    async function* nothing(): AsyncGenerator<string> {}
    await expect(session.append(nothing(), { addSpecialTokens: false })).rejects.toThrow(/nothing to append/);
    expect(session.lengthTokens).toBe(0);
  });
});

describe("text of any kind", () => {
  it("is read: lone surrogates as U+FFFD, NUL and unassigned characters as themselves", async () => {
    const read = async (text: string): Promise<string> => {
      const session = model.createSession();
      const { tokenCount } = await session.append(text);
      expect(tokenCount).toBe(session.lengthTokens);
      expect(logitsOf(session).every(Number.isFinite)).toBe(true);
      return bitsOf(await session.save());
    };
    expect(await read("a\ud800b")).toBe(await read("a\ufffdb"));
    expect(await read("\udc00")).toBe(await read("\ufffd"));
    expect(await read("a\0b")).not.toBe(await read("ab"));
    await read("\u0378\uffff");
  });

  it("may be as long as it likes", async () => {
    const session = model.createSession();
    const { tokenCount } = await session.append("abc".repeat(2000));
    expect(session.stats).toMatchObject({ lengthTokens: tokenCount, path: "gated" });
  });
});

describe("one thing at a time", () => {
  it("a second append is refused while the first is under way, which goes on", async () => {
    const session = model.createSession();
    const first = session.append(tinyIds(C));
    await expect(session.append([5])).rejects.toThrow(
      /^session.append: the session is busy, got "append under way".*one call at a time.*work on a clone/,
    );
    expect(await first).toEqual({ tokenCount: C, lengthTokens: C });
    expect(bitsOf(logitsOf(session))).toBe(bitsOf(logitsOf(await sessionOf(tinyIds(C)))));
  });

  it("and so is every other call", async () => {
    const session = await sessionOf(tinyIds(5));
    const first = session.append(tinyIds(C));
    for (const refused of [
      collectEvents(session.generate()),
      collectEvents(session.chat([{ role: "user", content: "a" }])),
      session.save(),
      (async () => session.clone())(),
      (async () => session.reset())(),
    ])
      await expect(refused).rejects.toThrow(/the session is busy, got "append under way"/);
    await first;
    expect(session.clone().lengthTokens).toBe(5 + C);
  });

  it("a generation holds its session until its loop ends", async () => {
    const session = await sessionOf(tinyIds(5));
    for await (const event of session.generate({ maxNewTokens: 3, ignoreEos: true })) {
      await expect(session.append([5])).rejects.toThrow(/"generate under way"/);
      await expect(session.save()).rejects.toThrow(/busy/);
      expect(session.logits).toBeDefined();
      if (event.type === "finish") break;
    }
    expect((await session.append([5])).lengthTokens).toBe(9);
  });

  it("a generation that was made and not begun holds nothing", async () => {
    const session = await sessionOf(tinyIds(5));
    const events = session.generate();
    await session.append([5]);
    await events.next();
    await events.return(undefined);
    expect(session.lengthTokens).toBeGreaterThan(6);
  });
});

describe("after dispose", () => {
  const uses: readonly (readonly [string, (session: Session) => unknown])[] = [
    ["append", (session) => session.append([5])],
    ["generate", (session) => session.generate().next()],
    ["chat", (session) => session.chat([{ role: "user", content: "a" }]).next()],
    ["save", (session) => session.save()],
    ["clone", (session) => session.clone()],
    ["reset", (session) => session.reset()],
    ["logits", (session) => session.logits],
    ["stats", (session) => session.stats],
    ["lengthTokens", (session) => session.lengthTokens],
    ["stateBytes", (session) => session.stateBytes],
  ];

  it.each(uses)("of a session, %s says so", async (_, use) => {
    const session = await sessionOf([5]);
    const twin = session.clone();
    session.dispose();
    session[Symbol.dispose]();
    await expect((async () => use(session))()).rejects.toThrow(DisposedError);
    await expect((async () => use(session))()).rejects.toThrow(/the session has been disposed/);
    expect(twin.lengthTokens).toBe(1);
  });

  it("of a model, every session and the model itself say so", async () => {
    const own = await loadTiny("paper");
    const session = own.createSession();
    await session.append([5]);
    const bytes = await session.save();
    await own.dispose();
    await own.dispose();
    for (const [, use] of uses)
      await expect((async () => use(session))()).rejects.toThrow(/the model has been disposed/);
    expect(() => own.createSession()).toThrow(DisposedError);
    await expect(own.restoreSession(bytes)).rejects.toThrow(DisposedError);
    // What is known without weights stays known.
    expect(own.memoryEstimate.stateBytes).toBe(model.memoryEstimate.stateBytes);
    expect(own.tokenizer?.encode("a")).toEqual(model.tokenizer?.encode("a"));
  });

  it("of a model under an append, ends the append at the next run", async () => {
    const own = await loadTiny("paper");
    const session = own.createSession();
    let disposing: Promise<void> | undefined;
    const appending = session.append(tinyIds(50 * C), {
      onProgress() {
        disposing ??= own.dispose();
      },
    });
    await expect(appending).rejects.toThrow(/^model: the model has been disposed/);
    await disposing;
  });

  it("of a model, through await using", async () => {
    let kept: Model;
    {
      await using own = await loadTiny("streaming");
      kept = own;
    }
    expect(() => kept.createSession()).toThrow(DisposedError);
  });
});
