import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  bitsOf,
  collectEvents,
  editFolder,
  generateIds,
  largestDifference,
  loadWatched,
  logitsOf,
  type RuntimeWatch,
  tinyCapacity,
  tinyContext,
  tinyIds,
} from "../../test/support/tiny-sessions.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import type { Model } from "./model.ts";
import type { Session } from "./session.ts";

const { segmentTokens: T } = tinyContext;
const C = tinyCapacity;
const reason = new Error("enough");

/** What the runtime is about to do: tests put themselves in between. */
let onRun: (graph: string) => void = () => {};
let runs: string[] = [];
const watch: RuntimeWatch = {
  onRun(graph) {
    runs.push(graph);
    onRun(graph);
  },
};

let model: Model;
/** Holds nothing back: without a tokenizer there is no half a character. */
let textless: Model;
beforeAll(async () => {
  model = await loadWatched(watch);
  const folder = editFolder(createTinyModelFolder(), { "tokenizer.json": undefined });
  textless = await loadWatched(watch, {}, folder);
});
afterAll(async () => {
  await Promise.all([model.dispose(), textless.dispose()]);
});
beforeEach(() => {
  runs = [];
  onRun = () => {};
});

/** Aborts while the n-th run of a graph is under way, counted from 1. */
function abortInRun(count: number, graph = "inference"): AbortSignal {
  const controller = new AbortController();
  let left = count;
  onRun = (name) => {
    if (name === graph && --left === 0) controller.abort(reason);
  };
  return controller.signal;
}

async function sessionOf(ids: readonly number[], of: Model = model): Promise<Session> {
  const session = of.createSession();
  await session.append(ids);
  return session;
}

async function saveBits(session: Session): Promise<string> {
  return bitsOf(await session.save());
}

