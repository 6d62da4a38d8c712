import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { afterEach, describe, expect, it } from "vitest";
import { cdp } from "vitest/browser";
import { FileError } from "../errors.ts";
import { OpfsStore, openOpfsStore, removeStoredFiles, type StoredContent } from "./opfs-store.ts";

const bytes = Uint8Array.from({ length: 1000 }, (_, index) => (index * index) % 251);
const hash = bytesToHex(sha256(bytes));
const partBytes = 64;

/** Gives the bytes, and notes which were asked for. */
function contentOf(asked: number[], rest: Partial<StoredContent> = {}): StoredContent {
  return {
    sizeBytes: bytes.length,
    async read(offset, length) {
      asked.push(offset / partBytes);
      return bytes.subarray(offset, offset + length);
    },
    sha256: hash,
    ...rest,
  };
}

let made = 0;

/** Makes a store of small parts in a folder of its own. */
async function createStore(): Promise<OpfsStore> {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle("edgeinfinite", { create: true });
  return new OpfsStore(await folder.getDirectoryHandle(`test-${made++}`, { create: true }), partBytes);
}

async function readAll(store: OpfsStore, key: string): Promise<Uint8Array | undefined> {
  const source = await store.open(key, key);
  return source?.read(0, source.sizeBytes);
}

afterEach(removeStoredFiles);

describe("OpfsStore", () => {
  it("stores a file and reads it anywhere, across parts; another store over the same folder finds it", async () => {
    const store = await createStore();
    const asked: number[] = [];
    expect(await store.open("key", "file")).toBeUndefined();
    const source = await store.store("key", "file", contentOf(asked));
    expect(asked).toEqual(Array.from({ length: 16 }, (_, index) => index));
    expect(source.sizeBytes).toBe(1000);
    expect(await source.read(60, 140)).toEqual(bytes.slice(60, 200));
    await expect(source.read(990, 11)).rejects.toBeInstanceOf(FileError);
    expect(await readAll(store, "key")).toEqual(bytes);
    expect(await store.open("other key", "file")).toBeUndefined();
    await store.store("key", "file", contentOf(asked));
    expect(asked).toHaveLength(16);
  });

  it("goes on where it was interrupted, and shows nothing of a file before it is whole", async () => {
    const store = await createStore();
    const asked: number[] = [];
    const failing = contentOf(asked, {
      async read(offset, length) {
        if (offset >= 5 * partBytes) throw new Error("the network went away");
        asked.push(offset / partBytes);
        return bytes.subarray(offset, offset + length);
      },
    });
    await expect(store.store("key", "file", failing)).rejects.toThrow("the network went away");
    expect(await readAll(store, "key")).toBeUndefined();
    const controller = new AbortController();
    const onStored = (stored: number): void => {
      if (stored === 8 * partBytes) controller.abort(new Error("enough"));
    };
    await expect(
      store.store("key", "file", contentOf(asked, { onStored }), controller.signal),
    ).rejects.toThrow("enough");
    await store.store("key", "file", contentOf(asked));
    expect(asked).toEqual(Array.from({ length: 16 }, (_, index) => index));
    expect(await readAll(store, "key")).toEqual(bytes);
  });

  it("refuses content of another hash, and keeps nothing of it", async () => {
    const store = await createStore();
    const wrong = contentOf([], { sha256: "0".repeat(64) });
    await expect(store.store("key", "file", wrong)).rejects.toThrow(
      /file: the content has another hash, got/,
    );
    const asked: number[] = [];
    await store.store("key", "file", contentOf(asked));
    expect(asked).toHaveLength(16);
  });

  it("fetches once when two ask at once", async () => {
    const store = await createStore();
    const asked: number[] = [];
    const both = [1, 2].map(() => store.store("key", "file", contentOf(asked)));
    for (const source of await Promise.all(both)) expect(await source.read(0, 1000)).toEqual(bytes);
    expect(asked).toHaveLength(16);
  });

  it("keeps what is written in chunks of any length, once; an interrupted writing counts for nothing", async () => {
    const store = await createStore();
    let written = 0;
    async function* write(limit: number): AsyncGenerator<Uint8Array> {
      written++;
      for (let at = 0; at < 1000; at += 37) {
        if (at > limit) throw new Error("stopped");
        yield bytes.subarray(at, Math.min(at + 37, 1000));
      }
    }
    await expect(store.keep("key", "file", () => write(500))).rejects.toThrow("stopped");
    expect(await readAll(store, "key")).toBeUndefined();
    for (let time = 0; time < 2; time++) {
      const source = await store.keep("key", "file", () => write(1000));
      expect(await source.read(0, 1000)).toEqual(bytes);
    }
    expect(written).toBe(2);
  });

  it("holds empty files, and replaces small ones", async () => {
    const store = await createStore();
    const empty = await store.store("key", "file", {
      sizeBytes: 0,
      read: () => Promise.reject(new Error("no")),
    });
    expect(empty.sizeBytes).toBe(0);
    for (const text of ["one", "the second"]) await store.replace("note", new TextEncoder().encode(text));
    expect(new TextDecoder().decode(await readAll(store, "note"))).toBe("the second");
  });

  it("says that there is no room, and what to do", async () => {
    const store = await createStore();
    const { origin } = location;
    await cdp().send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1000 });
    try {
      const failed = store.store("key", "file", contentOf([]));
      await expect(failed).rejects.toBeInstanceOf(FileError);
      await expect(failed).rejects.toThrow(/no more room.*bytes used.*at most \d+ bytes.*removeStoredFiles/);
    } finally {
      await cdp().send("Storage.overrideQuotaForOrigin", { origin });
    }
    await store.store("key", "file", contentOf([]));
  });

  it("is emptied by removeStoredFiles", async () => {
    const store = await openOpfsStore();
    await store?.replace("note", bytes);
    await removeStoredFiles();
    await removeStoredFiles();
    expect(await (await openOpfsStore())?.open("note", "note")).toBeUndefined();
  });
});
