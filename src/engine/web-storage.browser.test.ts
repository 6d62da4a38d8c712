import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { commands } from "vitest/browser";
import { hubModelId } from "../../test/support/hub-model-id.ts";
import { FileError } from "../errors.ts";
import { openOpfsStore, removeStoredFiles } from "../files/opfs-store.ts";
import { openStoredHubFolder } from "../files/stored-folder.ts";
import type { LoadOptions, LoadProgress } from "./load-model.ts";
import { loadModel } from "./web.ts";

let endpoint = "";

beforeEach(async () => {
  await removeStoredFiles();
  endpoint = await commands.startHub();
});
afterEach(async () => {
  await commands.stopHub(endpoint);
  await removeStoredFiles();
});

/** Opens the model as a user's id would be opened, at the stand-in for the hub. */
async function openFolder(onProgress?: (progress: LoadProgress) => void) {
  const store = await openOpfsStore();
  if (store === undefined) throw new Error("no private file system");
  const hurry = { retryLimit: 1, retryDelayMs: 1 };
  return openStoredHubFolder(store, hubModelId, { endpoint, onProgress, ...hurry });
}

/** Loads the model and generates; returns the tokens and the weights' requests that it took. */
async function start(
  options: LoadOptions = {},
): Promise<{ ids: number[]; weightRequests: (string | undefined)[] }> {
  await commands.seenByHub(endpoint);
  await using model = await loadModel(await openFolder(), options);
  const session = model.createSession();
  await session.append([3, 4, 5]);
  const ids: number[] = [];
  for await (const event of session.generate({ maxNewTokens: 5, temperature: 0, ignoreEos: true })) {
    if (event.type === "token") ids.push(event.id);
  }
  const seen = await commands.seenByHub(endpoint);
  const weightRequests = seen.filter(
    ({ path, origin }) => origin === "storage" && path.endsWith(".safetensors"),
  );
  return { ids, weightRequests: weightRequests.map(({ range }) => range) };
}

/** Returns where the requests begin. */
function starts(ranges: readonly (string | undefined)[]): ReadonlySet<string | undefined> {
  return new Set(ranges.map((range) => range?.replace(/-\d+$/, "")));
}

describe("a model of the hub in a browser", () => {
  it("is stored at the first start, and read with no request for its weights at the second", async () => {
    const first = await start();
    // One byte tells the length; then come parts of 8 MiB. (The browser's own cache may ask for one in two goes.)
    expect(starts(first.weightRequests)).toEqual(new Set(["bytes=0", "bytes=8388608"]));
    expect(await start()).toEqual({ ids: first.ids, weightRequests: [] });
  });

  it("goes on after a connection that dropped, and after a start that failed", async () => {
    const path = "model.safetensors";
    await commands.faultHub(endpoint, { path, origin: "storage", kind: "drop", afterBytes: 1 });
    await commands.faultHub(endpoint, { path, origin: "storage", kind: "drop", afterBytes: 3_000_000 });
    const whole = await start();
    // The drops cost the first byte's try and one go-on within a part.
    expect(whole.weightRequests.length).toBeGreaterThan(3);
    await removeStoredFiles();
    const stored: number[] = [];
    const stop = new AbortController();
    const folder = await openFolder(({ file, receivedBytes }) => {
      if (file !== path) return;
      stored.push(receivedBytes);
      stop.abort(new Error("the user left"));
    });
    await expect(loadModel(folder, { signal: stop.signal })).rejects.toThrow("the user left");
    expect(stored).toEqual([8 * 1024 * 1024]);
    const second = await start();
    expect(second.ids).toEqual(whole.ids);
    expect(starts(second.weightRequests)).toEqual(new Set(["bytes=0", "bytes=8388608"]));
    expect(second.weightRequests).not.toContain("bytes=0-8388607");
  });

  it("is refused when its bytes are not what the hub says", async () => {
    const fault = { path: "model.safetensors", origin: "storage", kind: "wrong-bytes", times: 9 } as const;
    await commands.faultHub(endpoint, fault);
    const failed = loadModel(await openFolder());
    await expect(failed).rejects.toBeInstanceOf(FileError);
    await expect(failed).rejects.toThrow(/the content has another hash/);
  });

  it("starts without a network once it is stored", async () => {
    const first = await start();
    await commands.faultHub(endpoint, {
      path: "/main",
      origin: "hub",
      kind: "status",
      status: 503,
      times: 2,
    });
    expect((await start()).ids).toEqual(first.ids);
  });

  it("keeps quantised weights, and a worker finds them", async () => {
    const made: string[] = [];
    const options: LoadOptions = { dtype: "q8", onProgress: ({ file }) => made.push(file) };
    const first = await start(options);
    expect(made.at(-1)).toBe(`${hubModelId}@main as q8`);
    made.length = 0;
    expect((await start(options)).ids).toEqual(first.ids);
    expect(made).toEqual([]);
    const worker = new Worker(new URL("../../test/support/load-in-worker.ts", import.meta.url), {
      type: "module",
    });
    const answer = await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<unknown>) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage(endpoint);
    });
    worker.terminate();
    expect(answer).toEqual({ ids: first.ids });
  });
});

describe("a model of a web server in a browser", () => {
  it("is stored by its entity tags: a second start asks for one byte of its weights", async () => {
    const address = `${endpoint}/${hubModelId}/resolve/main/`;
    const requests: (string | undefined)[][] = [];
    for (let time = 0; time < 2; time++) {
      await using model = await loadModel(address);
      expect(model.config.modelType).toBe("llama");
      const seen = await commands.seenByHub(endpoint);
      const weights = seen.filter(({ origin, method }) => origin === "storage" && method === "GET");
      requests.push(weights.map(({ range }) => range));
    }
    expect(requests[0]).toContainEqual(expect.stringMatching(/^bytes=8388608-/));
    expect(requests[1]).toEqual(["bytes=0-0"]);
  });
});