describe("an append that is aborted", () => {
  it("ends after the run during which the interrupt came, though events had to wait for it", async () => {
    const controller = new AbortController();
    let count = 0;
    onRun = () => {
      if (++count !== 2) return;
      // The run computes on this thread, in a turn of its own; a signal that comes meanwhile has the next turn.
      setImmediate(() => {
        setTimeout(() => controller.abort(reason), 0);
        const end = performance.now() + 80;
        while (performance.now() < end);
      });
    };
    const session = model.createSession();
    await expect(session.append(tinyIds(10 * T), { signal: controller.signal })).rejects.toBe(reason);
    expect(runs).toEqual(["inference", "inference"]);
    expect(session.lengthTokens).toBe(2 * T);
  });

  it("ends after the run under way, and continuing equals never having aborted, bit for bit", async () => {
    const ids = tinyIds(10 * T);
    const whole = await sessionOf(ids);
    // Runs of a new session: T, T, the rest up to C, then T after each commit.
    const lengthAfter = (count: number): number => (count <= 2 ? count * T : C + (count - 3) * T);
    for (const count of [1, 2, 3, 4, 6, 8]) {
      const session = model.createSession();
      runs = [];
      const signal = abortInRun(count);
      await expect(session.append(ids, { signal })).rejects.toBe(reason);
      expect(runs.filter((graph) => graph === "inference")).toHaveLength(count);
      expect(session.lengthTokens).toBe(lengthAfter(count));
      expect(session.stats.prefillTokens).toBe(lengthAfter(count));
      await session.append(ids.slice(session.lengthTokens));
      expect(await saveBits(session)).toBe(await saveBits(whole));
    }
  });

  it("makes at most one further run when a commit is under way", async () => {
    const ids = tinyIds(10 * T);
    const session = model.createSession();
    await expect(session.append(ids, { signal: abortInRun(2, "commit") })).rejects.toBe(reason);
    const afterAbort = runs.slice(runs.indexOf("commit", runs.indexOf("commit") + 1) + 1);
    expect(afterAbort.length).toBeLessThanOrEqual(1);
    expect(session.lengthTokens).toBe(C + 2 * T);
    await session.append(ids.slice(session.lengthTokens));
    expect(await saveBits(session)).toBe(await saveBits(await sessionOf(ids)));
  });

  it("in the midst of a segment, goes on as the same stream cut there", async () => {
    const ids = tinyIds(C + 3 * T);
    const session = await sessionOf(ids.slice(0, 20));
    await expect(session.append(ids.slice(20), { signal: abortInRun(2) })).rejects.toBe(reason);
    const { lengthTokens } = session;
    expect(lengthTokens).toBe(C);
    await session.append(ids.slice(lengthTokens));
    // Runs begin at other tokens than in one call, so the last digits may differ.
    expect(largestDifference(logitsOf(session), logitsOf(await sessionOf(ids)))).toBeLessThan(1e-4);
  });

  it("has read all when the abort came with the last run, and still says so", async () => {
    const session = model.createSession();
    await expect(session.append(tinyIds(T + 2), { signal: abortInRun(2) })).rejects.toBe(reason);
    expect(session.lengthTokens).toBe(T + 2);
    expect(bitsOf(logitsOf(session))).toBe(bitsOf(logitsOf(await sessionOf(tinyIds(T + 2)))));
  });

  it("tells through onProgress what is in before it ends", async () => {
    const controller = new AbortController();
    const session = model.createSession();
    const seen: number[] = [];
    const appending = session.append(tinyIds(200), {
      signal: controller.signal,
      onProgress({ readTokens, totalTokens, lengthTokens }) {
        expect({ totalTokens, lengthTokens }).toEqual({ totalTokens: 200, lengthTokens: readTokens });
        seen.push(readTokens);
        if (readTokens >= 3 * T) controller.abort(reason);
      },
    });
    await expect(appending).rejects.toBe(reason);
    expect(seen).toEqual([T, 2 * T, C, C + T]);
    expect(session.lengthTokens).toBe(C + T);
  });

  it("ends the reading of an endless text", async () => {
    let ended = false;
    async function* endless(): AsyncGenerator<string> {
      try {
        for (;;) yield "the abc abc the. ".repeat(100);
      } finally {
        ended = true;
      }
    }
    const session = model.createSession();
    await expect(session.append(endless(), { signal: abortInRun(20) })).rejects.toBe(reason);
    expect(ended).toBe(true);
    expect(session.lengthTokens).toBe(C + 17 * T);
  });

  it("does not begin under a signal that is aborted already, whatever the reason is", async () => {
    const session = await sessionOf(tinyIds(5));
    const before = await saveBits(session);
    runs = [];
    await expect(session.append(tinyIds(5), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(session.append("the", { signal: AbortSignal.abort("text") })).rejects.toBe("text");
    await expect(session.append("the", { signal: AbortSignal.abort() })).rejects.toHaveProperty(
      "name",
      "AbortError",
    );
    expect(runs).toEqual([]);
    expect(await saveBits(session)).toBe(before);
  });
});

describe("an append that fails", () => {
  it("keeps what was read when the text's source fails", async () => {
    async function* failing(): AsyncGenerator<string> {
      yield "the abc ".repeat(3000);
      throw reason;
    }
    const session = model.createSession();
    await expect(session.append(failing())).rejects.toBe(reason);
    expect(session.lengthTokens).toBeGreaterThan(C);
    await session.append([5]);
  });

  it("keeps what was read when onProgress throws", async () => {
    const session = model.createSession();
    const onProgress = (): void => {
      throw reason;
    };
    await expect(session.append(tinyIds(100), { onProgress })).rejects.toBe(reason);
    expect(session.lengthTokens).toBe(T);
    await session.append(tinyIds(100).slice(T));
    expect(await saveBits(session)).toBe(await saveBits(await sessionOf(tinyIds(100))));
  });

  it("keeps what was read, and stays whole, when a run or a commit fails", async () => {
    const ids = tinyIds(C + 4 * T);
    for (const [graph, count] of [
      ["inference", 5],
      ["commit", 2],
    ] as const) {
      const session = model.createSession();
      let left = count;
      onRun = (name) => {
        if (name === graph && --left === 0) throw reason;
      };
      await expect(session.append(ids)).rejects.toBe(reason);
      expect(session.lengthTokens).toBe(C + T);
      onRun = () => {};
      await session.append(ids.slice(session.lengthTokens));
      expect(await saveBits(session)).toBe(await saveBits(await sessionOf(ids)));
    }
  });
});

describe("a generation that is aborted", () => {
  it("holds exactly the tokens it yielded, and continuing equals never having aborted", async () => {
    const prompt = tinyIds(C - 3);
    const whole = await sessionOf(prompt, textless);
    const wholeIds = await generateIds(whole, 2 * T);
    for (const count of [1, 3, 4, T]) {
      const controller = new AbortController();
      const session = await sessionOf(prompt, textless);
      const ids: number[] = [];
      const generating = (async () => {
        const options = { maxNewTokens: 2 * T, ignoreEos: true, signal: controller.signal };
        for await (const event of session.generate(options)) {
          if (event.type === "token") ids.push(event.id);
          if (ids.length >= count) controller.abort(reason);
        }
      })();
      await expect(generating).rejects.toBe(reason);
      expect(ids).toHaveLength(count);
      expect(session.lengthTokens).toBe(prompt.length + ids.length);
      expect(ids).toEqual(wholeIds.slice(0, ids.length));
      expect(await generateIds(session, 2 * T - ids.length)).toEqual(wholeIds.slice(ids.length));
      expect(await saveBits(session)).toBe(await saveBits(whole));
    }
  });

  it("ends after the run under way", async () => {
    const session = await sessionOf(tinyIds(10));
    runs = [];
    const generating = collectEvents(
      session.generate({ maxNewTokens: 50, ignoreEos: true, signal: abortInRun(7) }),
    );
    await expect(generating).rejects.toBe(reason);
    expect(runs).toHaveLength(7);
    expect(session.lengthTokens).toBe(17);
  });

  it("does not begin under a signal that is aborted already", async () => {
    const session = await sessionOf(tinyIds(10));
    const before = await saveBits(session);
    runs = [];
    const signal = AbortSignal.abort(reason);
    await expect(collectEvents(session.generate({ signal }))).rejects.toBe(reason);
    await expect(collectEvents(session.chat([{ role: "user", content: "a" }], { signal }))).rejects.toBe(
      reason,
    );
    expect(runs).toEqual([]);
    expect(await saveBits(session)).toBe(before);
  });
});

describe("a loop over a generation that is left", () => {
  it("by break, leaves exactly the yielded tokens in the session", async () => {
    for (const count of [1, 2, 7]) {
      const session = await sessionOf(tinyIds(C - 2), textless);
      const ids: number[] = [];
      for await (const event of session.generate({ maxNewTokens: 40, ignoreEos: true })) {
        if (event.type === "token") ids.push(event.id);
        if (ids.length >= count) break;
      }
      expect(ids).toHaveLength(count);
      expect(session.lengthTokens).toBe(C - 2 + count);
      const replayed = await sessionOf(tinyIds(C - 2), textless);
      for (const id of ids) await replayed.append([id]);
      expect(await saveBits(session)).toBe(await saveBits(replayed));
    }
  });

  it("by an error of the consumer, passes it on and leaves the session usable", async () => {
    const session = await sessionOf(tinyIds(8));
    const consuming = (async () => {
      for await (const _ of session.generate({ ignoreEos: true })) throw reason;
    })();
    await expect(consuming).rejects.toBe(reason);
    const { lengthTokens } = session;
    expect(lengthTokens).toBeGreaterThan(8);
    await session.append([5]);
    expect(session.lengthTokens).toBe(lengthTokens + 1);
  });

  it("before its first event, leaves nothing", async () => {
    const session = await sessionOf(tinyIds(8));
    const events = session.generate();
    await events.return(undefined);
    expect(session.lengthTokens).toBe(8);
    await session.append([5]);
  });

  it("by a failing run, passes its error on; the token that was not read is not in the session", async () => {
    const session = await sessionOf(tinyIds(8));
    let left = 4;
    onRun = () => {
      if (--left === 0) throw reason;
    };
    const ids: number[] = [];
    const generating = (async () => {
      for await (const event of session.generate({ ignoreEos: true }))
        if (event.type === "token") ids.push(event.id);
    })();
    await expect(generating).rejects.toBe(reason);
    expect(session.lengthTokens).toBe(8 + 3);
    onRun = () => {};
    expect(await generateIds(session, 1)).toHaveLength(1);
    expect(session.lengthTokens).toBe(8 + 4);
  });
});

describe("a load that is aborted", () => {
  it.each(["inference", "commit"])("after the session of %s, lets go of what it had", async (at) => {
    const controller = new AbortController();
    const created: string[] = [];
    const disposed: string[] = [];
    const loading = loadWatched(
      {
        onCreate(graph) {
          created.push(graph);
          if (graph === at) controller.abort(reason);
        },
        onDispose: (graph) => disposed.push(graph),
      },
      { signal: controller.signal },
    );
    await expect(loading).rejects.toBe(reason);
    expect(created.at(-1)).toBe(at);
    expect(disposed.toSorted()).toEqual(created.toSorted());
  });

  it("does not begin under a signal that is aborted already", async () => {
    const created: string[] = [];
    const loading = loadWatched(
      { onCreate: (graph) => created.push(graph) },
      { signal: AbortSignal.abort(reason) },
    );
    await expect(loading).rejects.toBe(reason);
    expect(created).toEqual([]);
  });
});
